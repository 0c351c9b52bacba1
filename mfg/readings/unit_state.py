"""All that a running unit holds of calibration and configuration, to prove what a job left alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from mfg.fixtures.dut_api import DutApi
from mfg.fixtures.plugs import PowerSwitchPlug, UnitApiPlug, UnitPortPlug
from mfg.fixtures.traveller import Traveller
from mfg.fixtures.unit_config import HeldValues
from mfg.readings.restarts import note_start
from mfg.readings.stored import PHASE_FEATURE, holds, stored_files, used_files
from mfg.readings.supply_cycle import cycle_supply
from mfg.readings.window_sources import CHIP_PORTS
from mfg.records.factory_file import CALIBRATION_KEYS, FACTORY_NAME, REGISTER_KEYS, parse_factory_file
from mfg.records.journal import STORE

REGISTERS_FEATURE = "registers"
NOTHING = "none"  # has changed


@dataclass(frozen=True)
class PartStored:
    """How a unit stored a part of its calibration.

    Attributes:
        holds: Whether its files hold its label, what was adjusted, and all the rest as it was.
        survived: Whether they are the same after a power cycle, byte for byte.
        returned_s: Bench time from the supply to the first valid answer.
        others_changed: Names of what changed and may not, or "none".
    """

    holds: bool
    survived: bool
    returned_s: float
    others_changed: str


def unit_state(api: DutApi, features: Collection[str]) -> dict[str, object]:
    """Read configuration, factory file and, where the unit shows them, the chips' registers.

    Returns:
        Values by name: a key of the configuration, `factory.cfg` and a key, a chip and an address. Secrets
        may be among them: it is for comparing, never for a record.

    Raises:
        FixtureError: The unit cannot be reached, or stays silent.
        DutError: Its factory file is missing or damaged, or an answer cannot be read.
    """
    state: dict[str, object] = dict(api.config())
    factory = parse_factory_file(stored_files(api, features).get(FACTORY_NAME, b""))
    state |= {f"{FACTORY_NAME} {key}": value for key, value in factory.registers.items()}
    state[f"{FACTORY_NAME} ASSY"] = factory.label.unit_text
    state[f"{FACTORY_NAME} LINE_FREQ_HZ"] = factory.line_frequency_hz
    if REGISTERS_FEATURE in features:
        for chip in CHIP_PORTS:
            state |= {f"{chip} 0x{at:02X}": value for at, value in api.registers(chip).items()}
    return state


def calibration_of(held: HeldValues, features: Collection[str]) -> dict[str, int]:
    """Return every word of a configuration that the unit's calibration files keep, by key."""
    keys = (*REGISTER_KEYS, *CALIBRATION_KEYS) if PHASE_FEATURE in features else REGISTER_KEYS
    return {key: held.word(key) for key in keys}


def differing(before: Mapping[str, object], after: Mapping[str, object], allowed: Collection[str]) -> str:
    """Name what is not the same in two states, beyond what may differ; "none" where all of it is."""
    names = [name for name in {**before, **after} if name not in allowed]
    found = [name for name in names if before.get(name) != after.get(name)]
    return ", ".join(found) or NOTHING


def store_part(
    sheet: Traveller,
    unit: UnitApiPlug,
    port: UnitPortPlug,
    power: PowerSwitchPlug,
    allowed: Collection[str],
) -> PartStored:
    """Let the unit store what it holds, take its supply away, and compare all of it with what it held.

    Args:
        sheet: Of the run; `state_before` is what the unit held, `adjusted` what its files are to hold.
        unit, port, power: The slot's plugs.
        allowed: Names of what may have changed, as `unit_state` gives them.

    Raises:
        DutError, FixtureError: As `cycle_supply`, or a file cannot be read; what is stored is to be settled.
    """
    sheet.touched_files = used_files(sheet.features)
    sheet.about_to(STORE)
    unit.api.save_factory()
    written = stored_files(unit.api, sheet.features)
    right = holds(written, sheet.unit_label, sheet.adjusted)
    returned_s = cycle_supply(sheet, unit, port, power)
    sheet.stored_files = stored_files(unit.api, sheet.features)
    changed = differing(sheet.state_before, unit_state(unit.api, sheet.features), allowed)
    note_start(sheet, unit.api, unit.slot_context.clock)
    return PartStored(right, sheet.stored_files == written, returned_s, changed)
