"""How the unit of a killed run was left is said from the journal and from the unit, or it is not known."""

from __future__ import annotations

import json

import pytest

from mfg.records.journal import (
    COPY,
    ERASE,
    KEEP_APPLICATION,
    RESET_WIFI,
    STORE,
    WRITE_WIFI,
    Story,
    exchange_act,
)
from mfg.records.unit_after import BETWEEN, NEW, OLD, UNFINISHED, UNKNOWN
from mfg.runner.interrupted_unit import facts_of_interrupted_unit

NOT_CONCERNED, OTHER_UNIT = "not concerned", "another unit: not touched"
LOAD = exchange_act("/app2", "/app1")


def measured(application=NOT_CONCERNED, returned=NOT_CONCERNED, calibration=NOT_CONCERNED):
    """Make the phases of a recovery, as far as they tell in which state the unit is."""
    settle = [
        {"name": "application_after", "value": application},
        {"name": "returned_unit", "value": returned},
    ]
    archive = [{"name": "calibration_after", "value": calibration}]
    return [{"measurements": settle}, {"measurements": archive}]


def left(acts, phases=(), archived=None, held=None, damaged=False):
    story = Story("run", acts=list(acts), damaged=damaged)
    return facts_of_interrupted_unit(story, phases, archived or {}, held or {})


@pytest.mark.parametrize(
    ("acts", "found", "state"),
    [
        ([STORE], {"calibration": "old"}, OLD),
        (["write the label"], {"calibration": "old"}, OLD),
        ([STORE], {"calibration": "between"}, BETWEEN),
        ([STORE], {"calibration": "unknown"}, UNKNOWN),
        ([STORE], {}, UNKNOWN),
        ([STORE], {"calibration": OTHER_UNIT}, UNKNOWN),
        ([LOAD], {"application": "old", "calibration": "old"}, OLD),
        ([LOAD], {"application": "old, but CT1_NAME changed", "calibration": "old"}, BETWEEN),
        ([LOAD], {"application": None, "calibration": "old"}, UNKNOWN),
        ([LOAD, STORE, KEEP_APPLICATION], {"application": "new", "calibration": "new"}, NEW),
        ([LOAD, STORE, KEEP_APPLICATION], {"application": "new", "calibration": "between"}, BETWEEN),
        ([LOAD, STORE, KEEP_APPLICATION], {"application": "new"}, UNKNOWN),
        ([LOAD, STORE], {"application": "old", "calibration": "new"}, BETWEEN),
        ([LOAD, KEEP_APPLICATION], {"application": "new", "calibration": "old"}, NEW),
        ([LOAD, STORE, KEEP_APPLICATION], {"application": "new", "calibration": "old"}, BETWEEN),
        ([LOAD, KEEP_APPLICATION], {"application": "new", "calibration": "between"}, BETWEEN),
        ([COPY], {"returned": "as it came"}, OLD),
        ([COPY], {"returned": "/x is new"}, BETWEEN),
    ],
)
def test_what_was_begun_is_judged_by_what_is_found(acts, found, state):
    assert left(acts, measured(**found))["state"] == state


@pytest.mark.parametrize("damaged", [False, True])
def test_a_unit_that_was_erased_is_unfinished_whatever_is_found(damaged):
    facts = left([ERASE, STORE], measured(calibration="old"), damaged=damaged)
    assert facts == {"state": UNFINISHED, "basis": f"Begun on it: {ERASE}; {STORE}.", "not_proved": []}


def test_an_erase_that_was_about_to_begin_left_the_unit_as_it_came_where_all_its_files_are_there():
    files = {"factory.cfg": b"its own"}
    assert left([ERASE], measured(), files, dict(files))["state"] == OLD
    filled_up = files | wifi()
    before = files | {"this.machine.cfg": b'{"CT1_NAME": "oven"}'}
    assert left([ERASE], measured(), before, filled_up)["state"] == OLD
    assert left([ERASE], measured(), files | wifi("bench"), filled_up)["state"] == UNFINISHED
    assert left([ERASE], measured(), files, {"factory.cfg": b"another"})["state"] == UNFINISHED
    assert left([ERASE], measured(), files, {})["state"] == UNKNOWN, "a unit in its boot ROM shows nothing"
    assert left([ERASE], measured())["state"] == UNFINISHED
    assert left([ERASE], measured(), files, files, damaged=True)["state"] == UNFINISHED
    assert left([ERASE, "load MicroPython"], measured(), files, files)["state"] == UNFINISHED


def test_a_run_that_had_begun_nothing_left_the_unit_as_it_came_though_nobody_looked():
    assert left([])["state"] == OLD


def test_a_damaged_journal_proves_nothing():
    assert left([], measured(), damaged=True)["state"] == UNKNOWN
    assert left([STORE], measured(calibration="old"), damaged=True)["state"] == UNKNOWN


def test_where_nobody_looked_what_was_begun_is_named():
    facts = left([STORE, STORE])
    assert (facts["state"], facts["basis"]) == (UNKNOWN, f"Begun on it: {STORE}.")


def wifi(ssid="home", name="oven"):
    """Give the file of a configuration with a WiFi network."""
    values = {"WIFI": {"SSID": ssid, "PASSWD": "****"}, "CT1_NAME": name}
    return {"this.machine.cfg": json.dumps(values).encode()}


@pytest.mark.parametrize(
    ("held", "state"),
    [
        (wifi(), OLD),
        (wifi("bench"), NEW),
        (wifi("bench", "kettle"), BETWEEN),
        ({"this.machine.cfg": b"{"}, BETWEEN),
    ],
)
def test_a_wifi_configuration_is_compared_with_the_archived_one(held, state):
    facts = left([WRITE_WIFI], measured(), wifi(), held)
    assert facts["state"] == state
    assert facts["not_proved"] == (["that it joins"] if state == NEW else [])
    assert left([RESET_WIFI], measured(), wifi(), held)["not_proved"] == []


def test_a_wifi_configuration_that_nobody_archived_is_not_known():
    assert left([WRITE_WIFI], measured(), {}, wifi())["state"] == UNKNOWN
    assert left([WRITE_WIFI], measured(calibration=OTHER_UNIT), wifi(), wifi())["state"] == UNKNOWN
