"""Over-the-air change of the application: the new one is on trial until it has proved itself.

Every flash operation of the change is cut on the VM's littlefs (cut_power.py); the whole way, with restarts
and the network, runs on the emulated board.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from vm_unit import FIRMWARE, STA_CONFIG, VmUnit, built

from mfg.emulator.unix_vm import vm_command
from mfg.errors import DutError
from mfg.fixtures.dut_api import DutApi
from mfg.fixtures.dut_apps import AppState, DutApps, differences

CONTRACT = tomllib.loads((FIRMWARE.parent / "contract.toml").read_text(encoding="utf-8"))
FACTOR = 3.0  # the watchdog, which a start on trial has from its first moment, allows 2.8 s of wall time
CONFIG = {"/this.machine.cfg": json.dumps(STA_CONFIG).encode()}
# Shorter trials than the 120 s of main.py, which a test holds to contract.toml.
TRIAL_S, SILENT_TRIAL_S = 25, 9
SILENT_APP = b"""
import asyncio, machine
async def start(*_):
    w = machine.WDT(timeout=8300)
    print("silent")
    while True:
        w.feed()
        await asyncio.sleep(1)
async def stop(): pass
"""
CRASHING_APP = b"""
import machine
async def start(*_):
    print("crashing")
    machine.reset()
async def stop(): pass
"""
ENDLESS_APP = b"print('endless')\nwhile True: pass\n"


def own_unit(folder: Path, trial_s: int = TRIAL_S) -> VmUnit:
    main = (FIRMWARE / "main.py").read_text(encoding="utf-8")
    assert "\nTRIAL_S = 120\n" in main
    main = main.replace("\nTRIAL_S = 120\n", f"\nTRIAL_S = {trial_s}\n")
    return VmUnit(folder, CONFIG | {"/main.py": main.encode()}, FACTOR)


def upload(unit: VmUnit, path: str, data: bytes) -> None:
    folder, _, name = path.rpartition("/")
    line = f"FILE {name} {folder} {len(data)} {hashlib.sha256(data).hexdigest()} HTTP/1.1\n"
    assert unit.exchange(line.encode() + data).startswith(b"HTTP/1.0 200 OK"), path


def upgrade(unit: VmUnit, files: dict[str, bytes]) -> None:
    """Do what the existing tools do, up to the restart."""
    assert unit.get("/erase_offline_app") == {"OK": True}
    assert unit.get("/get_inactive_app_folder") == {"INACTIVE_APP_FOLDER": "/app2"}
    for path, data in files.items():
        upload(unit, path, data)
    assert unit.get("/swap_active_app") == {"ACTIVE_APP_FOLDER": 2}
    assert unit.get("/get_active_app_folder") == {"ACTIVE_APP_FOLDER": "/app2"}


def restart(unit: VmUnit) -> None:
    unit.power_off()
    unit.power_on()


def state(unit: VmUnit) -> dict:
    return unit.get("/get_app_state")


@pytest.fixture(scope="module")
def ours() -> dict[str, bytes]:
    return {file.path_on_unit: file.data for file in built("app2").files if file.path_on_unit != "/main.py"}


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[VmUnit]:
    with own_unit(tmp_path) as running:
        running.ready()
        yield running


@pytest.fixture(scope="module")
def cuts() -> dict[str, list[int]]:
    """Return what cut_power.py says of each scenario.

    The number of cuts; how many end with versions 1 and 2 after one start, and after five; the version uncut.
    """
    command = [*vm_command(), "-X", "heapsize=16M", str(Path(__file__).with_name("cut_power.py"))]
    done = subprocess.run([*command, str(FIRMWARE)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    return {name: [int(number) for number in numbers] for _, name, *numbers in lines}


def test_a_power_cut_at_every_flash_operation_leaves_the_old_or_the_new_application(cuts):
    count, first_old, first_new, last_old, last_new, uncut = cuts["good"]
    assert count > 40
    assert min(first_old, first_new) > 3
    assert (last_old, last_new) == (first_old, first_new)
    assert uncut == 2


def test_a_power_cut_never_keeps_an_application_that_does_not_prove_itself(cuts):
    for scenario in ("bad", "back"):
        count, _, first_new, last_old, last_new, uncut = cuts[scenario]
        assert count > 40
        assert first_new > 3  # it was started
        assert (last_old, last_new, uncut) == (count + 1, 0, 1)


def test_a_new_application_that_answers_stays(unit, ours):
    upgrade(unit, ours)
    restart(unit)
    unit.wait_for("INFO:  Running app2")
    unit.ready()
    assert state(unit)["TRIAL"]
    unit.wait_for("INFO:  app2 has proved itself")
    assert state(unit) == {"RUNNING": "/app2", "ACTIVE": "/app2", "TRIAL": False, "STARTS_LEFT": None}
    while unit.get("/get_uptime")["UPTIME_SECONDS"] < TRIAL_S + 1:
        time.sleep(0.1)
    assert "machine.reset" not in unit.resets  # what ends a trial that is overdue
    restart(unit)
    unit.wait_for("INFO:  Running app2")
    unit.ready()
    assert not state(unit)["TRIAL"]


def test_the_station_s_client_changes_proves_and_confirms_an_application_at_once(unit):
    apps = DutApps(DutApi("127.0.0.1", unit.unit.http_port, unit.clock))
    before = apps.snapshot()
    apps.erase_inactive()
    for file in built("app2").files[1:]:
        apps.upload_inactive(file)
    assert apps.switch() == "/app2"
    with pytest.raises(DutError, match="which runs"):
        apps.confirm("/app2")  # it does not run yet
    restart(unit)
    unit.ready()
    on_trial = [AppState("/app2", "/app2", on_trial=True, starts_left=left) for left in (0, 1, 2)]
    assert apps.state() in on_trial  # a busy machine may cost a start: the watchdog
    with pytest.raises(DutError, match="which runs"):
        apps.confirm("/app1")
    apps.confirm("/app2")
    restart(unit)
    unit.ready()
    assert apps.state() == AppState("/app2", "/app2", on_trial=False, starts_left=None)
    volatile = frozenset(CONTRACT["snapshot"]["volatile"])
    changed = differences(before, apps.snapshot(), volatile)
    new = [f"{file.path_on_unit} is new" for file in built("app2").files[1:]]
    assert changed == sorted([*new, "/this.machine.cfg has changed"])


def test_the_way_back_cannot_be_touched_during_the_trial(unit, ours):
    upgrade(unit, ours)
    restart(unit)
    unit.ready()
    assert state(unit)["TRIAL"]
    before = set(unit.get("/get_file_list"))
    for path in ("/erase_offline_app", "/rmfile?file=/app1/app.mpy"):
        assert "way back" in unit.get(path)["ERROR"]
    line = f"FILE app.mpy /app1 1 {hashlib.sha256(b'x').hexdigest()} HTTP/1.1\nx"
    assert b"200 OK" not in unit.exchange(line.encode())
    assert set(unit.get("/get_file_list")) == before
    assert unit.get("/swap_active_app") == {"ACTIVE_APP_FOLDER": 1}
    restart(unit)
    unit.wait_for("INFO:  Running app1")
    unit.ready()
    assert state(unit) == {"RUNNING": "/app1", "ACTIVE": "/app1", "TRIAL": False, "STARTS_LEFT": None}
    assert not [path for path in unit.get("/get_file_list") if ".try" in path]


@pytest.mark.parametrize(
    ("app", "starts"),
    [(SILENT_APP, 1), (CRASHING_APP, 3), (ENDLESS_APP, 3)],
    ids=["silent", "crashing", "endless"],
)
def test_the_old_application_is_back_when_the_new_one_does_not_answer(tmp_path, app, starts):
    with own_unit(tmp_path, SILENT_TRIAL_S) as unit:
        unit.ready()
        config = unit.get("/get_config")
        upgrade(unit, {"/app2/app.py": app})
        restart(unit)
        unit.wait_for("INFO:  Running app1", 40.0)
        unit.ready()
        log = unit.get("/get_file?file=/bootlog.txt")["/bootlog.txt"].splitlines()
        assert len([line for line in log if line.startswith("boot app2")]) == starts + 1
        assert log.count("app2 did not prove itself") == 1
        assert state(unit) == {"RUNNING": "/app1", "ACTIVE": "/app1", "TRIAL": False, "STARTS_LEFT": None}
        assert unit.get("/get_config") == config
        restart(unit)
        unit.wait_for("INFO:  Running app1")
        assert "did not prove itself" not in unit.console


def test_a_new_application_that_cannot_be_imported_is_passed_over_at_once(unit):
    upgrade(unit, {"/app2/app.py": b"import no_such_module\n"})
    restart(unit)
    unit.wait_for("INFO:  Running app1")
    unit.ready()
    assert state(unit) == {"RUNNING": "/app1", "ACTIVE": "/app1", "TRIAL": False, "STARTS_LEFT": None}


def test_erasing_what_would_run_next_makes_the_running_application_the_active_one(unit, ours):
    upgrade(unit, ours)
    assert unit.get("/erase_offline_app") == {"OK": True}
    assert state(unit) == {"RUNNING": "/app1", "ACTIVE": "/app1", "TRIAL": False, "STARTS_LEFT": None}
    assert not [path for path in unit.get("/get_file_list") if path.startswith("/app2")]


def test_a_power_cut_during_an_upload_leaves_the_old_application(unit, ours):
    assert unit.get("/erase_offline_app") == {"OK": True}
    paths = list(ours)
    for path in paths[:5]:
        upload(unit, path, ours[path])
    unit.power_off()
    unit.power_on()
    unit.wait_for("INFO:  Running app1")
    unit.ready()
    upgrade(unit, ours)
    restart(unit)
    unit.wait_for("INFO:  Running app2")
