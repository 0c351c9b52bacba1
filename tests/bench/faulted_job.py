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
from pathlib import Path

from bench_station import FLASH, RUN_LIMIT_S, BenchStation, Ended
from changed_firmware import copied_firmware
from field_bench import HAND_HELD
from job_faults import Case
from job_strikes import JOBS, POLLED, SLOW
from killed_run import Point, kill_at, open_journal
from unit_states import FACTORY, MACHINE, Seen, state_of

from mfg.emulator import field_units, flash_files
from mfg.emulator.config import MainsConfig
from mfg.emulator.quirks import ORIGINAL, OURS
from mfg.emulator.typical import typical_unit
from mfg.records.index import RecordIndex
from mfg.records.unit_after import NEW, unit_after_text

PHASE_LINE = re.compile(r"^(\S) +\d+  ([a-z_ ]+?) +[\d.]+ s$")
RESTORED = "restored.cfg"
OTHER_NETWORK = "old-network"
UNCALIBRATED = {
    "LINE_FREQ_HZ": 50,
    **dict.fromkeys(("CS0_VOLTAGE_GAIN", "CS4_VOLTAGE_GAIN"), 55600),
    **{f"CT{port}_IGAIN": 42720 for port in range(1, 7)},
    **{f"CT{port}_IOFFSET": 0 for port in range(1, 7)},
}
CRASHING_APP = """
VERSION = "4.1"
raise ValueError("broken")
"""
SILENT_APP = """
import asyncio
import machine

VERSION = "4.1"


async def start(*_):
    watchdog = machine.WDT(timeout=8300)
    while True:
        watchdog.feed()
        await asyncio.sleep(1)


async def stop():
    pass
"""
FIRMWARES = {"crashing": CRASHING_APP, "silent": SILENT_APP}


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


def prepared(folder: Path, case: Case, kind: str) -> BenchStation:
    """Make a station with the case's unit in its slot."""
    job, strike = JOBS[case.job], case.strike
    unit = dataclasses.replace(typical_unit(7, 1), profile=kind, label_serial=strike.label)
    mains = MainsConfig(frequency_hz=strike.mains_hz or job.mains_hz)
    factor = SLOW if kind == ORIGINAL and case.job in POLLED else job.factor
    station = BenchStation(folder, factor=factor, unit=unit, faults=strike.faults, mains=mains)
    if job.hand_held:
        station.content |= {"hand_held_meter": HAND_HELD, "load_points": station.content["load_points"][:1]}
        station.write()
    flash = field_flash(kind, strike.label, job.network, strike.calibrated)
    (folder / FLASH).parent.mkdir(parents=True)
    (folder / FLASH).write_bytes(flash)
    if strike.taken:
        with RecordIndex(folder / "records") as index:
            index.claim_mac(*strike.taken, emulated=True)
    return station


def factory_content(which: str, line_frequency_hz: float) -> bytes:
    """Return a file to restore: of the usual unit, a little other than what it holds, or spoilt."""
    values = field_units.factory_file(dataclasses.replace(typical_unit(7, 1), profile=OURS))
    values = {key: int(value) if isinstance(value, float) else value for key, value in values.items()}
    values["LINE_FREQ_HZ"] = 50 if which == "50 Hz" else int(line_frequency_hz)
    values["CT1_IGAIN"] += 5  # 0.01 %
    if which == "foreign":
        values["ASSY"] = "ASY0398_V003.200_SN00000009"
    if which == "pga":
        values |= {f"CT{port}_IGAIN": values[f"CT{port}_IGAIN"] // 4 for port in range(1, 7)}
    if which == "wrong":
        values["CT2_IGAIN"] = round(values["CT2_IGAIN"] * 1.02)
    content = json.dumps(values).encode()
    return content[: len(content) // 2] if which == "half" else content


def arguments_of(folder: Path, case: Case) -> list[str]:
    """Write what the run is given, the file to restore and another application; return its arguments."""
    (folder / RESTORED).write_bytes(factory_content(case.strike.file, JOBS[case.job].mains_hz))
    if case.strike.file in FIRMWARES:
        (copied_firmware(folder) / "app1" / "app.py").write_text(FIRMWARES[case.strike.file])
    given = {"file": folder / RESTORED, "firmware": folder / "firmware"}
    return [part.format(**given) for part in (*JOBS[case.job].arguments, *case.strike.arguments)]


def run_case(folder: Path, case: Case, kind: str) -> tuple[BenchStation, Ended, Seen]:
    """Run the job with its fault; return the station, how the run ended, and what the unit is judged by."""
    station = prepared(folder, case, kind)
    arguments = arguments_of(folder, case)
    before = files_of(station)
    lines = []
    with subprocess.Popen(
        station.command_line("run", *arguments),
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
    ended = station.ended(process.wait(), "".join(lines))
    return station, ended, seen_of(station, case, before)


def seen_of(station, case, before):
    """Return what the case's unit is judged by, whose supply is off."""
    content = (station.folder / RESTORED).read_bytes()
    return Seen(case, before, files_of(station), content, station.folder / "records")


def run_killed(folder, case, kind):
    """Kill the job's run; return what `run_case` does, and the same of the next run or None."""
    station = prepared(folder, case, kind)
    arguments = arguments_of(folder, case)
    before = files_of(station)
    killed = kill_at(station, Point(case.strike.after), arguments=arguments)
    first = station, station.ended(killed.exit_code, killed.output), seen_of(station, case, before)
    if state_of(first[2]) == NEW:  # there is nothing to do again
        return first, None
    again = station.run(*arguments, labels=())
    return first, (station, again, seen_of(station, case, before))


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


def judged(case, run):
    """Return what is wrong with how a case ended; empty when nothing is."""
    station, ended, seen = run
    record = ended.record
    state = state_of(seen)
    said = record.get("unit_after", {"state": "nothing", "basis": "", "not_proved": []})
    wrong = []
    if ended.outcome not in case.outcomes:
        wrong.append(f"it ended {ended.outcome}: {record['outcome_reasons'][:2]}")
    bad = ended.bad_phases()
    if case.phases and (not bad or bad[0] not in case.phases):
        wrong.append(f"it was caught in {bad}: {record['outcome_reasons'][:2]}")
    if state not in case.states:
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


def judged_killed(case, killed, again):
    """Return what is wrong with how a killed run was closed, and with the same job afterwards."""
    wrong = judged(case, killed)
    if open_journal(killed[0]) is not None:
        wrong.append("a journal is still open")
    if again is None:
        return wrong
    _station, ended, seen = again
    if ended.outcome != JOBS[case.job].passes:
        wrong.append(f"the next run ended {ended.outcome}: {ended.record['outcome_reasons'][:2]}")
    if state_of(seen) != JOBS[case.job].leaves:
        wrong.append(f"after the next run the flash is {state_of(seen)}")
    return wrong


def _is_shown(text, ended):
    """Return whether terminal and report say a text."""
    report = (ended.folder / "report.html").read_text().replace("&#39;", "'")
    shown = " ".join(re.sub(r"[│╭╮╰╯─]", " ", ended.output).split())
    return text in report and text in shown
