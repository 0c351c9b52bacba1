"""One set of readings, its running mean, and its JSON form. Pure; also runs under CPython.

A set is an array of 57 single-precision values: nine per port, then three of the unit.
"""

import time
from array import array

PORTS = 6
# Names, and the decimals that are shown.
FIELDS = ("IRMS", "IPEAK", "VRMS", "PRMS", "PREACT", "PAPPARENT", "PF", "TEMP", "FREQ")
_DECIMALS = b"\x05\x04\x03\x03\x03\x03\x03\x02\x03"
IRMS, IPEAK, VRMS, PRMS, PREACT, PAPPARENT, PF, TEMP, FREQ = range(9)
FIELDS_PER_PORT = 9
# READ_TIME_NS is in microseconds in spite of its name; tools know it so.
READ_TIME, RSSI, BOARD_TEMPERATURE = 54, 55, 56
SIZE = 57

# The mean never spans more than this many sets (a minute): an old value must fade when nobody reads.
WINDOW_SETS = 240


def new_set():
    """Return a set of readings, all 0."""
    return array("f", [0.0] * SIZE)


class Averager:
    """The running mean of the sets since it was last taken."""

    def __init__(self):
        self._mean = new_set()
        self._count = 0

    def add(self, values):
        """Take one set into the mean."""
        self._count = min(self._count + 1, WINDOW_SETS)
        mean = self._mean
        for index in range(SIZE):
            mean[index] += (values[index] - mean[index]) / self._count

    def take(self):
        """Return the mean and start anew, or None if no set came since the last call."""
        if not self._count:
            return None
        self._count = 0
        mean, self._mean = self._mean, new_set()
        return mean


def port_stats(values, port, config):
    """Return the JSON form of one port, 0 to 5.

    Powers of at most ZERO_POWER_GATE_WATTS read 0.0; so does the power factor of an active power below
    PF_WATTS_THRESHOLD. Both act on the mean, not on its parts.
    """
    first = port * FIELDS_PER_PORT
    shown = {"TYPE": config["CT%d_TYPE" % (port + 1)], "NAME": config["CT%d_NAME" % (port + 1)]}
    for index, name in enumerate(FIELDS):
        value = values[first + index]
        if index in (PRMS, PREACT, PAPPARENT) and abs(value) <= config["ZERO_POWER_GATE_WATTS"]:
            value = 0.0
        elif index == PF and abs(values[first + PRMS]) < config["PF_WATTS_THRESHOLD"]:
            value = 0.0
        shown[name] = round(value, _DECIMALS[index])
    return shown


def time_sent():
    """Return the time that TIMESENT gives: date, time, weekday and day of the year, then the seconds."""
    sent = list(time.gmtime()[:8])
    sent.append(int(time.time()))
    return sent


def to_dict(values, config, version):
    """Return the JSON form of a set of readings.

    Args:
        values: A set of readings.
        config: The configuration, by key.
        version: The firmware's version.
    """
    shown = {"CT%d" % (port + 1): port_stats(values, port, config) for port in range(PORTS)}
    shown["READ_TIME_NS"] = round(values[READ_TIME], 0)
    shown["RSSI"] = round(values[RSSI], 1)
    shown["BOARD_TEMPERATURE"] = round(values[BOARD_TEMPERATURE], 2)
    for key in ("ASSY", "YDEV_UNIT_NAME", "ACTIVE", "PF_WATTS_THRESHOLD"):
        shown[key] = config[key]
    shown["FIRMWARE_VERSION"] = version
    return shown
