"""What the coverage run does by hand: faults that no part of the emulated bench carries.

Each act is done to the surroundings of one run - its disk, its clock, its files, the unit's reset pin - and
never to an answer.
"""

from __future__ import annotations

import dataclasses
import os
import resource
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench_station import BenchStation
from changed_firmware import copied_firmware, with_addition
from small_disk import on_a_small_disk

from mfg.emulator.config import InstrumentsConfig
from mfg.emulator.fault_catalogue import Fault
from mfg.emulator.images import ERASE_FILE, MICROPYTHON_FILE

HTML_NAME = "<script>alert(1)</script>"
UF2_BLOCK_BYTES = 512
FILE_HANDLES = 17
RESET_WALL_S = 60.0
RESTARTING = ("check_power_cycle", "verify_stored")  # phases in which the station restarts the unit itself
PAST_DUE_DAYS = -3

Hook = Callable[[BenchStation], None]
Options = Callable[[BenchStation], dict[str, Any]]

# The computer's clock as the station's modules see it. Other packages hold the real type in C.
CLOCK = """
import builtins, datetime, os, time, types

_TIME, _IMPORT, _SWITCH = time.time, builtins.__import__, os.environ["MFG_CLOCK_SWITCH"]

def _shift_s():
    return -3600.0 if os.path.exists(_SWITCH) else 0.0

class _SetBack(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + datetime.timedelta(seconds=_shift_s())

_fake = types.ModuleType("datetime")
_fake.__dict__.update(vars(datetime), datetime=_SetBack)

def _imported(name, globals=None, *rest, **more):
    module = _IMPORT(name, globals, *rest, **more)
    ours = name == "datetime" and str((globals or {}).get("__name__", "")).startswith("mfg.")
    return _fake if ours else module

builtins.__import__ = _imported
time.time = lambda: _TIME() + _shift_s()
"""


class NotAllowedError(Exception):
    """This machine does not let anybody do that."""


def _nothing(_station: BenchStation) -> None:
    """Do nothing."""


@dataclasses.dataclass(frozen=True)
class Act:
    """One thing done by hand.

    Attributes:
        plant: Physical parameters of the bench that differ.
        bench_up: Whether the bench is started before and apart from the run.
        prepare: Done before the run.
        arguments: Further arguments of the run.
        options: How the run's process is started.
        after: Done as soon as the named phase has ended.
        release: Done once the run has ended.
        forbidden: A text that no report of the run may hold.
    """

    plant: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    bench_up: bool = False
    prepare: Hook = _nothing
    arguments: Callable[[BenchStation], tuple[str, ...]] = lambda _station: ()
    options: Options = lambda _station: {}
    after: Mapping[str, Hook] = dataclasses.field(default_factory=dict)
    release: Hook = _nothing
    forbidden: str = ""


def act_for(fault: Fault, cases: Mapping[str, int]) -> Act:
    """Return what a hand does for a fault.

    Args:
        fault: One of the part "hand".
        cases: Number of each phase of the plan that runs, ascending in its order.
    """
    if fault.template == "reboots_in_{phase}":
        order = sorted(cases, key=cases.__getitem__)
        strike = _reset_after_its_restart if fault.phase in RESTARTING else _reset_the_unit
        return Act(after={order[order.index(fault.phase) - 1]: strike})
    return ACTS[fault.name]()


def _reset_the_unit(station: BenchStation) -> None:
    """Pull the MCU's reset pin as soon as it runs."""
    _wait_until(lambda: station.unit.call("state")["state"] == "run", "the unit runs")
    station.unit.call("reset")


def _reset_after_its_restart(station: BenchStation) -> None:
    """Let the chip be reset when the unit is back from a restart that the station wanted and is asked again.

    One more restart before that is a longer start, and harms nothing. The station asks for the uptime last.
    """
    station.unit.call("fault", name="reset_when_asked", on=True)


def _wait_until(seen: Callable[[], bool], what: str) -> None:
    end_s = time.monotonic() + RESET_WALL_S
    while not seen():
        if time.monotonic() > end_s:
            raise TimeoutError(f"It did not come to this: {what}.")
        time.sleep(0.01)


def _spoiled_image(file: str, spoil: Callable[[bytes, Path], bytes]) -> Act:
    def prepare(station: BenchStation) -> None:
        images = station.folder / ".bench" / "images"
        (images / file).write_bytes(spoil((images / file).read_bytes(), images))

    return Act(bench_up=True, prepare=prepare)


def _wrong_image() -> Act:
    return _spoiled_image(ERASE_FILE, lambda _image, images: (images / MICROPYTHON_FILE).read_bytes())


def _truncated_image() -> Act:
    return _spoiled_image(MICROPYTHON_FILE, lambda image, _images: image[:-UF2_BLOCK_BYTES])


def _names_with_html() -> Act:
    def arguments(station: BenchStation) -> tuple[str, ...]:
        row = f'("CTn_NAME", {HTML_NAME!r}, 0, 64, SETTABLE)'
        changed = f'\n\nROWS = tuple([{row} if row[0] == "CTn_NAME" else row for row in ROWS])\n'
        firmware = with_addition(copied_firmware(station.folder), "schema.py", changed)
        return ("--firmware", str(firmware))

    return Act(arguments=arguments, forbidden=HTML_NAME)


def _past_due() -> Act:
    return Act(plant={"instruments": InstrumentsConfig(certificate_days=PAST_DUE_DAYS)})


def _records(station: BenchStation) -> Path:
    folder = station.folder / "records"
    folder.mkdir(exist_ok=True)
    return folder


def _disk_full() -> Act:
    return Act(bench_up=True, options=lambda station: on_a_small_disk(_records(station)))


def _read_only(station: BenchStation) -> dict[str, Any]:
    """Return what runs a command with the records' folder mounted read-only, or owned by nobody."""
    folder = _records(station)
    mount = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    for unshare in (["unshare", "-rm"], ["unshare", "-m"]):
        prefix = [*unshare, "sh", "-c", mount, str(folder)]
        with suppress(FileNotFoundError):
            if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0:
                return {"prefix": prefix}
    if os.geteuid() == 0:
        raise NotAllowedError("Nobody may mount a folder here, and root may write everywhere.")
    folder.chmod(0o500)
    return {}


def _records_read_only() -> Act:
    return Act(
        bench_up=True, options=_read_only, release=lambda station: (station.folder / "records").chmod(0o700)
    )


def _store_locked() -> Act:
    held: list[sqlite3.Connection] = []

    def lock(station: BenchStation) -> None:
        connection = sqlite3.connect(
            _records(station) / "index.sqlite", isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        held.append(connection)

    def release(_station: BenchStation) -> None:
        while held:
            held.pop().close()

    return Act(after={"write_label": lock}, release=release)


def _clock_jump() -> Act:
    def options(station: BenchStation) -> dict[str, Any]:
        folder = station.folder / "python"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(CLOCK)
        path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
        return {"env": {"PYTHONPATH": path, "MFG_CLOCK_SWITCH": str(station.folder / "set-back")}}

    def set_back(station: BenchStation) -> None:
        (station.folder / "set-back").touch()

    return Act(options=options, after={"check_leds": set_back})


def _out_of_file_handles() -> Act:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILE_HANDLES, FILE_HANDLES))

    return Act(bench_up=True, options=lambda _station: {"preexec_fn": limit})


def _station_file_edited() -> Act:
    def edit(station: BenchStation) -> None:
        station.content["conductor"]["turns"] = 5
        station.write()

    def keep(station: BenchStation) -> None:
        shutil.copyfile(station.path, station.path.with_suffix(".before"))

    return Act(prepare=keep, after={"check_leds": edit})


ACTS: dict[str, Callable[[], Act]] = {
    "wrong_image": _wrong_image,
    "truncated_image": _truncated_image,
    "names_with_html": _names_with_html,
    "meter_past_due": _past_due,
    "disk_full": _disk_full,
    "records_read_only": _records_read_only,
    "store_locked": _store_locked,
    "clock_jump": _clock_jump,
    "out_of_file_handles": _out_of_file_handles,
    "station_file_edited": _station_file_edited,
}
