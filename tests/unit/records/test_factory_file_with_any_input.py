"""Whatever a unit calls its factory file or its configuration is read or refused; no secret gets out."""

from __future__ import annotations

import json
from functools import partial

import pytest
from any_input import JSON_LITERALS, broken_bytes, json_documents, read_or_refuse
from hypothesis import given
from hypothesis import strategies as st
from test_factory_file import good

from mfg.errors import DutError
from mfg.readings.unit_files import FILE_LIMIT_BYTES, _masked
from mfg.records.factory_file import FACTORY_KEYS, REGISTER_KEYS, parse_factory_file

SECRET = "correct horse battery"
CONFIG = {
    "ASSY": "ASY0398_V003.200_SN00001823",
    "WIFI": {"WIFI_CFG": 1, "MODE": "STA", "SSID": "line", "PASSWD": SECRET},
    "MQTT_PASSWORD": SECRET,
    "CT1_NAME": "oven",
    "CT1_IGAIN": 42720.0,
}


@given(json_documents(good()))
def test_a_factory_file_with_something_wrong_is_read_or_refused(data):
    file = read_or_refuse(lambda: parse_factory_file(data), DutError)
    if file is not None:
        assert set(file.registers) == set(REGISTER_KEYS)
        assert all(0 <= word <= 65535 for word in file.registers.values())
        assert file.line_frequency_hz in (50, 60)


@pytest.mark.parametrize("key", FACTORY_KEYS)
def test_every_evil_value_at_every_key_is_refused_by_the_key(key):
    for literal in JSON_LITERALS:
        data = json.dumps(good() | {key: "@"}).replace('"@"', literal).encode()
        place = "" if key == "ASSY" else "factory.cfg"
        file = read_or_refuse(partial(parse_factory_file, data), DutError, place=place)
        assert file is None or literal in ("0", "-0", "1")


@given(json_documents(CONFIG) | st.binary(max_size=60) | st.sampled_from(JSON_LITERALS).map(str.encode))
def test_a_configuration_that_is_archived_is_masked_whole_or_not_kept(data):
    """What is nested 600 deep ended in a traceback; a text alone, possibly the secret, was kept as it was."""
    kept = _masked(data[:FILE_LIMIT_BYTES])
    if not kept.startswith(b"not a configuration"):
        assert isinstance(json.loads(kept), dict)


@given(broken_bytes(json.dumps(CONFIG).encode()))
def test_no_secret_of_a_broken_configuration_is_kept(data):
    kept = _masked(data)
    if b'PASSWD": "' in data and b'MQTT_PASSWORD": "' in data:
        assert SECRET.encode() not in kept


def test_a_text_that_is_all_of_the_configuration_is_not_kept():
    assert _masked(json.dumps(SECRET).encode()) == b"not a configuration: 23 bytes, not kept"
