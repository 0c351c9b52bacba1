"""What a running unit holds is kept, and with it what a job would write into its configuration."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from phase_fakes import call, traveller

from mfg.fixtures.unit_config import HeldValues
from mfg.phases.archive_running_unit import archive_running_unit
from mfg.records.factory_file import CALIBRATION_KEYS, FACTORY_KEYS, REGISTER_KEYS

FACTORY = json.dumps(
    dict.fromkeys(FACTORY_KEYS, 7) | {"ASSY": "ASY0398_V003.200_SN00001823", "LINE_FREQ_HZ": 50}
)
WORDS = dict.fromkeys((*REGISTER_KEYS, *CALIBRATION_KEYS), 3)
CONFIGURATION = WORDS | {"LINE_FREQ_HZ": 50, "WIFI": {"SSID": "home", "PASSWD": "secret"}}


def archived(files, features=frozenset({"phase"})):
    """Call the phase on a unit with some files; return its sheet."""
    api = SimpleNamespace(
        file_list=lambda: list(files),
        get_file=files.__getitem__,
        config=lambda: HeldValues(CONFIGURATION, "the unit"),
    )
    plug = traveller(features=features, old_settings={})
    call(archive_running_unit, traveller=plug, unit=SimpleNamespace(api=api))
    return plug.sheet


@pytest.mark.parametrize(
    ("features", "words"),
    [({"phase"}, WORDS), (set(), dict.fromkeys(REGISTER_KEYS, 3))],
)
def test_of_a_unit_without_a_calibration_every_word_that_a_job_writes_is_remembered(features, words):
    sheet = archived({}, frozenset(features))
    assert sheet.old_files == {}
    assert sheet.old_settings == words | {"LINE_FREQ_HZ": 50}


def test_of_a_calibrated_unit_its_files_are_enough():
    sheet = archived({"/factory.cfg": FACTORY})
    assert sheet.old_files == {"factory.cfg": FACTORY.encode()}
    assert sheet.old_settings == {}
    assert b"secret" not in sheet.kept["archive_this.machine.cfg"]
