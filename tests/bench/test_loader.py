"""The loader, the drive and the console on an emulated unit: a real MicroPython at the other end."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mfg.clock import BenchClock
from mfg.data_files import data_folder
from mfg.errors import DutError, FixtureError
from mfg.fixtures import stream_loader
from mfg.fixtures.bootsel_drive import BootselDrive
from mfg.fixtures.console import SerialConsole
from mfg.fixtures.firmware_build import FirmwareFile, build_firmware
from mfg.fixtures.micropython_repl import MicroPythonRepl
from mfg.fixtures.raw_repl import ExecError
from mfg.fixtures.serial_port import find_port, wait_gone
from mfg.fixtures.uf2 import read_uf2

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "loader_speed.py"
UF2_FOLDER = os.environ.get("MFG_UF2_DIR", "")
NO_UF2 = "MFG_UF2_DIR is not set: no real UF2 images for the rp2040 back end"
BACKENDS = [
    "unix",
    pytest.param("rp2040", marks=[pytest.mark.slow, pytest.mark.skipif(not UF2_FOLDER, reason=NO_UF2)]),
]


def load_benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("loader_speed", BENCHMARK)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["loader_speed"] = module
    spec.loader.exec_module(module)
    return module


loader_speed = load_benchmark()


def nothing(_done: int, _total: int) -> None:
    """Show no progress."""


@pytest.fixture(scope="module", params=BACKENDS)
def unit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Give a unit that runs MicroPython."""
    with loader_speed.emulated_unit(request.param, tmp_path_factory.mktemp(request.param)) as made:
        made.bring_up(UF2_FOLDER)
        yield made


@pytest.fixture
def repl(unit: Any) -> Iterator[MicroPythonRepl]:
    """Give a prompt on an empty file system."""
    with MicroPythonRepl(unit.port, unit.clock) as opened:
        opened.enter()
        opened.wipe()
        yield opened


def every_byte(count: int, seed: int = 1) -> bytes:
    """Return bytes that hold every value, Ctrl-C and Ctrl-D among them, and do not deflate."""
    state, out = seed, bytearray()
    while len(out) < count:
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        out.append(state >> 16 & 0xFF)
    return bytes(out)


def test_the_projects_firmware_is_loaded_and_read_back(unit, repl):
    image = build_firmware(data_folder("firmware") / "ct6", repl.identity()["mpy"])
    seen: list[int] = []
    report = repl.load(image.files, lambda done, total: seen.append(done), image.folders)
    assert (report.files, report.bytes, report.fallback) == (len(image.files), image.bytes, False)
    assert len(seen) > 4
    assert seen[-1] == image.bytes
    for file in image.files:
        assert repl.read_file(file.path_on_unit, 100_000) == file.data
    assert all(repl.exists(folder) for folder in image.folders)
    assert sorted(repl.eval("__import__('os').listdir('/')")) == ["app1", "app2", "main.py"]


def test_any_bytes_and_any_sizes_arrive_as_they_were(repl):
    sizes = (0, 1, 63, 64, 65, 2047, 2048, 2049, 33000)
    files = [FirmwareFile.of(f"/data/d{size}", every_byte(size, size + 1)) for size in sizes]
    files.append(FirmwareFile.of("/data/ctrl", b"\x03\x04\x01\x02\x05\r\n" * 900))
    files.append(FirmwareFile.of("/data/escapes", b"\x1b\x03\x1b[C\x1bC\x1b\x1b[" * 400))
    assert not repl.load(files, nothing).fallback
    for file in files:
        assert repl.read_file(file.path_on_unit, 100_000) == file.data


def test_plain_segments_arrive_too_where_a_unit_cannot_inflate(repl, monkeypatch):
    monkeypatch.setattr(stream_loader, "_WINDOW_BITS", 0)
    files = [FirmwareFile.of("/a", every_byte(50_000)), FirmwareFile.of("/b", b"\x1b\x03" * 3000)]
    assert not repl.load(files, nothing).fallback
    for file in files:
        assert repl.read_file(file.path_on_unit, 100_000) == file.data


def test_a_load_may_be_repeated_over_what_is_there(repl):
    files = [FirmwareFile.of("/a/b/c.bin", every_byte(3000))]
    repl.load(files, nothing)
    repl.load(files, nothing, ["/a", "/a/b"])
    assert repl.read_file("/a/b/c.bin", 10_000) == files[0].data


def test_ctrl_c_works_again_after_a_load(unit, repl):
    repl.load([FirmwareFile.of("/x", every_byte(100))], nothing)
    with pytest.raises(DutError):
        repl.exec("while True: pass", 0.5)
    repl.enter()
    assert repl.exec("print('alive')").strip() == "alive"


def test_a_file_where_a_folder_must_be_fails_the_unit(repl):
    repl.write_file("/app1", b"in the way")
    with pytest.raises(DutError, match="cannot store"):
        repl.load([FirmwareFile.of("/app1/x.mpy", b"1")], nothing)
    assert repl.exec("print('alive')").strip() == "alive"


def test_a_full_flash_fails_the_unit_and_leaves_it_usable(repl):
    files = [FirmwareFile.of(f"/big{n}", every_byte(120_000, n + 1)) for n in range(8)]
    with pytest.raises(DutError, match=r"cannot store the files: .*(ENOSPC|28)"):
        repl.load(files, nothing)
    assert repl.exec("print('alive')").strip() == "alive"
    repl.wipe()
    assert repl.eval("__import__('os').listdir('/')") == []


@pytest.mark.parametrize("lost", [64 * 5, 64 * 5 + 30])
def test_a_unit_whose_station_died_in_the_middle_of_a_load_is_reached_again(unit, repl, lost):
    raw = repl._link()
    raw.exec(stream_loader._RECEIVER, 10)
    raw.start("_rx(['/app1'],[('/app1/a',2048)],[[2048]],2048,0,5000)", 10)
    with raw.limited(5, "dying"):
        assert raw.read(1) == b"\x06"
        raw.write(b"x" * lost)
    repl.close()
    with MicroPythonRepl(unit.port, unit.clock) as again:
        again.enter()
        assert again.exec("print('alive')").strip() == "alive"


def test_a_damaged_stream_falls_back_to_the_slow_way(repl, monkeypatch):
    whole = stream_loader._segments

    def damaged(data: bytes, bits: int) -> list[bytes]:
        first, *rest = whole(data, bits)
        return [bytes((first[0] | 7,)) + first[1:], *rest]  # a reserved kind of block

    monkeypatch.setattr(stream_loader, "_segments", damaged)
    files = [FirmwareFile.of(f"/f{n}", every_byte(1500, n + 1)) for n in range(2)]
    report = repl.load(files, nothing)
    assert report.fallback_files == ("/f0", "/f1")
    assert repl.read_file("/f1", 10_000) == files[1].data


def test_files_are_written_read_and_missed(repl):
    repl.write_file("/this.machine.cfg", b'{"APP": 1}')
    repl.write_file("/this.machine.cfg", b'{"APP": 2}')
    assert repl.read_file("/this.machine.cfg", 100) == b'{"APP": 2}'
    assert not repl.exists("/this.machine.cfg.new")
    assert not repl.exists("/factory.cfg")
    with pytest.raises(DutError, match=r"no file /factory\.cfg"):
        repl.read_file("/factory.cfg", 100)
    with pytest.raises(DutError, match="10 bytes, more than 5"):
        repl.read_file("/this.machine.cfg", 5)
    with pytest.raises(ExecError, match="ZeroDivisionError"):
        repl.exec("1/0")


def test_the_unit_says_who_it_is(unit, repl):
    found = repl.identity()
    assert found["mpy_abi"] == 6
    assert "MicroPython" in found["python"]
    assert "Pico W" in found["machine"]
    assert repl.mac() == "28:cd:c1:00:00:01"
    assert repl.free_heap() > 60_000


def test_an_application_with_a_watchdog_is_interrupted_and_reset(unit, repl):
    repl.write_file(
        "/main.py",
        b"import machine, time\nw = machine.WDT(timeout=8300)\nn = 0\n"
        b"while True:\n w.feed()\n n += 1\n print('INFO:  beat', n)\n time.sleep_ms(50)\n",
    )
    assert repl.reset() < 10
    with SerialConsole(unit.port, unit.clock) as console:
        assert console.wait_for(r"beat (\d+)", 10).match is not None
    start_s = unit.clock.now_s()
    repl.enter()
    repl.wipe()
    assert unit.clock.now_s() - start_s < 4
    repl.reset()
    repl.enter()
    assert repl.eval("__import__('os').listdir('/')") == []


def test_the_bootloader_leads_to_the_drive_and_an_image_leads_back(unit, repl):
    repl.bootloader()
    wait_gone(unit.port, 5, unit.clock)
    drive = BootselDrive([unit.folder / "unit1" / "media"], unit.clock)
    drive.wait_present(10)
    _erase, micropython = unit.images(UF2_FOLDER)
    drive.copy(read_uf2(micropython.path), 30, nothing)
    find_port(unit.port, None, None, 20, unit.clock)
    repl.enter()


def test_a_supply_that_goes_in_the_middle_of_a_load_is_a_fixture_error(unit, repl):
    def cut(done: int, total: int) -> None:
        if 0 < done < total:
            unit.control.call("power", on=False)

    with pytest.raises(FixtureError, match="vanished"):
        repl.load([FirmwareFile.of(f"/f{n}", every_byte(30_000, n + 1)) for n in range(3)], cut)
    unit.control.call("power", on=True)
    find_port(unit.port, None, None, 20, unit.clock)
    repl.enter()


def test_a_unit_that_hangs_is_refused_in_time(unit, repl):
    def enter_again_and_again() -> None:
        for _ in range(100):  # the unit takes the fault up a moment later
            repl.enter(1.5)

    unit.control.call("fault", name="repl_hung", on=True)
    try:
        start = time.monotonic()
        with pytest.raises(DutError):
            enter_again_and_again()
        assert time.monotonic() - start < 4
    finally:
        unit.control.call("fault", name="repl_hung", on=False)
    repl.enter()


def test_a_fast_bench_clock_changes_nothing_but_the_time(tmp_path):
    clock = BenchClock(0.0, 10.0)
    with loader_speed.emulated_unit("unix", tmp_path, clock) as made:
        made.bring_up()
        with MicroPythonRepl(made.port, clock) as opened:
            opened.enter()
            report = opened.load([FirmwareFile.of("/x", every_byte(50_000))], nothing)
            assert not report.fallback
            assert opened.reset() < 30


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_load_is_three_times_as_fast_as_mpremotes_own_copy(backend):
    (found,) = loader_speed.measure(backend, UF2_FOLDER, rounds=3, ports=("link",))
    assert found.ratio >= 3.0, f"{found}"
