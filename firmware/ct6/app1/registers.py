"""Arithmetic on ATM90E32AS registers and the start-up table. Pure; also runs under CPython.

Wide values are put together as integers and scaled once, so that single precision is enough.

Source: ATM90E32AS data sheet (Atmel-46003B); CT6 interface description 7.2 and 7.3; application note
Atmel-46103A for the PL constant and the thresholds.
"""

SOFT_RESET = 0x70
SOFT_RESET_KEY = 0x789A
LAST_DATA = 0x78
ACCESS = 0x7F
ACCESS_OPEN = 0x55AA
STATUS_CLEAR = (0x73, 0x74)  # a 1 written clears; reads back something else

# First register of phase A; phases B and C follow.
VOLTAGE = 0xD9
CURRENT = 0xDD
ACTIVE = 0xB1
REACTIVE = 0xB5
APPARENT = 0xB9
POWER_FACTOR = 0xBD
CURRENT_PEAK = 0xF5
FREQUENCY = 0xF8
TEMPERATURE = 0xFC
LOW = 0x10  # from a register to its low word

# Address, value; in this order. PL constant 140 625 000: 3200 pulses per kWh. PGA x1.
_FIXED = (
    0x75, 0xB76F, 0x76, 0xDDFD,  # interrupt enables
    0x73, 0x0001, 0x74, 0x0001,  # clear the interrupt status
    0x07, 0x0A55,  # zero-cross pins
    0x31, 0x0861, 0x32, 0xC468,  # PL constant
)  # fmt: skip
_THRESHOLDS = (
    0x34, 0x0000,  # PGA x1
    0x35, 0x0AFC, 0x36, 0x0AEC, 0x37, 0x0000,  # total start-up thresholds P, Q, S
    0x38, 0x00BC, 0x39, 0x0000, 0x3A, 0x0000,  # per phase
)  # fmt: skip
# Power offset, fundamental power offset and gain: all 0.
_ZERO = b"\x41\x42\x43\x44\x45\x46\x51\x52\x53\x54\x55\x56"

_NONE = (0, 0, 0)
_MMODE0 = 0x0087
_MMODE0_60_HZ = 0x1000


def sag_threshold(line_hz, voltage_gain):
    """Return the value of the sag threshold register: 190 V at 50 Hz, 90 V at 60 Hz.

    A gain below 6719 has no such threshold; the register's end then means that no sag is reported.
    """
    sag_v = 90 if line_hz == 60 else 190
    # 100 * sqrt(2) * 32768 / 2 = 2317047.5
    counts = (sag_v * 4634095 + voltage_gain) // (2 * voltage_gain)
    return min(counts, 0xFFFF)


def start_up(
    line_hz, voltage_gain, voltage_offset, current_gains, current_offsets, power_gains=_NONE, angles=_NONE
):
    """Yield (address, value) of every write between the soft reset and the first reading.

    Args:
        line_hz: 50 or 60.
        voltage_gain: 1 to 65535, for all three phases.
        voltage_offset: 0 to 65535, for all three phases.
        current_gains: Three values, 1 to 65535.
        current_offsets: Three values, 0 to 65535.
        power_gains: Three values, 0 to 65535.
        angles: Three values, 0 to 255, plus 32768 where the voltage is delayed.
    """
    high = 61 if line_hz == 60 else 51
    yield ACCESS, ACCESS_OPEN
    yield 0x00, 0x0001  # metering on
    yield 0x02, 0x0444  # all phase voltages from V1
    yield 0x08, sag_threshold(line_hz, voltage_gain)
    yield 0x0D, high * 100
    yield 0x0C, (high - 2) * 100
    for index in range(0, len(_FIXED), 2):
        yield _FIXED[index], _FIXED[index + 1]
    yield 0x33, _MMODE0 | _MMODE0_60_HZ if line_hz == 60 else _MMODE0
    for index in range(0, len(_THRESHOLDS), 2):
        yield _THRESHOLDS[index], _THRESHOLDS[index + 1]
    for phase in range(3):
        yield 0x47 + 2 * phase, power_gains[phase]
        yield 0x48 + 2 * phase, angles[phase]
    for address in _ZERO:
        yield address, 0
    for phase in range(3):
        base = 0x61 + 4 * phase
        yield base, voltage_gain
        yield base + 1, current_gains[phase]
        yield base + 2, voltage_offset
        yield base + 3, current_offsets[phase]
    yield ACCESS, 0x0000


def signed16(value):
    """Return a register's two's complement value."""
    return value - 0x10000 if value & 0x8000 else value


def rms_counts(main, low):
    """Return an RMS value in 1/256 of the main register's step; only the low word's high byte counts."""
    return (main << 8) | (low >> 8)


def voltage_v(main, low):
    """Return an RMS voltage, in V, 0 to 655.36, in steps of 39 uV."""
    return rms_counts(main, low) / 25600


def current_a(main, low):
    """Return an RMS current, in A, 0 to 65.536, in steps of 3.9 uA."""
    return rms_counts(main, low) / 256000


def power_w(high, low):
    """Return a mean power, in W, var or VA, signed, in steps of 0.32 mW."""
    return (signed16(high) << 16 | low) * 0.00032


def power_factor(value):
    """Return a power factor, -1 to 1, in steps of 0.001."""
    return signed16(value) / 1000


def current_peak_a(value, gain):
    """Return a peak current, in A, from its register and the current gain in force."""
    return signed16(value) * gain / 8192000


def frequency_hz(value):
    """Return the line frequency, in Hz, in steps of 0.01 Hz."""
    return value / 100
