"""What was adjusted in a configuration is taken out of it over USB, and nothing else of it is touched."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from mfg.errors import DutError
from mfg.phases.settle_calibration import _over_usb

MACHINE = "/this.machine.cfg"
CONFIGURATION = {"WIFI": {"SSID": "home"}, "CT1_NAME": "oven", "CT1_IGAIN": 43000}
SHEET = SimpleNamespace(touched_files=("factory.cfg",), old_settings={"CT1_IGAIN": 42720})


class Prompt:
    """A unit's file system."""

    def __init__(self, files):
        self.files = files
        self.exists = files.__contains__
        self.write_file = files.__setitem__

    def remove_beside(self, path):
        self.files.pop(f"{path}.new", None)

    def read_file(self, path, _limit_bytes):
        return self.files[path]


def test_the_old_gains_go_back_into_a_configuration_that_keeps_the_rest():
    prompt = Prompt({MACHINE: json.dumps(CONFIGURATION).encode()})
    assert _over_usb(SHEET, {}, prompt) == {}
    assert json.loads(prompt.files[MACHINE]) == CONFIGURATION | {"CT1_IGAIN": 42720}


def test_half_a_configuration_is_not_replaced_by_gains_alone():
    half = json.dumps(CONFIGURATION).encode()[:20]
    prompt = Prompt({MACHINE: half})
    with pytest.raises(DutError, match="is not whole"):
        _over_usb(SHEET, {}, prompt)
    assert prompt.files[MACHINE] == half
