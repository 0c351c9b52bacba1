"""How a killed run left its unit: by the acts in its journal, and by what the recovery found on the unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mfg.phases import archive_interrupted as archive
from mfg.phases import settle_interrupted as settle
from mfg.readings.applications import changed_settings
from mfg.readings.own_label import object_of
from mfg.records.factory_file import MACHINE_NAME
from mfg.records.journal import ERASE, KEEP_APPLICATION, RESET_WIFI, STORE, WRITE_WIFI, Story
from mfg.records.record import PhaseEntry
from mfg.records.unit_after import BETWEEN, NEW, OLD, UNFINISHED, UNKNOWN, UnitAfter, unit_after

_CALIBRATION = "its calibration"
_PARTS = {
    "application_after": "its application",
    "returned_unit": "its files",
    "calibration_after": _CALIBRATION,
}
"""What of a unit the recovery sees, by the measurement that says in which state it is."""
_STATES = {OLD: OLD, NEW: NEW, settle.AS_IT_CAME: OLD}


def facts_of_interrupted_unit(
    story: Story, phases: Sequence[PhaseEntry], archived: Mapping[str, bytes], held: Mapping[str, bytes]
) -> UnitAfter:
    """Say how the unit of a killed run was left.

    An act is in the journal before it is begun: what a whole journal does not name was not done.

    Args:
        story: What the journal tells.
        phases: In which the recovery looked at the unit; none where it could not.
        archived: The unit's files, by name, as the run had archived them, secrets masked.
        held: The same as the recovery read them.
    """
    begun = f"Begun on it: {'; '.join(dict.fromkeys(story.acts)) or 'nothing'}."
    if set(story.acts) == {ERASE} and not story.damaged and _is_as_archived(archived, held):
        return unit_after(OLD, "Seen over USB after the run: nothing of it was erased.")
    if set(story.acts) == {ERASE} and archived and not held:  # a unit in its boot ROM shows nothing
        return unit_after(UNKNOWN, begun)
    if ERASE in story.acts:
        return unit_after(UNFINISHED, begun)
    if story.damaged:
        return unit_after(UNKNOWN, f"The journal is damaged and may not tell all. {begun}")
    if not story.acts:
        return unit_after(OLD, "The run had changed nothing on it.")
    measured = {entry["name"]: entry["value"] for phase in phases for entry in phase["measurements"]}
    values = {text: str(measured.get(name) or UNKNOWN) for name, text in _PARTS.items()}
    if archive.OTHER_UNIT in values.values():
        return unit_after(UNKNOWN, f"The unit that was in the slot afterwards is not this one. {begun}")
    if story.acts[0] in (WRITE_WIFI, RESET_WIFI):
        return _of_wifi(story, archived, held) if archived and held else unit_after(UNKNOWN, begun)
    concerned = {text: value for text, value in values.items() if value != archive.NOT_CONCERNED}
    missed = STORE in story.acts and _CALIBRATION not in concerned
    if missed or not concerned or UNKNOWN in concerned.values():
        return unit_after(UNKNOWN, begun)
    seen = ", ".join(f"{text} {value}" for text, value in concerned.items())
    if KEEP_APPLICATION in story.acts and STORE not in story.acts and concerned.get(_CALIBRATION) == OLD:
        del concerned[_CALIBRATION]  # the job was to leave it
    states = {_STATES.get(value, BETWEEN) for value in concerned.values()}
    state = states.pop() if len(states) == 1 else BETWEEN
    return unit_after(state, f"Seen over USB after the run: {seen}.")


def _is_as_archived(archived: Mapping[str, bytes], held: Mapping[str, bytes]) -> bool:
    """Return whether a unit holds what it held; a configuration that it filled up is the same."""
    if not archived or archived.keys() != held.keys():
        return False
    changed = changed_settings(*(object_of(files.get(MACHINE_NAME, b"")) for files in (archived, held)))
    return not changed and all(held[name] == archived[name] for name in archived if name != MACHINE_NAME)


def _of_wifi(story: Story, archived: Mapping[str, bytes], held: Mapping[str, bytes]) -> UnitAfter:
    """Compare the WiFi configuration with the archived one.

    Secrets are masked in both: a passphrase that alone would have changed is not seen.
    """
    before, after = (object_of(files.get(MACHINE_NAME, b"")) for files in (archived, held))
    if changed_settings(before, after, ("WIFI",)):
        return unit_after(BETWEEN, "Seen over USB after the run: more than its WiFi configuration changed.")
    if after.get("WIFI") == before.get("WIFI"):
        return unit_after(OLD, "Seen over USB after the run: its WiFi configuration is the archived one.")
    missing = ["that it joins"] if WRITE_WIFI in story.acts else []
    return unit_after(NEW, "Seen over USB after the run: its WiFi configuration is a new one.", missing)
