"""The rp2040 back end with the real images: what a Pico W does between power-on and power cut."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rp2040py", reason="the rp2040 back end needs the package rp2040py")

from mpremote import transport_serial
from mpremote.transport import TransportError

from mfg.clock import BenchClock
from mfg.emulator.config import BenchConfig, UnitConfig
from mfg.emulator.core import FLASH_ADDRESS, FLASH_BYTES, RAM_ADDRESS, CoreContext, RamImage
from mfg.emulator.rp2040_core import Rp2040Core
from mfg.errors import StationError

UF2_FOLDER = os.environ.get("MFG_UF2_DIR", "")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not UF2_FOLDER, reason="MFG_UF2_DIR is not set: no real UF2 images for the rp2040 back end"
    ),
]

SSID, PASSPHRASE = "test-net", "test-passphrase"
JOIN = """
import network, time
w = network.WLAN(network.STA_IF)
w.active(True)
w.connect({ssid!r}, {passphrase!r})
for _ in range(100):
    if w.isconnected() or w.status() < 0:
        break
    time.sleep_ms(50)
print(w.status(), w.ifconfig()[0], w.config('mac').hex(':'))
"""
SERVER = """
import socket, _thread, time
def http():
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(('0.0.0.0', 80))
    s.listen(2)
    while True:
        c, _ = s.accept()
        c.settimeout(2)
        try:
            request = b''
            while b'\\r\\n\\r\\n' not in request:
                part = c.recv(512)
                if not part:
                    break
                request += part
            if request.startswith(b'POST'):
                want = int(request.split(b'Length: ')[1].split(b'\\r\\n')[0])
                body = request.split(b'\\r\\n\\r\\n', 1)[1]
                total = sum(body)
                count = len(body)
                while count < want:
                    part = c.recv(1024)
                    if not part:
                        break
                    count += len(part)
                    total += sum(part)
                c.write(b'HTTP/1.0 200 OK\\r\\n\\r\\n%d %d' % (count, total))
            else:
                c.write(b'HTTP/1.0 200 OK\\r\\n\\r\\n' + b'x' * 20000)
        except OSError as error:
            print(error)
        c.close()
def udp():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(('0.0.0.0', 29340))
    while True:
        data, who = s.recvfrom(3000)
        s.sendto(data, who)
_thread.start_new_thread(http, ())
print('serving')
udp()
"""


class StandInBoard:
    """A board with an echo on SPI0, a recorder on SPI1 and one button."""

    def __init__(self) -> None:
        self.display = bytearray()
        self.pins: list[tuple[int, int]] = []
        self.button = 1
        self.resets = 0

    def pin_write(self, gpio: int, level: int) -> None:
        self.pins.append((gpio, level))

    def pin_read(self, gpio: int) -> int:
        return self.button

    def spi_transfer(self, bus: int, data: bytes) -> bytes:
        if bus == 1:
            self.display += data
        return bytes(byte ^ 0xFF for byte in data)

    def adc_u16(self, channel: int) -> int:
        return 0x1230

    def mcu_reset(self) -> None:
        self.resets += 1


class Bench:
    """A core in an event loop of its own thread, as the unit process runs it."""

    def __init__(self, folder: Path) -> None:
        self.http_port, self.discovery_port = free_port(), free_port()
        self.board = StandInBoard()
        self.flash = bytearray(b"\xff" * FLASH_BYTES)
        self.port: str | None = None
        self.resets: list[str] = []
        self.bootloader = 0
        self.messages: list[str] = []
        unit = UnitConfig(
            ssid=SSID, passphrase=PASSPHRASE, http_port=self.http_port, discovery_port=self.discovery_port
        )
        self.context = CoreContext(
            config=BenchConfig(units=(unit,)),
            unit=unit,
            clock=BenchClock(),
            board=self.board,  # type: ignore[arg-type]
            folder=folder,
            flash_path=folder / "flash.bin",
            on_port_up=self._port_up,
            on_port_gone=self._port_gone,
            on_reset=self.resets.append,
            on_bootloader=self._bootloader,
            log=self.messages.append,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.core = Rp2040Core(self.context)

    def _port_up(self, path: str) -> None:
        self.port = path

    def _port_gone(self) -> None:
        self.port = None

    def _bootloader(self) -> None:
        self.bootloader += 1

    def call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def start(self, ram_image: RamImage | None = None) -> None:
        self.call(self.core.start(self.flash, ram_image))

    def stop(self) -> None:
        self.call(self.core.stop())

    def in_loop(self, work: Callable[[], None]) -> None:
        async def run() -> None:
            work()

        self.call(run())

    def close(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def load(self, name: str) -> None:
        """Put an image into the flash as the boot ROM would."""
        for address, data in blocks(name).items():
            offset = address - FLASH_ADDRESS
            self.flash[offset : offset + len(data)] = data

    def repl(self) -> Any:
        wait_for(lambda: self.port is not None, 10, "the serial port")
        assert self.port is not None
        transport = open_port(self.port, 0.3)
        transport.enter_raw_repl(soft_reset=False, timeout_overall=10)
        return transport

    def join(self, ssid: str = SSID, passphrase: str = PASSPHRASE) -> list[str]:
        transport = self.repl()
        try:
            answer: bytes = transport.exec(JOIN.format(ssid=ssid, passphrase=passphrase))
            return answer.decode().split()
        finally:
            transport.close()


def open_port(path: str | None, timeout_s: float) -> Any:
    transport: Any = transport_serial.SerialTransport  # untyped
    return transport(path, timeout=timeout_s)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def blocks(name: str) -> dict[int, bytes]:
    content = (Path(UF2_FOLDER) / name).read_bytes()
    found = {}
    for start in range(0, len(content), 512):
        address, size = struct.unpack_from("<II", content, start + 12)
        found[address] = content[start + 32 : start + 32 + size]
    return found


def wait_for(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"no {what} within {timeout_s} s"
        time.sleep(0.01)


@pytest.fixture
def blank(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()


@pytest.fixture
def bench(blank: Bench) -> Bench:
    blank.load("firmware.uf2")
    blank.start()
    return blank


def test_the_real_erase_program_blanks_the_flash_and_asks_for_the_boot_rom(blank: Bench) -> None:
    blank.load("firmware.uf2")
    program = blocks("flash_nuke.uf2")
    blank.start(RamImage(start=min(program), blocks=program))
    wait_for(lambda: blank.bootloader == 1, 20, "return to the boot ROM")
    assert min(program) == RAM_ADDRESS
    assert not blank.core.running
    assert set(blank.flash[4096:]) == {0xFF}
    assert bytes(blank.flash[:4]) == b"NUKE"


def test_micropython_boots_and_keeps_files_over_a_reset_and_a_power_cut(bench: Bench) -> None:
    repl = bench.repl()
    assert b"Pico W" in repl.exec("import sys; print(sys.implementation._machine)")
    repl.fs_writefile("a.txt", b"kept" * 500)
    with pytest.raises((TransportError, OSError)):
        repl.exec("import machine; machine.reset()")
    wait_for(lambda: bench.resets == ["machine.reset"], 5, "reset")
    with pytest.raises(OSError, match=r"."):
        repl.serial.read(1)
    repl = bench.repl()
    assert repl.fs_readfile("a.txt") == b"kept" * 500
    repl.exec_raw_no_follow("while True: open('b.txt', 'w').write('x' * 999)")
    time.sleep(0.4)
    bench.stop()
    assert bench.port is None
    bench.start()
    assert bench.repl().fs_readfile("a.txt") == b"kept" * 500
    assert bench.messages == []


def test_the_reset_button_and_the_watchdog_bring_the_port_back(bench: Bench) -> None:
    bench.repl().close()
    bench.call(bench.core.reset())
    repl = bench.repl()
    repl.exec_raw_no_follow("import machine; machine.WDT(timeout=500)\nwhile True: pass")
    wait_for(lambda: bench.resets == ["control", "watchdog"], 8, "watchdog reset")
    assert bench.repl().eval("__import__('machine').reset_cause()") == 3
    assert bench.board.resets == 2


def test_machine_bootloader_stops_the_chip_and_asks_for_the_drive(bench: Bench) -> None:
    bench.repl().exec_raw_no_follow("import machine; machine.bootloader()")
    wait_for(lambda: bench.bootloader == 1, 5, "boot ROM")
    assert bench.port is None
    assert not bench.core.running
    assert bench.resets == []


def test_a_reset_with_a_blank_flash_leads_to_the_boot_rom(bench: Bench) -> None:
    bench.repl().close()
    chip = bench.core._chip
    assert chip is not None
    bench.in_loop(lambda: chip._mcu.flash.__setitem__(slice(0, 256), b"\xff" * 256))
    bench.call(bench.core.reset())
    wait_for(lambda: bench.bootloader == 1, 5, "boot ROM")


def test_a_deaf_port_leaves_the_hosts_bytes_unread(bench: Bench) -> None:
    bench.repl().close()
    bench.in_loop(lambda: bench.core.deafen(True))
    repl = open_port(bench.port, 0.2)
    with pytest.raises(TransportError):
        repl.enter_raw_repl(soft_reset=False, timeout_overall=1)
    repl.close()
    bench.in_loop(lambda: bench.core.deafen(False))
    time.sleep(0.5)  # the bytes that waited in the pty arrive now, and their answers
    assert bench.repl().eval("1 + 1") == 2


def test_a_throttled_port_keeps_to_its_rate(bench: Bench) -> None:
    repl = bench.repl()
    bench.in_loop(lambda: bench.core.throttle(2000))
    start_s = time.monotonic()
    repl.exec("print('x' * 3000)")
    assert 1.2 < time.monotonic() - start_s < 4


def test_pins_spi_adc_and_button_reach_the_board(bench: Bench) -> None:
    repl = bench.repl()
    answer = repl.exec(
        "from machine import Pin, SPI, ADC\n"
        "cs = Pin(5, Pin.OUT, value=1); dc = Pin(12, Pin.OUT, value=0)\n"
        "chips = SPI(0, baudrate=200000, sck=Pin(2), mosi=Pin(3), miso=Pin(4))\n"
        "buffer = bytearray(4); cs(0); chips.write_readinto(b'\\x80\\x01\\x02\\x03', buffer); cs(1)\n"
        "display = SPI(1, baudrate=31250000, sck=Pin(10), mosi=Pin(11))\n"
        "dc(1); display.write(bytes(range(256)) * 40); dc(0)\n"
        "print(buffer.hex(), ADC(2).read_u16() >> 4, Pin(14, Pin.IN, Pin.PULL_UP).value())"
    )
    assert answer.split() == [b"7ffefdfc", b"291", b"1"]
    assert bytes(bench.board.display) == bytes(range(256)) * 40
    assert bench.board.pins[-4:] == [(5, 0), (5, 1), (12, 1), (12, 0)]
    bench.board.button = 0
    time.sleep(0.1)
    assert repl.eval("Pin(14).value()") == 0


def test_the_radio_joins_only_with_the_right_name_and_passphrase(bench: Bench) -> None:
    repl = bench.repl()
    found = repl.exec("import network; w = network.WLAN(network.STA_IF); w.active(True); print(w.scan()[0])")
    repl.close()
    assert b"test-net" in found
    assert found.split(b", ")[-2] == b"5"  # WPA2
    assert bench.join(ssid="elsewhere")[0] == "-2"  # STAT_NO_AP_FOUND
    assert bench.join(passphrase="wrong-passphrase")[0] == "-3"  # STAT_WRONG_PASSWORD
    bench.core.wifi.refusing = True
    assert bench.join()[0] == "-1"  # STAT_CONNECT_FAIL
    bench.core.wifi.refusing = False
    assert bench.join() == ["3", "10.0.0.2", "28:cd:c1:00:00:01"]
    assert bench.repl().eval("w.status('rssi')") == -52


def test_the_radio_joins_again_after_a_reset(bench: Bench) -> None:
    assert bench.join()[0] == "3"
    bench.call(bench.core.reset())
    assert bench.join()[0] == "3"


def test_a_host_reaches_the_units_http_server_and_gets_the_whole_reply(bench: Bench) -> None:
    serve(bench)
    for _ in range(3):
        reply = http_get(bench.http_port)
        assert len(reply) == 20000 + 19
    body = bytes(range(256)) * 256
    with socket.create_connection(("127.0.0.1", bench.http_port), timeout=20) as link:
        link.sendall(b"POST / HTTP/1.0\r\nLength: %d\r\n\r\n" % len(body) + body)
        assert read_all(link).endswith(b"%d %d" % (len(body), sum(body)))


def test_a_client_that_says_nothing_is_left_to_the_unit(bench: Bench) -> None:
    serve(bench)
    with socket.create_connection(("127.0.0.1", bench.http_port), timeout=20) as silent:
        time.sleep(0.2)  # accepted by then: MicroPython loses an end that comes before its accept()
        silent.shutdown(socket.SHUT_WR)
        assert read_all(silent).startswith(b"HTTP/1.0 200")
    with socket.create_connection(("127.0.0.1", bench.http_port), timeout=20) as silent:
        assert read_all(silent) == b""  # the server's own time limit of 2 s
    assert http_get(bench.http_port).startswith(b"HTTP/1.0 200")


def test_a_client_that_vanishes_does_not_disturb_the_chip(bench: Bench) -> None:
    serve(bench)
    for delay_s in (0.0, 0.01, 0.03, 0.1):
        link = socket.create_connection(("127.0.0.1", bench.http_port), timeout=20)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        link.sendall(b"GET / HTTP/1.0\r\n\r\n")
        time.sleep(delay_s)
        link.close()  # a reset, while the reply is on its way
    assert len(http_get(bench.http_port)) == 20000 + 19
    assert bench.messages == []


def test_datagrams_larger_than_a_packet_travel_both_ways(bench: Bench) -> None:
    serve(bench)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(5)
        for size in (5, 1472, 1473, 1760, 2000):
            question = os.urandom(size)
            asker.sendto(question, ("127.0.0.1", bench.discovery_port))
            assert asker.recv(4096) == question


def test_connections_are_reset_while_the_unit_is_not_on_the_network(bench: Bench) -> None:
    bench.repl().close()
    with pytest.raises(ConnectionResetError):
        http_get(bench.http_port)
    bench.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", bench.http_port), timeout=5)


def test_a_connection_ends_when_the_power_is_cut(bench: Bench) -> None:
    serve(bench)
    with socket.create_connection(("127.0.0.1", bench.http_port), timeout=5) as link:
        time.sleep(0.2)
        bench.stop()
        with pytest.raises(ConnectionResetError):
            link.recv(1)


def test_what_the_unit_opens_towards_the_world_is_refused_at_once(bench: Bench) -> None:
    assert bench.join()[0] == "3"
    answer = bench.repl().exec(
        "import socket, time\n"
        "t = time.ticks_ms()\n"
        "for host in ('192.0.2.1', 'broker.invalid'):\n"
        "    try:\n"
        "        socket.socket().connect(socket.getaddrinfo(host, 1883)[0][-1])\n"
        "    except OSError as error:\n"
        "        print(error.args[0])\n"
        "print(time.ticks_diff(time.ticks_ms(), t) < 2000)"
    )
    assert answer.split() == [b"104", b"-2", b"True"] or answer.split() == [b"111", b"-2", b"True"]


def test_a_fast_clock_is_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    try:
        object.__setattr__(bench.context, "clock", BenchClock(0.0, 10.0))
        with pytest.raises(StationError, match="factor"):
            Rp2040Core(bench.context)
    finally:
        bench.close()


def serve(bench: Bench) -> None:
    assert bench.join()[0] == "3"
    repl = bench.repl()
    repl.exec_raw_no_follow(SERVER)
    assert b"serving" in repl.read_until(1, b"serving\r\n", timeout=5)
    repl.close()


def http_get(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as link:
        link.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return read_all(link)


def read_all(link: socket.socket) -> bytes:
    received = bytearray()
    while part := link.recv(65536):
        received += part
    return bytes(received)
