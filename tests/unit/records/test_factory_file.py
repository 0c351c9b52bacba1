"""The 16-key factory file and the masking of secrets."""

from __future__ import annotations

import hashlib
import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfg.data_files import data_file
from mfg.errors import DutError
from mfg.records import factory_file
from mfg.records.factory_file import (
    CALIBRATION_KEYS,
    FACTORY_HASH_KEY,
    FACTORY_KEYS,
    MASK,
    mask_secrets,
    parse_calibration_file,
    parse_factory_file,
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def good() -> dict[str, Any]:
    registers = dict.fromkeys(factory_file.CURRENT_GAIN_KEYS, 42720)
    registers |= dict.fromkeys(factory_file.CURRENT_OFFSET_KEYS, 0)
    registers |= dict.fromkeys(factory_file.VOLTAGE_GAIN_KEYS, 55600)
    return {"ASSY": "ASY0398_V003.200_SN00001823", **registers, "LINE_FREQ_HZ": 50}


def encoded(values: Any) -> bytes:
    return json.dumps(values).encode()


def test_reads_a_good_file_with_its_16_keys():
    assert len(FACTORY_KEYS) == 16
    parsed = parse_factory_file(encoded(good()))
    assert parsed.label.serial == 1823
    assert parsed.registers["CT6_IGAIN"] == 42720
    assert parsed.line_frequency_hz == 50
    assert parsed.extra_keys == ()


def test_the_keys_and_the_mask_are_those_of_the_contract():
    contract = tomllib.loads(data_file("firmware", "contract.toml").read_text(encoding="utf-8"))
    for kind, expected in (("factory", FACTORY_KEYS), ("calibration", CALIBRATION_KEYS)):
        keys: list[str] = []
        for name, entry in contract["keys"].items():
            if entry.get(kind):
                keys += (
                    [name.replace("n_", f"{n}_", 1) for n in range(1, entry["count"] + 1)]
                    if "count" in entry
                    else [name]
                )
        assert sorted(keys) == sorted(expected)
    assert contract["firmware"]["calibration_hash_key"] == FACTORY_HASH_KEY
    assert contract["firmware"]["secret_mask"] == MASK


def test_accepts_whole_floats_as_original_firmware_stores_them():
    assert parse_factory_file(encoded(good() | {"CT1_IGAIN": 42720.0})).registers["CT1_IGAIN"] == 42720


def test_names_extra_keys():
    assert parse_factory_file(encoded(good() | {"X": 1})).extra_keys == ("X",)


@pytest.mark.parametrize("key", FACTORY_KEYS)
def test_names_the_key_that_is_missing(key: str):
    values = good()
    del values[key]
    with pytest.raises(DutError, match=key):
        parse_factory_file(encoded(values))


@pytest.mark.parametrize("value", [-1, 65536, 0.5, "42720", None, True, [], 1e400])
def test_names_the_register_that_is_wrong(value: Any):
    with pytest.raises(DutError):
        parse_factory_file(encoded(good() | {"CT3_IGAIN": value}))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"NaN",
        b'{"ASSY": 1, "ASSY": 2}',
        b"[" * 15000,
        b" " * 20000,
        encoded(good() | {"LINE_FREQ_HZ": 55}),
        encoded(good() | {"ASSY": "ASY"}),
        encoded(good() | {"ASSY": 5}),
    ],
)
def test_refuses_what_is_no_factory_file(data: bytes):
    with pytest.raises(DutError):
        parse_factory_file(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes):
    with pytest.raises(DutError):
        parse_factory_file(data)


@given(st.sampled_from(FACTORY_KEYS), json_values)
def test_any_value_is_read_or_refused(key: str, value: Any):
    try:
        parse_factory_file(encoded(good() | {key: value}))
    except DutError as error:
        assert key in str(error) or "label" in str(error)  # noqa: PT017 - both outcomes are right


def test_masks_every_password_and_nothing_else():
    config = {
        "WIFI": {"SSID": "line", "PASSWD": "hunter22", "CHANNEL": 3},
        "MQTT_PASSWORD": "",
        "MQTT_USERNAME": "meter",
        "list": [{"api_token": 5}],
    }
    masked = mask_secrets(config)
    assert masked["WIFI"] == {"SSID": "line", "PASSWD": MASK, "CHANNEL": 3}
    assert masked["MQTT_PASSWORD"] == ""
    assert masked["MQTT_USERNAME"] == "meter"
    assert masked["list"] == [{"api_token": MASK}]
    assert config["WIFI"]["PASSWD"] == "hunter22"
    assert b"hunter22" not in factory_file.masked_machine_config(config)


@given(st.dictionaries(st.text(max_size=5), json_values, max_size=3), st.text(min_size=8, max_size=20))
def test_a_password_never_survives_at_any_depth(config: dict[str, Any], password: str):
    secret = f"\x01{password}"
    config["deep"] = [{"x": {"passwd": secret, "WIFI_PASSWORD": [secret]}}]
    assert json.dumps(secret)[1:-1] not in factory_file.masked_machine_config(config).decode()


class TestACalibrationFile:
    factory = b'{"ASSY": "x"}'

    def good(self, **changes: Any) -> bytes:
        values: dict[str, Any] = dict.fromkeys(CALIBRATION_KEYS, 7)
        values[FACTORY_HASH_KEY] = hashlib.sha256(self.factory).hexdigest()
        return encoded(values | changes)

    def test_gives_its_14_values(self):
        values = parse_calibration_file(self.good(), self.factory)
        assert values == dict.fromkeys(CALIBRATION_KEYS, 7)
        assert len(values) == 14

    @pytest.mark.parametrize(
        ("data", "problem"),
        [
            (b"", "is not JSON"),
            (b"[]", "not a JSON object"),
            (b"{}", "lacks CT1_PHASE"),
            (b'{"CT1_PHASE": 1, "CT1_PHASE": 2}', "there twice"),
            (b"x" * 20000, "20000 bytes"),
        ],
    )
    def test_that_is_none_is_refused(self, data, problem):
        with pytest.raises(DutError, match=problem) as caught:
            parse_calibration_file(data, self.factory)
        assert str(caught.value).startswith("calibration.cfg ")

    @pytest.mark.parametrize(
        ("key", "value", "problem"),
        [
            ("CT6_PGAIN", 65536, "CT6_PGAIN is 65536, outside 0..65535"),
            ("CT1_PHASE", -1, "CT1_PHASE is -1"),
            ("CS0_VOLTAGE_OFFSET", "7", "not a whole number"),
            (FACTORY_HASH_KEY, "0" * 64, "belongs to another factory.cfg"),
        ],
    )
    def test_with_a_value_that_cannot_be_is_refused(self, key, value, problem):
        with pytest.raises(DutError, match=problem):
            parse_calibration_file(self.good(**{key: value}), self.factory)
