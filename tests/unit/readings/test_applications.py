"""Which settings an exchanged application has changed, and when a killed exchange is taken back."""

from __future__ import annotations

import pytest

from mfg.readings.applications import changed_settings, hidden_settings, not_carried_over
from mfg.records.journal import (
    ERASE,
    KEEP_APPLICATION,
    STORE,
    application_to_settle,
    exchange_act,
)
from mfg.records.restorable import pga_of_firmware

BEFORE = {
    "APP": 1,
    "CT1_IGAIN": 42720.0,
    "CT1_NAME": "oven",
    "CS0_VOLTAGE_OFFSET": 61440,
    "MQTT_PASSWORD": "",
    "WIFI": {"SSID": "home", "PASSWD": "secret"},
}
EXCHANGE = exchange_act("/app2", "/app1")


def test_a_number_is_the_same_number_however_it_is_written_and_the_application_is_no_setting():
    assert changed_settings(BEFORE, BEFORE | {"APP": 2, "CT1_IGAIN": 42720, "CT1_PHASE": 0}) == []


@pytest.mark.parametrize(
    ("after", "names"),
    [
        ({"CT1_IGAIN": 42721}, ["CT1_IGAIN"]),
        ({"WIFI": {"SSID": "other", "PASSWD": "secret"}}, ["WIFI"]),
        ({"MQTT_PASSWORD": "now there is one"}, ["MQTT_PASSWORD"]),
    ],
)
def test_a_setting_that_differs_is_named(after, names):
    assert changed_settings(BEFORE, BEFORE | after) == names
    assert changed_settings(BEFORE, {}) == sorted(set(BEFORE) - {"APP"})


def test_a_masked_secret_is_not_taken_for_a_changed_one_but_named_as_not_compared():
    masked = BEFORE | {"WIFI": {"SSID": "home", "PASSWD": "****"}, "MQTT_PASSWORD": "****"}
    assert changed_settings(BEFORE | {"MQTT_PASSWORD": "x"}, masked) == []
    assert "MQTT_PASSWORD" in hidden_settings(masked)
    assert "MQTT_PASSWORD" not in hidden_settings(BEFORE)


def test_only_an_original_s_voltage_offsets_are_left_behind():
    after = BEFORE | {"CS0_VOLTAGE_OFFSET": 0}
    assert changed_settings(BEFORE, after, not_carried_over(frozenset())) == []
    assert changed_settings(BEFORE, after, not_carried_over({"phase"})) == ["CS0_VOLTAGE_OFFSET"]


@pytest.mark.parametrize(
    ("acts", "settled"),
    [
        ([], ("", False)),
        ([ERASE, STORE], ("", False)),
        ([EXCHANGE], ("/app1", False)),
        ([EXCHANGE, STORE, "go back to the old application"], ("/app1", False)),
        ([EXCHANGE, KEEP_APPLICATION], ("/app2", True)),
        ([EXCHANGE, STORE, KEEP_APPLICATION], ("/app2", True)),
        (["load an application into /app3 beside /app1"], ("", False)),
    ],
)
def test_a_killed_run_s_unit_runs_its_old_application_unless_the_new_one_was_proved(acts, settled):
    assert application_to_settle(acts) == settled


@pytest.mark.parametrize(("version", "pga"), [("2.7", 4), ("2.8", 1), ("3.1", 1), ("4.0", 1), ("?", 4)])
def test_firmware_before_2_8_amplifies_four_times(version, pga):
    assert pga_of_firmware(version) == pga
