"""The metering chip's driver: its frames, the proof of every write, and reads that do not tear."""

import pytest
from app1 import registers, stats
from app1.atm90e32 import Atm90e32, ChipError


class Chip:
    """A chip that keeps what is written, on a bus with its select."""

    def __init__(self) -> None:
        self.registers = {registers.TEMPERATURE: 0xFFFB, registers.FREQUENCY: 5001}
        self.last = 0
        self.frames: list[bytes] = []
        self.selected = False
        self.lose = 0  # writes to come that are lost
        self.never_keeps: set[int] = set()
        self.on_read = lambda address: None

    def value(self, level: int) -> None:
        self.selected = not level

    def write_readinto(self, sent: bytearray, got: bytearray) -> None:
        assert self.selected
        frame = bytes(sent)
        self.frames.append(frame)
        address, word = int.from_bytes(frame[:2], "big"), int.from_bytes(frame[2:], "big")
        if address & 0x8000:
            address &= 0x7FFF
            value = self.last if address == registers.LAST_DATA else self.registers.get(address, 0)
            self.last = value
            got[2:4] = value.to_bytes(2, "big")
            self.on_read(address)
        elif self.lose:
            self.lose -= 1
        else:
            self.last = word
            if address not in self.never_keeps:
                self.registers[address] = word


@pytest.fixture
def chip():
    return Chip()


@pytest.fixture
def driver(chip):
    return Atm90e32(chip, chip, "CS4")


SETTINGS = (50, 55600, 0xFFF0, (42720, 42721, 42722), (1, 2, 0xFFFF))


def test_a_read_sets_the_top_bit_and_sends_zeros(chip, driver):
    chip.registers[0xD9] = 0x5A83
    assert driver.read(0xD9) == 0x5A83
    assert chip.frames == [b"\x80\xd9\x00\x00"]
    assert not chip.selected


def test_a_write_is_proved_by_the_last_data_and_by_reading_back(chip, driver):
    driver.write(0x61, 0xD930)
    assert chip.frames == [b"\x00\x61\xd9\x30", b"\x80\x78\x00\x00", b"\x80\x61\x00\x00"]


def test_a_lost_write_is_repeated(chip, driver):
    chip.lose = 2
    driver.write(0x61, 0xD930)
    assert chip.registers[0x61] == 0xD930


def test_a_write_that_stays_lost_ends_after_three_tries(chip, driver):
    chip.lose = 100
    with pytest.raises(ChipError, match="CS4 does not keep register 0x61"):
        driver.write(0x61, 0xD930)
    assert chip.lose == 97


def test_a_register_that_does_not_keep_its_value_is_an_error(chip, driver):
    chip.never_keeps.add(0x62)
    with pytest.raises(ChipError, match="0x62"):
        driver.set_up(*SETTINGS)


@pytest.mark.parametrize("level", [0x0000, 0xFFFF])
def test_a_chip_that_is_not_there_is_an_error(driver, chip, level):
    def dead(sent, got):
        got[:] = level.to_bytes(2, "big") * 2

    chip.write_readinto = dead
    with pytest.raises(ChipError):
        driver.set_up(*SETTINGS)


def test_every_register_of_the_start_up_table_is_proved(chip, driver):
    driver.set_up(*SETTINGS)
    written = [frame for frame in chip.frames if not frame[0] & 0x80]
    table = list(registers.start_up(*SETTINGS))
    assert [(frame[1], int.from_bytes(frame[2:], "big")) for frame in written] == table
    read_back = {frame[1] for frame in chip.frames if frame[0] & 0x80}
    unproved = {address for address, _ in table} - read_back
    assert unproved == {*registers.STATUS_CLEAR, registers.ACCESS}


def test_a_set_of_readings_lies_where_its_fields_say(chip, driver):
    driver.set_up(*SETTINGS)
    for phase in range(3):
        chip.registers[registers.VOLTAGE + phase] = 23172
        chip.registers[registers.VOLTAGE + registers.LOW + phase] = 0x8000
        chip.registers[registers.CURRENT + phase] = 1000 * (phase + 1)
        chip.registers[registers.ACTIVE + phase] = 0xFFFF
        chip.registers[registers.ACTIVE + registers.LOW + phase] = 0xF3CB  # -3125 counts, -1 W
        chip.registers[registers.POWER_FACTOR + phase] = 0xFC18
    values = stats.new_set()
    driver.read_into(values, 27)
    for phase in range(3):
        at = 27 + 9 * phase
        assert values[at + stats.IRMS] == pytest.approx(phase + 1)
        assert values[at + stats.VRMS] == pytest.approx(231.725)
        assert values[at + stats.PRMS] == pytest.approx(-1, abs=1e-6)
        assert values[at + stats.PF] == -1
        assert values[at + stats.TEMP] == -5
        assert values[at + stats.FREQ] == pytest.approx(50.01)
    assert list(values[:27]) == [0.0] * 27


def test_a_power_that_changes_between_its_words_is_not_torn(chip, driver):
    driver.set_up(*SETTINGS)
    chip.registers[registers.ACTIVE] = 0x0001
    chip.registers[registers.ACTIVE + registers.LOW] = 0x0000

    def update(address):
        if address == registers.ACTIVE:  # a new window ends right after the high word was read
            chip.registers[registers.ACTIVE] = 0x0000
            chip.registers[registers.ACTIVE + registers.LOW] = 0xFF00

    chip.on_read = update
    values = stats.new_set()
    driver.read_into(values, 0)
    assert values[stats.PRMS] == pytest.approx(0xFF00 * 0.00032)
