"""How a job left a unit, by what its flash held before and after; the station's word counts nothing.

A state is old, new, unfinished, or between and why.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from job_faults import Case
from job_strikes import ERASING, JOBS

from mfg.data_files import data_folder
from mfg.errors import DutError
from mfg.fixtures.firmware_build import build_firmware
from mfg.records.factory_file import FACTORY_KEYS, parse_calibration_file, parse_factory_file
from mfg.records.unit_after import BETWEEN, NEW, OLD, UNFINISHED

FACTORY, BESIDE, MACHINE = "/factory.cfg", "/calibration.cfg", "/this.machine.cfg"
KEPT = ("ACTIVE", "YDEV_UNIT_NAME", "CT1_NAME")  # what the unit's user has set
# What an application writes at its start, and half of what it was writing when it was reset.
LITTER = re.compile(r"/(bootlog\.txt|[^/]*\.(part|tmp))")
VOLTAGE_GAINS = ("CS0_VOLTAGE_GAIN", "CS4_VOLTAGE_GAIN")
PHASE_KEYS = tuple(f"CT{port}_PHASE" for port in range(1, 7))  # of our firmware alone
NEW_LABEL = "ASY0398_V003.400_SN00004711"


@dataclasses.dataclass(frozen=True)
class Seen:
    """What there is to judge a unit by.

    Attributes:
        before, after: The unit's files by path.
        content: The file that was restored.
        records: The station's records.
    """

    case: Case
    before: Mapping[str, bytes]
    after: Mapping[str, bytes]
    content: bytes
    records: Path

    @property
    def same_calibration(self) -> bool:
        if FACTORY not in self.before and FACTORY not in self.after:  # nothing lies over its configuration
            return calibration_of(self.after) == calibration_of(self.before)
        return all(self.after.get(path) == self.before.get(path) for path in (FACTORY, BESIDE))

    @property
    def calibration_is_kept(self) -> bool:
        """Whether the unit's factory file is one that a record keeps."""
        kept = [path.read_bytes() for path in self.records.glob("*/*/ASY*_factory.cfg")]
        return self.after.get(FACTORY) in kept

    @property
    def wifi(self) -> dict[str, object]:
        wifi = json.loads(self.after.get(MACHINE, b"{}")).get("WIFI", {})
        return dict(wifi)

    @property
    def same_wifi(self) -> bool:
        old = json.loads(self.before[MACHINE])["WIFI"]
        return all(self.wifi.get(key) == old[key] for key in old)

    def changed(self) -> dict[str, object]:
        """Return what the unit is now calibrated and labelled with and was not before, by key."""
        before, after = calibration_of(self.before), calibration_of(self.after)
        keys = {**before, **after}  # a power gain that is not there is zero
        return {key: after.get(key, 0) for key in keys if before.get(key, 0) != after.get(key, 0)}


def calibration_of(files: Mapping[str, bytes]) -> dict[str, object]:
    """Return what a unit with these files is calibrated with, by key; raises where a file is not whole."""
    machine = json.loads(files.get(MACHINE, b"{}"))
    held = {key: machine.get(key, 0) for key in (*FACTORY_KEYS, *PHASE_KEYS)}
    if FACTORY in files:
        factory = parse_factory_file(files[FACTORY])
        held |= {"ASSY": factory.label.unit_text, "LINE_FREQ_HZ": factory.line_frequency_hz}
        held |= factory.registers
        if BESIDE in files:
            held |= parse_calibration_file(files[BESIDE], files[FACTORY])
    return held


def state_of(seen: Seen) -> str:
    """Say by the flash alone how the unit was left."""
    try:
        calibration_of(seen.after)
        configuration = json.loads(seen.after.get(MACHINE, b"{}"))
    except (DutError, ValueError) as error:
        return f"{BETWEEN}: {error}"
    if seen.case.job not in ERASING or _is_as_its_user_set_it(seen, configuration):
        return _state_of_a_unit_in_use(seen, configuration)
    finished = seen.wifi.get("WIFI_CFG") == int(seen.case.job == "no-default") and "/main.py" in seen.after
    calibrates = seen.case.job not in ("no-cal", "no-default")
    right = not calibrates or (seen.calibration_is_kept and _mains_hz(seen) == JOBS[seen.case.job].mains_hz)
    return NEW if finished and right and (FACTORY in seen.after) == calibrates else UNFINISHED


def _is_as_its_user_set_it(seen: Seen, configuration: Mapping[str, object]) -> bool:
    before = json.loads(seen.before[MACHINE])
    return all(configuration.get(key) == before.get(key) for key in KEPT)


def _mains_hz(seen: Seen) -> object:
    return calibration_of(seen.after)["LINE_FREQ_HZ"]


def _state_of_a_unit_in_use(seen: Seen, configuration: Mapping[str, object]) -> str:
    kept = _is_as_its_user_set_it(seen, configuration)
    strange = {path for path in seen.after.keys() - seen.before.keys() if not LITTER.fullmatch(path)}
    strange = {path for path in strange - {FACTORY, BESIDE} if not path.startswith("/app2")}
    application = _application_of(seen, configuration)
    if not kept or strange or application == BETWEEN:
        return f"{BETWEEN}: {configuration} {sorted(strange)} {application}"
    if application == OLD and seen.same_calibration and seen.same_wifi:
        return OLD
    exchanges = seen.case.job.startswith("upgrade")
    new = NEW_STATES.get(seen.case.job)
    if exchanges == (application == NEW) and new and new(seen):
        return NEW
    return f"{BETWEEN}: {application} application, {seen.changed()}, {seen.wifi}"


def _application_of(seen: Seen, configuration: Mapping[str, object]) -> str:
    """Return which application is on the unit, whole, selected and not on trial; else "between"."""
    programs, before = _programs(seen.after), _programs(seen.before)
    selected = configuration.get("APP", 1)
    if any(".try" in path for path in seen.after):
        return BETWEEN
    if programs == before and selected == 1:
        return OLD
    boot = {path: content for path, content in before.items() if not path.startswith("/app")}
    new = (boot | _built(), before | _built())  # the old one may be gone or stay beside it
    return NEW if programs in new and selected == 2 else BETWEEN


def _programs(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {path: content for path, content in files.items() if path.endswith((".py", ".mpy"))}


@functools.cache
def _built() -> dict[str, bytes]:
    """Return this checkout's application as it must lie in the second folder."""
    image = build_firmware(data_folder("firmware") / "ct6", None, "app2")
    return {file.path_on_unit: file.data for file in image.files if file.path_on_unit != "/main.py"}


def _is_calibrated(seen: Seen) -> bool:
    right = _mains_hz(seen) == JOBS[seen.case.job].mains_hz
    return seen.same_wifi and seen.calibration_is_kept and right


def _is_restored(seen: Seen) -> bool:
    return seen.same_wifi and seen.after.get(FACTORY) == seen.content


NEW_STATES: dict[str, Callable[[Seen], bool]] = {
    "cal-only": _is_calibrated,
    "cal-only-60hz": _is_calibrated,
    "cal-only-manual": _is_calibrated,
    "voltage-cal-only": lambda seen: _is_calibrated(seen) and set(seen.changed()) <= set(VOLTAGE_GAINS),
    "set-labels": lambda seen: (
        seen.same_wifi and seen.calibration_is_kept and seen.changed() == {"ASSY": NEW_LABEL}
    ),
    "restore": _is_restored,
    "restore-60hz": _is_restored,
    "restore-usb": _is_restored,
    "upgrade": lambda seen: seen.same_wifi and seen.same_calibration,
    "upgrade-and-cal": _is_calibrated,
    "upgrade-and-cal-60hz": _is_calibrated,
    "setup-wifi": lambda seen: (
        seen.same_calibration and (seen.wifi["WIFI_CFG"], seen.wifi["SSID"]) == (1, "mfg-bench")
    ),
    "reset-wifi": lambda seen: (
        seen.same_calibration and seen.wifi["WIFI_CFG"] == 0 and seen.wifi["SSID"] != "mfg-bench"
    ),
}
"""How it is told that a unit is as a job was to leave it, for each that changes a unit in use."""
