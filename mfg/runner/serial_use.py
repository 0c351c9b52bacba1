"""Whether a serial number is that of a unit in the store, before another one gets it."""

from __future__ import annotations

from collections.abc import Callable

from mfg.plans.mode import SET_LABELS
from mfg.records.index import RecordIndex
from mfg.records.outcomes import PASS
from mfg.station import Station


def serial_use_of(station: Station) -> Callable[[str], str]:
    """Return what says, in a sentence, that a serial number is taken; "" where it is free.

    A run that could not give it to a unit takes nothing.
    """

    def use(serial_number: str) -> str:
        with RecordIndex(station.records_folder) as index:
            rows = [row for row in index.runs(serial_number) if row.emulated == station.emulated]
            mac = index.mac_of(serial_number, station.emulated)
        taken = [row for row in rows if row.outcome == PASS or row.mode.split(" ")[0] != SET_LABELS]
        if not taken and mac is None:
            return ""
        return f"{serial_number} is another unit's: the store has it."

    return use
