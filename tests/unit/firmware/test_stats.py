"""The running mean and the JSON form of the readings."""

import json
import struct

import pytest
from app1 import schema, stats
from hypothesis import given
from hypothesis import strategies as st

READING = st.floats(-20000, 20000, width=32, allow_subnormal=False)


def one_set(**fields: float):
    values = stats.new_set()
    for name, value in fields.items():
        values[getattr(stats, name)] = value
    return values


@given(st.lists(READING, min_size=1, max_size=50))
def test_the_mean_of_a_few_sets_is_their_mean(readings):
    averager = stats.Averager()
    for reading in readings:
        averager.add(one_set(VRMS=reading))
    assert averager.take()[stats.VRMS] == pytest.approx(sum(readings) / len(readings), rel=1e-4, abs=0.05)


def test_taking_the_mean_starts_a_new_one():
    averager = stats.Averager()
    assert averager.take() is None
    averager.add(one_set(IRMS=1.0))
    averager.add(one_set(IRMS=3.0))
    assert averager.take()[stats.IRMS] == 2.0
    assert averager.take() is None
    averager.add(one_set(IRMS=5.0))
    assert averager.take()[stats.IRMS] == 5.0


def test_a_mean_that_nobody_takes_follows_the_present():
    averager = stats.Averager()
    averager.add(one_set(IRMS=50.0))
    for _ in range(10 * stats.WINDOW_SETS):
        averager.add(one_set(IRMS=1.0))
    assert averager.take()[stats.IRMS] == pytest.approx(1.0, abs=0.01)


def test_a_steady_value_stays_exact_in_single_precision():
    averager = stats.Averager()
    for _ in range(1000):
        averager.add(one_set(VRMS=231.724))
    assert averager.take()[stats.VRMS] == struct.unpack("f", struct.pack("f", 231.724))[0]


def shown(**fields: float) -> dict:
    return stats.to_dict(one_set(**fields), schema.defaults(), "4.0")


def test_the_json_form_has_every_key_that_tools_read():
    reply = shown()
    port = {"TYPE", "NAME", *stats.FIELDS}
    assert all(set(reply[f"CT{number}"]) == port for number in range(1, 7))
    assert set(reply) == {
        *(f"CT{number}" for number in range(1, 7)),
        "READ_TIME_NS", "RSSI", "BOARD_TEMPERATURE", "ASSY", "YDEV_UNIT_NAME", "FIRMWARE_VERSION", "ACTIVE",
        "PF_WATTS_THRESHOLD",
    }  # fmt: skip
    assert json.loads(json.dumps(reply)) == reply


def test_a_power_within_the_gate_reads_zero_and_one_outside_does_not():
    assert shown(PRMS=0.5, PREACT=-0.5)["CT1"]["PRMS"] == 0.0
    assert shown(PRMS=0.5, PREACT=-0.5)["CT1"]["PREACT"] == 0.0
    assert shown(PRMS=-0.6)["CT1"]["PRMS"] == -0.6


def test_the_power_factor_of_a_small_power_reads_zero():
    assert shown(PRMS=-4.9, PF=-0.9)["CT1"]["PF"] == 0.0
    assert shown(PRMS=-5.1, PF=-0.9)["CT1"]["PF"] == -0.9


def test_a_load_that_crosses_the_threshold_keeps_a_power_factor_that_means_something():
    averager = stats.Averager()
    for power in (2.0, 20.0, 20.0, 20.0):
        averager.add(one_set(PRMS=power, PF=1.0))
    reply = stats.to_dict(averager.take(), schema.defaults(), "4.0")
    assert reply["CT1"]["PF"] == 1.0


def test_each_port_reads_its_own_part_of_the_set():
    values = stats.new_set()
    for port in range(6):
        values[port * stats.FIELDS_PER_PORT + stats.IRMS] = port + 1.0
    reply = stats.to_dict(values, schema.defaults(), "4.0")
    assert [reply[f"CT{number}"]["IRMS"] for number in range(1, 7)] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


def test_quotes_in_a_name_leave_the_reply_valid_json():
    config = schema.defaults() | {"CT1_NAME": 'it\'s "mine"\\'}
    assert (
        json.loads(json.dumps(stats.to_dict(stats.new_set(), config, "4.0")))["CT1"]["NAME"]
        == config["CT1_NAME"]
    )
