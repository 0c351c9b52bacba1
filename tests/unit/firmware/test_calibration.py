"""Windows that are noticed by their change, and registers in the chips alone."""

import asyncio
from types import SimpleNamespace

import pytest
from app1 import calibration, registers
from app1.atm90e32 import ChipError


class Clock:
    """The ticks of a unit; every look at a register takes some time."""

    def __init__(self) -> None:
        self.ms = 0.0

    def ticks_ms(self) -> int:
        return int(self.ms)

    @staticmethod
    def ticks_diff(later: int, earlier: int) -> int:
        return later - earlier

    @staticmethod
    def ticks_add(ticks: int, delta: int) -> int:
        return ticks + delta


class Chip:
    """A chip whose window number is in every register; windows end at given times."""

    def __init__(self, clock: Clock, name: str = "CS4") -> None:
        self.name = name
        self.clock = clock
        self.ends: list[float] = [320.0 * n for n in range(1, 100)]
        self.read_ms = 0.4
        self.gains = (0, 0, 0)
        self.held = dict.fromkeys(calibration.ADDRESSES, 0)
        self.writes: list[tuple[int, int]] = []
        self.broken: int | None = None

    def window(self) -> int:
        return sum(end <= self.clock.ms for end in self.ends)

    def read(self, address: int) -> int:
        self.clock.ms += self.read_ms
        if address in self.held:
            return self.held[address]
        if address in (0xF8, 0xFC):
            return 5000 if address == 0xF8 else 0xFFFE
        return (self.window() & 0x7F) << 8

    def write(self, address: int, value: int) -> None:
        self.writes.append((address, value))
        if address == self.broken:
            raise ChipError("CS4 does not keep register")
        if address in self.held:
            self.held[address] = value


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(calibration, "time", clock)
    return clock


@pytest.fixture
def chip(clock):
    return Chip(clock)


@pytest.fixture
def windows(chip):
    return calibration.ChipWindows(chip)


def follow(windows, clock, until_ms, every_ms=20.0):
    while clock.ms < until_ms:
        windows.poll()
        clock.ms += every_ms


def numbers(shown):
    return [value for port in shown["PORTS"] for value in port]


def whole(number):
    """Return the values of a port that were all read in one window."""
    rms, power = number << 16 | number, (number << 8) << 16 | number << 8
    return [rms, rms, power, power]


def test_a_window_is_counted_once_and_given_out_from_the_third_on(windows, clock):
    seen = []
    for _ in range(60):
        follow(windows, clock, clock.ms + 1)
        seen.append(windows.shown())
    counts = [shown["SEQ"] for shown in seen]
    assert counts == sorted(counts)
    assert set(range(1, max(counts) + 1)) <= set(counts)
    assert all(set(shown) == {"SEQ"} for shown in seen if shown["SEQ"] < 3)
    assert all(len(shown) == 6 for shown in seen if shown["SEQ"] >= 3)


def test_a_window_is_whole_and_its_end_lies_where_it_says(windows, chip, clock):
    for _ in range(100):
        follow(windows, clock, clock.ms + 1)
        shown = windows.shown()
        if "PORTS" in shown:
            assert numbers(shown) == 3 * whole(shown["SEQ"])
            noticed = clock.ms - shown["AGE_MS"]
            end = 320.0 * shown["SEQ"]
            assert noticed - shown["LATE_MS"] - 1 <= end <= noticed + 1
            assert (shown["FREQ_CHZ"], shown["TEMP"]) == (5000, -2)


def test_a_window_that_ends_while_the_last_is_read_is_read_instead(windows, chip, clock):
    chip.ends = [320, 640, 960]
    follow(windows, clock, 1250)
    assert windows.seq == 3
    chip.ends += [clock.ms + 100, clock.ms + 108]  # as where a poll came late: two ends close together
    follow(windows, clock, clock.ms + 150)
    shown = windows.shown()
    assert (shown["SEQ"], numbers(shown)) == (4, 3 * whole(5))


def test_registers_that_never_rest_give_no_window(windows, chip, clock):
    follow(windows, clock, 1200)
    assert "PORTS" in windows.shown()
    chip.ends = [0.1 * n for n in range(1, 100000)]
    follow(windows, clock, clock.ms + 100)
    assert set(windows.shown()) == {"SEQ"}


def test_the_rest_of_an_update_is_no_window_of_its_own(windows, chip, clock):
    chip.ends = [320, 640, 960, 1280, 1310]  # the second half of the update 30 ms later
    follow(windows, clock, 1500)
    shown = windows.shown()
    assert (shown["SEQ"], numbers(shown)) == (4, 3 * whole(5))
    assert clock.ms - shown["AGE_MS"] < 1310  # stamped with the first half


def test_after_a_restart_nothing_older_is_given_out(windows, clock):
    follow(windows, clock, 1700)
    assert windows.shown()["SEQ"] == 5
    windows.restart(0)
    assert windows.shown() == {"SEQ": 0}
    follow(windows, clock, clock.ms + 700)
    assert windows.shown() == {"SEQ": 2}
    follow(windows, clock, clock.ms + 320)
    assert windows.shown()["SEQ"] == 3


def test_a_negative_power_is_signed(windows, chip, clock):
    follow(windows, clock, 1300)
    plain = chip.read
    chip.read = lambda address: 0xFFFF if 0xB0 <= address < 0xB8 else plain(address)
    follow(windows, clock, clock.ms + 320)
    shown = windows.shown()
    assert shown["PORTS"][1][2] == (shown["SEQ"] << 8) - 0x10000


# ---- both chips ----


@pytest.fixture
def unit(clock):
    """Both chips, with what a meter has of them."""
    meter = SimpleNamespace(fault="", lock=asyncio.Lock(), forgotten=0)
    meter.forget = lambda: setattr(meter, "forgotten", meter.forgotten + 1)
    chips = (Chip(clock, "CS4"), Chip(clock, "CS0"))
    return SimpleNamespace(meter=meter, chips=chips, calibration=calibration.Calibration(chips, meter))


def request(**values):
    return {"chip": "CS4"} | {key.replace("r", "0x", 1): value for key, value in values.items()}


def test_a_write_is_made_inside_the_access_key_and_read_back(unit):
    held = unit.calibration.registers(request(r61="55601", r4a="32773"), True)
    chip = unit.chips[0]
    assert held == {"CS4": {"0x61": 55601, "0x4A": 32773}}
    assert chip.writes == [(0x7F, 0x55AA), (0x61, 55601), (0x4A, 32773), (0x7F, 0)]
    assert unit.chips[1].writes == []
    assert unit.meter.forgotten == 1


def test_a_new_current_gain_is_known_to_the_driver(unit):
    unit.calibration.registers(request(r66="42721"), True)
    assert unit.chips[0].gains == (0, 42721, 0)


def test_a_read_gives_all_registers_and_writes_nothing(unit):
    held = unit.calibration.registers({"chip": "CS0", "0x61": "1"})
    assert set(held["CS0"]) == {f"0x{address:02X}" for address in calibration.ADDRESSES}
    assert [chip.writes for chip in unit.chips] == [[], []]


@pytest.mark.parametrize(
    "args",
    [
        {},
        request(),
        {"0x61": "1"},
        {"chip": "CS1", "0x61": "1"},
        request(r61="65536"),
        request(r61="-1"),
        request(r61="0x10"),
        request(r61=""),
        request(r61="1.0"),
        request(r61="999999"),
        request(r60="1"),
        request(r6d="1"),
        request(r40="1"),
        request(r4d="1"),
        request(r7f="1"),
        request(r061="1"),
        request(r61="1", x="2"),
        request(**{f"r{address:02x}": "1" for address in list(calibration.ADDRESSES)[:17]}),
    ],
)
def test_a_request_that_cannot_be_used_writes_nothing(unit, args):
    with pytest.raises(ValueError, match=r"register|chip|value"):
        unit.calibration.registers(args, True)
    assert [chip.writes for chip in unit.chips] == [[], []]
    assert unit.meter.forgotten == 0


def test_sixteen_registers_are_not_too_many(unit):
    args = request(**{f"r{address:02x}": "1" for address in list(calibration.ADDRESSES)[:16]})
    assert len(unit.calibration.registers(args, True)["CS4"]) == 16


def test_a_write_that_is_not_kept_is_an_error_and_closes_the_access(unit):
    unit.chips[0].broken = 0x62
    with pytest.raises(ChipError):
        unit.calibration.registers(request(r61="1", r62="2", r63="3"), True)
    assert unit.chips[0].writes == [(0x7F, 0x55AA), (0x61, 1), (0x62, 2), (0x7F, 0)]


def test_windows_are_followed_for_ten_seconds_after_a_request_and_then_no_more(unit, clock, monkeypatch):
    async def pause(ms):
        clock.ms += ms
        await asyncio.sleep(0)

    monkeypatch.setattr(
        calibration, "asyncio", SimpleNamespace(create_task=asyncio.create_task, sleep_ms=pause)
    )

    async def run():
        calibrating = unit.calibration
        assert calibrating.windows() == {"CS4": {"SEQ": 0}, "CS0": {"SEQ": 0}}
        await calibrating._task
        assert 10000 <= clock.ms < 10100
        first = calibrating.windows()  # armed anew: what was seen last is too old to be given out
        assert {name: set(shown) for name, shown in first.items()} == {"CS4": {"SEQ"}, "CS0": {"SEQ"}}
        assert first["CS4"]["SEQ"] == 31
        clock.ms += 5000
        while "PORTS" not in calibrating.windows()["CS4"]:
            await asyncio.sleep(0)
        assert calibrating.windows()["CS4"]["SEQ"] == 32
        calibrating.registers(request(r61="1"), True)
        assert calibrating.windows()["CS4"] == {"SEQ": 0}
        assert calibrating.windows()["CS0"]["SEQ"] == 32
        calibrating.restart()
        assert calibrating.windows()["CS0"] == {"SEQ": 0}
        unit.meter.fault = "The chips are not set up"
        await calibrating._task
        assert calibrating.windows()["CS4"] == {"SEQ": 0}
        calibrating._task.cancel()

    asyncio.run(run())


def test_the_low_words_that_are_watched_are_those_of_phase_a(unit):
    read = []
    unit.chips[0].read = lambda address: read.append(address) or 0
    calibration.ChipWindows(unit.chips[0]).poll()
    assert read == [
        registers.VOLTAGE + registers.LOW,
        registers.CURRENT + registers.LOW,
        registers.ACTIVE + registers.LOW,
    ]
