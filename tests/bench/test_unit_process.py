"""The unit process on the unix back end, used through the real mpremote, a serial port and its drive."""

from __future__ import annotations

import contextlib
import hashlib
import random
import socket
import subprocess
import time

import pytest
from emulated_unit import UnitAtHand

from mfg.emulator.core import FLASH_ADDRESS
from mfg.emulator.images import MICROPYTHON_MARK, boot2_crc, micropython_image, uf2
from mfg.emulator.unix_vm import vm_identity
from mfg.errors import StationError

RP2350_FAMILY = 0xE48BFF59
WIFI = """
import network
w = network.WLAN(network.STA_IF)
w.active(True)
w.connect('mfg-bench', 'bench-only-passphrase')
import time
while w.status() == network.STAT_CONNECTING:
    time.sleep_ms(50)
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    with UnitAtHand(tmp_path_factory.mktemp("bench")) as unit:
        yield unit


@pytest.fixture
def unit(bench):
    """A unit at a bare prompt, its file system empty, no fault on."""
    bench.to_prompt()
    return bench


# ---- prompt and files --------------------------------------------------------------------------


def test_the_unit_says_that_it_is_a_pico_w(unit):
    code = """
import sys, os, machine
print(sys.platform, os.uname().machine, sys.version, machine.unique_id().hex())
"""
    version = vm_identity().version
    assert unit.exec(code).strip() == (
        f"rp2 Raspberry Pi Pico W with RP2040 3.4.0; MicroPython {version} on {vm_identity().built_on} "
        "e66128cdc1000001"
    )
    with unit.serial() as port:
        port.write(b"\r\x03\x02")
        # The prompt comes twice: after the interrupt, and after the banner.
        banner = unit.read_until(port, b"information.\r\n>>> ")
    lines = [line for line in banner.split(b"\r\n") if line.startswith(b"MicroPython ")]
    assert lines == [
        f"MicroPython {version} on {vm_identity().built_on}; Raspberry Pi Pico W with RP2040".encode()
    ]


def test_mpremote_handles_files_as_on_a_board(unit, tmp_path):
    content = random.Random(3).randbytes(9000)
    (tmp_path / "data.bin").write_bytes(content)
    unit.mpremote("fs", "mkdir", "folder", "+", "fs", "cp", str(tmp_path / "data.bin"), ":folder/data.bin")
    assert "9000 data.bin" in unit.mpremote("fs", "ls", "folder")
    assert hashlib.sha256(content).hexdigest() in unit.mpremote("fs", "sha256sum", "folder/data.bin")
    unit.mpremote("fs", "cp", ":folder/data.bin", str(tmp_path / "back.bin"))
    assert (tmp_path / "back.bin").read_bytes() == content
    assert unit.call("flash_files") == {"files": {"/folder/data.bin": 9000}}
    unit.mpremote("fs", "rm", "-r", ":folder")
    assert unit.mpremote("fs", "ls").split() == ["ls", ":"]
    assert "868352" in unit.mpremote("df")


def test_mpremote_runs_a_script_and_a_mounted_folder(unit, tmp_path):
    (tmp_path / "script.py").write_text("print(6 * 7)\n")
    (tmp_path / "helper.py").write_text("answer = 'from the host'\n")
    assert unit.mpremote("run", str(tmp_path / "script.py")).strip() == "42"
    assert "from the host" in unit.mpremote(
        "mount", str(tmp_path), "exec", "import helper; print(helper.answer)"
    )


def test_a_soft_reset_forgets_variables_and_keeps_files(unit):
    unit.put(kept="1")
    unit.mpremote("exec", "x = 5", "soft-reset")
    assert unit.mpremote("resume", "exec", "print('x' in globals(), open('kept').read())").split() == [
        "False",
        "1",
    ]


def test_control_c_ends_a_busy_loop(unit):
    unit.mpremote("exec", "--no-follow", "while True: pass")
    with unit.serial() as port:
        port.write(b"\r\x03")
        assert b"KeyboardInterrupt" in unit.read_until(port, b"\x04>")
    assert unit.exec("print(1)").strip() == "1"


def test_main_py_runs_after_a_reset_and_not_after_a_soft_reset_in_the_raw_prompt(unit):
    unit.put(boot="import sys", main="with open('runs', 'a') as f: f.write('x')")
    assert unit.exec("import os; print(os.listdir())").strip() == "['boot.py', 'main.py']"
    with unit.restart():
        unit.call("reset")
    unit.wait(lambda: unit.stored("/runs") == b"x")
    assert unit.exec("print(open('runs').read())").strip() == "x"
    with unit.serial() as port:
        port.write(b"\r\x03\x02")
        unit.read_until(port, b">>> ")
        port.write(b"\x04")
        assert b"MPY: soft reboot\r\nMicroPython" in unit.read_until(port, b"help()")
    assert unit.exec("print(open('runs').read())").strip() == "xx"


def test_sys_exit_in_main_py_is_a_soft_reset(unit):
    unit.put(
        n="",
        main="import sys\nwith open('n', 'a') as f: f.write('x')\nif len(open('n').read()) < 3: sys.exit()",
    )
    unit.mpremote("reset")
    # Nobody asks meanwhile: whoever takes the prompt ends the restarts.
    unit.wait(lambda: unit.stored("/n") == b"xxx")
    assert unit.exec("print(open('n').read())").strip() == "xxx"


def test_bytes_that_mean_something_to_a_terminal_pass_into_a_program(unit):
    """The receiver of a fast loader switches Control-C off and reads the port itself."""
    code = (
        "import micropython, sys\nmicropython.kbd_intr(-1)\nprint('ready')\n"
        "d = sys.stdin.buffer.read(512)\nmicropython.kbd_intr(3)\nprint(d == bytes(range(256)) * 2)\n"
    )
    with unit.serial() as port:
        port.write(b"\r\x03\x01")
        unit.read_until(port, b"raw REPL; CTRL-B to exit\r\n>")
        port.write(code.encode() + b"\x04")
        unit.read_until(port, b"ready")
        port.write(bytes(range(256)) * 2)
        assert b"True" in unit.read_until(port, b"\x04>")


def test_the_board_leaves_the_firmware_most_of_the_heap(unit):
    code = "import gc; gc.collect(); print(gc.mem_free())"
    assert int(unit.exec(code)) > 160_000


# ---- resets, power, boot mode ------------------------------------------------------------------


def test_machine_reset_takes_the_port_away_and_brings_it_back(unit):
    with unit.restart() as log:
        unit.mpremote("reset")
    assert [said for _at_s, said in log][:2] == ["serial port gone", "MCU reset: machine.reset"]
    assert unit.exec("import machine; print(machine.reset_cause())").strip() == "3"


def test_machine_bootloader_shows_the_drive(unit):
    unit.mpremote("bootloader")
    unit.wait(unit.drive.exists)
    assert not unit.port.exists()
    assert unit.state() == "bootsel"
    unit.power(False)
    assert not unit.drive.exists()
    unit.power(True)
    unit.wait(unit.port.exists)


def test_the_watchdog_resets_the_chip_in_bench_time(unit):
    start_s = unit.clock.now_s()
    with unit.restart() as log:
        unit.mpremote("exec", "--no-follow", "import machine; machine.WDT(timeout=8300)")
    (reset_s,) = [at_s for at_s, said in log if said == "MCU reset: watchdog"]
    assert 8.3 <= reset_s - start_s < 20


def test_a_fed_watchdog_does_nothing(unit):
    code = """
import machine, time
w = machine.WDT(timeout=4000)
for i in range(40): w.feed(); time.sleep_ms(200)
print('alive')
"""
    with unit.restart():  # nobody feeds it at the prompt
        assert unit.exec(code).strip() == "alive"


def test_gpio13_switches_the_units_own_supply_off_for_a_while(unit):
    unit.put(kept="yes")
    start_s = unit.clock.now_s()
    code = "import time, machine; time.sleep(5); machine.Pin(13, machine.Pin.OUT, value=1)"
    unit.mpremote("exec", "--no-follow", code)
    unit.wait(lambda: unit.state() == "off")
    unit.wait(unit.port.exists)
    assert 10.0 <= unit.clock.now_s() - start_s < 20
    assert unit.exec("print(open('kept').read())").strip() == "yes"


def test_a_power_cut_in_the_middle_of_writing_leaves_a_sound_file_system(unit):
    main = (
        "i = 0\nwhile True:\n f = open('f%d' % (i % 7), 'w')\n f.write(str(i) * 700)\n f.close()\n i += 1\n"
    )
    unit.put(before="kept" * 100, main=main)
    for number in range(5):
        unit.power(False)
        unit.power(True)
        unit.wait(unit.port.exists)
        time.sleep(0.05 + 0.03 * number)
    unit.power(False)
    files = unit.call("flash_files")["files"]
    assert files["/before"] == 400
    assert {"/main.py", "/f0"} <= set(files)
    unit.power(True)
    unit.wait(unit.port.exists)
    assert unit.exec("print(open('before').read(4))").strip() == "kept"


def test_the_erase_image_leaves_a_blank_flash_that_goes_to_the_drive(unit):
    unit.put(old="x")
    unit.to_drive()
    unit.copy(unit.erase_image)
    unit.wait(lambda: not unit.drive.exists())
    unit.wait(unit.drive.exists)
    assert (unit.folder / "flash.bin").read_bytes() == b"\xff" * (2 << 20)
    unit.power(False)
    unit.power(True)
    unit.wait(unit.drive.exists)
    unit.copy(unit.micropython_image)
    unit.wait(unit.port.exists)
    assert unit.call("flash_files") == {"files": {}}


def test_an_image_for_another_chip_and_a_truncated_one_leave_the_drive(unit, tmp_path):
    unit.to_drive()
    image = micropython_image("v0")
    (tmp_path / "other.uf2").write_bytes(uf2(FLASH_ADDRESS, bytes(4096), RP2350_FAMILY))
    (tmp_path / "short.uf2").write_bytes(image[:-512])
    for name in ("other.uf2", "short.uf2"):
        unit.copy(tmp_path / name)
        time.sleep(0.3)
        assert unit.drive.exists()
        assert unit.state() == "bootsel"


def test_a_flash_program_that_is_not_ours_runs_nothing(unit, tmp_path):
    unit.to_drive()
    code = bytes(252)
    (tmp_path / "foreign.uf2").write_bytes(
        uf2(FLASH_ADDRESS, code + boot2_crc(code).to_bytes(4, "little") + bytes(512))
    )
    assert MICROPYTHON_MARK not in (tmp_path / "foreign.uf2").read_bytes()
    unit.copy(tmp_path / "foreign.uf2")
    unit.wait(lambda: unit.state() == "run")
    time.sleep(0.2)
    assert not unit.port.exists()
    assert any("no MicroPython emulator image" in line for line in unit.call("state")["log"])


# ---- board, network, time ----------------------------------------------------------------------


def test_pins_buses_and_converter_reach_the_board(unit):
    code = """
from machine import ADC, SPI, Pin
led = Pin(16, Pin.OUT, value=1); led.off(); led.toggle()
cs = Pin(22, Pin.OUT, value=1); Pin(19, Pin.OUT, value=1)
s = SPI(0, baudrate=200000)
def reg(a, v=None):
    cs(0)
    b = bytearray(2)
    if v is None:
        s.write(bytes((0x80 | a >> 8, a & 255))); s.readinto(b)
    else:
        s.write(bytes((a >> 8, a & 255, v >> 8, v & 255)))
    cs(1)
    return b[0] << 8 | b[1]
reg(0x7f, 0x55aa); reg(0x61, 0xd930)
print(hex(reg(0x61)), led.value(), Pin(14, Pin.IN, Pin.PULL_UP).value(), 9000 < ADC(28).read_u16() < 20000)
big = bytearray(1500)
s.write_readinto(bytes(1500), big)
print(big[0], big[-1])
"""
    assert unit.exec(code).split() == ["0xd930", "1", "1", "True", "255", "255"]
    assert unit.call("pins")["16"] == 1
    assert unit.call("registers")["CS4"]["0x61"] == 0xD930
    assert unit.call("led_edges", since_s=0)["edges"][-1][1:] == [16, 1]


def test_the_button_is_seen_by_the_program(unit):
    unit.call("button", pressed=True)
    assert unit.exec("from machine import Pin; print(Pin(14, Pin.IN)())").strip() == "0"
    unit.call("button", pressed=False)
    assert unit.exec("from machine import Pin; print(Pin(14, Pin.IN)())").strip() == "1"


def test_control_c_in_the_middle_of_a_transfer_does_not_shift_the_next_answers(unit):
    code = """
from machine import ADC, SPI
s = SPI(0)
a, b = bytes(64), bytearray(64)  # the unix VM breaks when Control-C meets its garbage collector
while True: s.write_readinto(a, b)
"""
    for _ in range(8):
        unit.mpremote("exec", "--no-follow", code)
        with unit.serial() as port:
            port.write(b"\x03")
            unit.read_until(port, b">>> ")  # mpremote has left the raw prompt behind the program's back
            port.write(b"\x01")
            unit.read_until(port, b"raw REPL; CTRL-B to exit\r\n>")
            port.write(b"a = ADC(28)\nprint(all(9000 < a.read_u16() < 20000 for _ in range(50)))\x04")
            assert b"OKTrue" in unit.read_until(port, b"\x04>")


def test_one_register_read_takes_less_than_100_microseconds_of_wall_time(unit):
    code = """
import time
from machine import SPI
s = SPI(0); b = bytearray(4); t = time.ticks_us()
for _ in range(2000): s.write_readinto(b, b)
print(time.ticks_diff(time.ticks_us(), t) / 2000)
"""
    best_us = min(float(unit.exec(code)) / unit.clock.factor for _ in range(3))
    assert best_us < 100


def test_bench_time_runs_in_the_program(unit):
    code = """
import time, asyncio
def took(f):
    t = time.ticks_ms(); f(); return time.ticks_diff(time.ticks_ms(), t)
async def nap(s):
    await asyncio.sleep(s)
async def a():
    await asyncio.gather(nap(3), nap(0.5))
async def b():
    try: await asyncio.wait_for(nap(60), 2)
    except asyncio.TimeoutError: pass
async def c():
    e = asyncio.Event()
    async def late():
        await asyncio.sleep(1); e.set()
    asyncio.create_task(late()); await e.wait()
print(took(lambda: time.sleep(2)), *(took(lambda: asyncio.run(f())) for f in (a, b, c)))
print(time.ticks_ms() < 600000, time.gmtime()[:3], len(time.localtime(0)))
"""
    start_s = time.monotonic()
    slept, gathered, waited, event = unit.exec(code).split("\n")[0].split()
    assert 2000 <= int(slept) < 2400
    assert 3000 <= int(gathered) < 3600
    assert 2000 <= int(waited) < 2600
    assert 1000 <= int(event) < 1600
    assert time.monotonic() - start_s < 4
    assert unit.exec(code).splitlines()[1] == "True (2021, 1, 1) 8"


def test_the_unit_joins_its_network_and_serves_tcp_and_udp_on_the_mapped_ports(unit):
    serve = (
        WIFI
        + """
print(w.ifconfig()[0], w.config('mac').hex(), w.isconnected(), w.status('rssi') < 0)
import asyncio, socket
async def web(r, wr):
    line = await r.readline()
    wr.write(b'got ' + line); await wr.drain(); wr.close()
async def udp():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setblocking(False)
    s.bind(('0.0.0.0', 29340))
    while True:
        try:
            d, a = s.recvfrom(100)
            s.sendto(d + b' from ' + a[0].encode(), a)
        except OSError:
            await asyncio.sleep_ms(20)
async def main():
    await asyncio.start_server(web, '0.0.0.0', 80)
    print('serving')
    await udp()
asyncio.run(main())
"""
    )
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", unit.unit.http_port), 2)
    unit.put(main=serve)
    with unit.restart():
        unit.mpremote("reset")
    with unit.serial() as port:
        said = unit.read_until(port, b"serving")
    assert b"10.0.0.2 28cdc1000001 True True\r\n" in said
    with socket.create_connection(("127.0.0.1", unit.unit.http_port), 2) as link:
        link.sendall(b"GET /\n")
        assert link.recv(100) == b"got GET /\n"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.settimeout(2)
        link.sendto(b"who", ("127.0.0.1", unit.unit.discovery_port))
        assert link.recv(100) == b"who from 127.0.0.1"
    unit.power(False)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", unit.unit.http_port), 2)


def test_nothing_leaves_the_loopback_interface(unit):
    code = """
import socket, ntptime
for host in ('example.com', '192.0.2.1', None):
    try: socket.getaddrinfo(host, 80) if host else ntptime.settime(); print('out')
    except OSError: print('no way')
print(socket.socket(2, 2).sendto(b'abc', ('255.255.255.255', 2934)))
"""
    assert unit.exec(code).split("\n")[:4] == ["no way", "no way", "no way", "3"]


def test_a_wrong_password_does_not_join(unit):
    code = (
        WIFI.replace("bench-only-passphrase", "wrong") + "print(w.status(), w.isconnected(), w.ifconfig()[0])"
    )
    assert unit.exec(code).split() == ["-3", "False", "0.0.0.0"]


def test_the_port_can_be_slowed_down_to_that_of_a_real_board(unit, tmp_path):
    code = "import sys\nprint('ready')\nsys.stdin.buffer.read(5000)\nprint('done')"
    unit.call(
        "throttle", bytes_per_s=5000 / unit.clock.factor
    )  # per bench second: 5000 bytes in 1 s of wall time
    try:
        with unit.serial() as port:
            port.write(b"\r\x03\x01")
            unit.read_until(port, b"raw REPL; CTRL-B to exit\r\n>")
            port.write(code.encode() + b"\x04")
            unit.read_until(port, b"ready")
            start_s = time.monotonic()
            port.write(bytes(5000))
            unit.read_until(port, b"done")
            assert 0.85 < time.monotonic() - start_s < 1.6
    finally:
        unit.call("throttle", bytes_per_s=None)


# ---- faults ------------------------------------------------------------------------------------


@contextlib.contextmanager
def _fault(unit, name):
    unit.call("fault", name=name, on=True)
    try:
        yield
    finally:
        unit.call("fault", name=name, on=False)


def test_a_hung_port_answers_nothing(unit):
    with _fault(unit, "repl_hung"), unit.serial() as port:
        time.sleep(0.3)
        port.reset_input_buffer()  # what the unit said when it started
        port.write(b"\r\x03\x02")
        time.sleep(0.3)
        assert port.read(100) == b""


def test_the_drive_may_stay_away_after_the_erase(unit):
    with _fault(unit, "drive_never_returns"):
        unit.to_drive()
        unit.copy(unit.erase_image)
        unit.wait(lambda: not unit.drive.exists())
        time.sleep(0.5)
        assert not unit.drive.exists()
        assert unit.state() == "booting"


def test_a_read_only_drive_takes_nothing(unit):
    with _fault(unit, "drive_read_only"):
        unit.to_drive()
        unit.copy(unit.erase_image)
        time.sleep(0.3)
        assert unit.drive.exists()


def test_a_second_drive_and_one_of_another_chip_can_be_there(unit):
    with _fault(unit, "two_drives"), _fault(unit, "drive_of_other_chip"):
        unit.to_drive()
        unit.wait((unit.drive.parent / "RPI-RP21").exists)
        assert sorted(path.name for path in unit.drive.parent.iterdir()) == ["RPI-RP2", "RPI-RP21"]
        assert "RP2350" in (unit.drive / "INFO_UF2.TXT").read_text()
        unit.power(False)
        assert [path.name for path in unit.drive.parent.iterdir()] == ["RPI-RP21"]
    unit.wait(lambda: not any(unit.drive.parent.iterdir()))


def test_an_access_point_may_refuse(unit):
    with _fault(unit, "wifi_refusing"):
        assert unit.exec(WIFI + "print(w.status())").strip() == "-1"


def test_unknown_faults_and_operations_are_refused(unit):
    with pytest.raises(StationError, match="led_dusty"):
        unit.call("fault", name="led_dusty", on=True)
    with pytest.raises(StationError, match="fly"):
        unit.call("fly")


def test_a_port_that_is_gone_fails_in_mpremote_as_an_unplugged_one(unit):
    unit.power(False)
    with pytest.raises((AssertionError, subprocess.SubprocessError)):
        unit.mpremote("fs", "ls")
