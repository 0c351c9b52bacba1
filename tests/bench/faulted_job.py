"""Run one case of `job_faults.py` on the emulated bench, and judge the unit by what its flash holds.

The station's word is never taken for it: the record must say what the flash shows.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import subprocess
import threading

from bench_station import FLASH, RUN_LIMIT_S, BenchStation
from job_faults import JOBS

from mfg.emulator import field_units, flash_files
from mfg.emulator.quirks import OURS
from mfg.emulator.typical import typical_unit
from mfg.errors import DutError
from mfg.records.factory_file import (
    FACTORY_KEYS,
    parse_calibration_file,
    parse_factory_file,
)
from mfg.records.unit_after import BETWEEN, NEW, OLD, UNFINISHED, unit_after_text

FACTOR = 5
PHASE_LINE = re.compile(r"^(\S) +\d+  ([a-z_ ]+?) +[\d.]+ s$")
FACTORY, BESIDE, MACHINE = "/factory.cfg", "/calibration.cfg", "/this.machine.cfg"
KEPT = ("ACTIVE", "YDEV_UNIT_NAME", "CT1_NAME")  # what the unit's user has set
# What an application writes at its start, and half of what it was writing when it was reset.
LITTER = re.compile(r"/(bootlog\.txt|[^/]*\.(part|tmp))")
OTHER_NETWORK = "old-network"
PHASE_KEYS = tuple(f"CT{port}_PHASE" for port in range(1, 7))  # of our firmware alone
UNCALIBRATED = {
    "LINE_FREQ_HZ": 50,
    **dict.fromkeys(("CS0_VOLTAGE_GAIN", "CS4_VOLTAGE_GAIN"), 55600),
    **{f"CT{port}_IGAIN": 42720 for port in range(1, 7)},
    **{f"CT{port}_IOFFSET": 0 for port in range(1, 7)},
}


@functools.cache
def field_flash(kind: str, serial: str, network: bool, calibrated: bool) -> bytes:
    """Return the flash of a unit in use; without the test network it is set up for another one."""
    unit = dataclasses.replace(typical_unit(7, 1), profile=kind, label_serial=serial)
    unit = unit if network else dataclasses.replace(unit, ssid=OTHER_NETWORK)
    flash = bytearray(field_units.field_flash(unit))
    if not calibrated:
        files = _files(flash)
        label = json.loads(files.pop(FACTORY))["ASSY"]
        files[MACHINE] = json.dumps(json.loads(files[MACHINE]) | {"ASSY": label} | UNCALIBRATED).encode()
        flash_files.file_system_image(flash, files)
    return bytes(flash)


def prepared(folder, case, kind) -> BenchStation:
    """Make a station with the case's unit in its slot."""
    unit = dataclasses.replace(typical_unit(7, 1), profile=kind, label_serial=case.strike.label)
    station = BenchStation(folder, factor=FACTOR, unit=unit, faults=case.strike.faults)
    strike = case.strike
    flash = field_flash(kind, strike.label, JOBS[case.job].network, strike.calibrated)
    (folder / FLASH).parent.mkdir(parents=True)
    (folder / FLASH).write_bytes(flash)
    return station


def factory_content(which: str) -> bytes:
    """Return a file to restore: of the usual unit, a little other than what it holds, or spoilt."""
    values = field_units.factory_file(dataclasses.replace(typical_unit(7, 1), profile=OURS))
    values = {key: int(value) if isinstance(value, float) else value for key, value in values.items()}
    values["CT1_IGAIN"] += 5  # 0.01 %
    if which == "foreign":
        values["ASSY"] = "ASY0398_V003.200_SN00000009"
    if which == "pga":
        values |= {f"CT{port}_IGAIN": values[f"CT{port}_IGAIN"] // 4 for port in range(1, 7)}
    if which == "wrong":
        values["CT2_IGAIN"] = round(values["CT2_IGAIN"] * 1.02)
    content = json.dumps(values).encode()
    return content[: len(content) // 2] if which == "half" else content


def run_case(folder, case, kind):
    """Run the job with its fault.

    Returns:
        The station, how the run ended, the unit's files before and after, and the file that was restored.
    """
    station = prepared(folder, case, kind)
    content = factory_content(case.strike.file)
    (folder / "restored.cfg").write_bytes(content)
    before = files_of(station)
    wanted = [part.format(file=folder / "restored.cfg") for part in JOBS[case.job].arguments]
    command = station.command_line("run", *wanted, *case.strike.arguments)
    lines = []
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        **station.options(),
    ) as process:
        timer = threading.Timer(RUN_LIMIT_S, process.kill)
        timer.start()
        for line in process.stdout:
            lines.append(line)
            phase = PHASE_LINE.match(line.rstrip())
            if phase and phase[2].replace(" ", "_") == case.strike.after:
                strike(station, case.strike.hand)
        timer.cancel()
    return station, station.ended(process.wait(), "".join(lines)), before, files_of(station), content


def strike(station, hand):
    if hand == "reset":
        station.unit.call("reset")
    else:
        station.unit.call("fault", name=hand, on=True)


def files_of(station):
    """Return the content of every file on the unit's flash."""
    return _files((station.folder / FLASH).read_bytes())


def _files(flash):
    flash = bytes(flash)
    return {path: flash_files.read_file(flash, path) for path in flash_files.list_files(flash)}


def calibration_of(files):
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


def applications_of(files):
    return {path: content for path, content in files.items() if path.endswith((".py", ".mpy"))}


def state_of(case, before, after, content, folder):
    """Say by the flash alone how the unit was left."""
    try:
        calibration, wifi = calibration_of(after), json.loads(after.get(MACHINE, b"{}")).get("WIFI")
    except (DutError, ValueError) as error:
        return f"{BETWEEN}: {error}"
    if case.job in ("no-cal", "ports"):
        return _state_after_erase(case, after, folder)
    strange = {path for path in after.keys() - before.keys() if not LITTER.fullmatch(path)} - {BESIDE}
    if strange or applications_of(before) != applications_of(after):
        return f"{BETWEEN}: {sorted(strange)}"
    configuration, old = (json.loads(files[MACHINE]) for files in (after, before))
    if any(configuration.get(key) != old.get(key) for key in KEPT):
        return f"{BETWEEN}: {configuration}"
    same_calibration = all(after.get(path) == before.get(path) for path in (FACTORY, BESIDE))
    if FACTORY not in before and FACTORY not in after:  # nothing lies over its configuration
        same_calibration = calibration == calibration_of(before)
    same_wifi = {key: wifi[key] for key in old["WIFI"]} == old["WIFI"]
    if same_calibration and same_wifi:
        return OLD
    new = {
        "restore": same_wifi and after.get(FACTORY) == content,
        "restore-usb": same_wifi and after.get(FACTORY) == content,
        "cal-only": same_wifi and _is_kept(folder, after),
        "setup-wifi": same_calibration and (wifi["WIFI_CFG"], wifi["SSID"]) == (1, "mfg-bench"),
        "reset-wifi": same_calibration and wifi["WIFI_CFG"] == 0 and wifi["SSID"] != "mfg-bench",
    }
    return NEW if new.get(case.job) else f"{BETWEEN}: {after.get(FACTORY)} {wifi}"


def _is_kept(folder, after):
    """Return whether the unit's factory file is the one that its record keeps."""
    kept = [path.read_bytes() for path in folder.glob("records/*/*/ASY*_factory.cfg")]
    return after.get(FACTORY) in kept


def _state_after_erase(case, after, folder):
    """Say how a unit is that was erased: finished, or on its way and without half a calibration."""
    wifi = json.loads(after.get(MACHINE, b"{}")).get("WIFI", {})
    finished = wifi.get("WIFI_CFG") == 0 and "/main.py" in after
    calibrated = FACTORY in after and _is_kept(folder, after)
    if finished and calibrated == (case.job == "ports") and (FACTORY in after) == calibrated:
        return NEW
    return UNFINISHED


def judged(case, folder, run):
    """Return what is wrong with how a case ended; empty when nothing is."""
    station, ended, before, after, content = run
    record = ended.record
    state = state_of(case, before, after, content, folder)
    said = record.get("unit_after", {"state": "nothing", "basis": "", "not_proved": []})
    wrong = []
    if ended.outcome not in case.outcomes:
        wrong.append(f"it ended {ended.outcome}: {record['outcome_reasons'][:2]}")
    bad = ended.bad_phases()
    if case.phases and (not bad or bad[0] not in case.phases):
        wrong.append(f"it was caught in {bad}: {record['outcome_reasons'][:2]}")
    if state != case.state:
        wrong.append(f"the flash is {state}")
    if said["state"] != state:
        wrong.append(
            f"the record says {said['state']} of a flash that is {state}; {bad} {record['outcome_reasons']}"
        )
    elif not _is_shown(unit_after_text(said), ended):
        wrong.append("report or terminal do not say how the unit was left")
    if not station.all_off():
        wrong.append("something is on")
    return wrong


def _is_shown(text, ended):
    """Return whether terminal and report say a text."""
    report = (ended.folder / "report.html").read_text().replace("&#39;", "'")
    shown = " ".join(re.sub(r"[│╭╮╰╯─]", " ", ended.output).split())
    return text in report and text in shown
