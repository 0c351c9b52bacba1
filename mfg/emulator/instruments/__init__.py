"""The SCPI instruments of the emulated bench: power meter, power switch, thermometer.

Written from captured replies and manuals. It shares no table with the drivers in mfg.fixtures: a test
in which both sides read the same table proves nothing.
"""

from mfg.emulator.instruments.process import run_instruments

__all__ = ["run_instruments"]
