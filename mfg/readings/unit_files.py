"""The files of a unit that are worth keeping, read over its serial port."""

from __future__ import annotations

import json
from collections.abc import Mapping

from mfg.errors import DutError
from mfg.fixtures.micropython_repl import MicroPythonRepl
from mfg.readings.own_label import object_of
from mfg.records.factory_file import CALIBRATION_NAME, FACTORY_NAME, MACHINE_NAME, masked_machine_config
from mfg.untrusted import parse_json

FILE_LIMIT_BYTES = 65536
FACTORY_FILE, MACHINE_FILE = f"/{FACTORY_NAME}", f"/{MACHINE_NAME}"


def held_files(repl: MicroPythonRepl) -> dict[str, bytes]:
    """Read the calibration's files and the masked configuration, by plain name, as far as the unit has them.

    Raises:
        DutError, FixtureError: The unit does not answer, or a file is longer than a configuration can be.
    """
    names = [name for name in (FACTORY_NAME, CALIBRATION_NAME, MACHINE_NAME) if repl.exists(f"/{name}")]
    kept = {name: repl.read_file(f"/{name}", FILE_LIMIT_BYTES) for name in names}
    if MACHINE_NAME in kept:
        kept[MACHINE_NAME] = _masked(kept[MACHINE_NAME])
    return kept


def write_settings(repl: MicroPythonRepl, settings: Mapping[str, int]) -> None:
    """Write some keys of the unit's configuration; all else of it stays.

    Raises:
        DutError: The configuration is not whole: written over, its network and names would be lost; or the
            unit does not hold what was written.
    """
    configuration = object_of(repl.read_file(MACHINE_FILE, FILE_LIMIT_BYTES))
    if not configuration:
        raise DutError(
            f"The unit's {MACHINE_NAME} is not whole; what was adjusted in it cannot be taken out.",
            "Load the unit again.",
        )
    if any(configuration.get(key) != value for key, value in settings.items()):
        repl.write_file(MACHINE_FILE, json.dumps({**configuration, **settings}).encode())


def _masked(content: bytes) -> bytes:
    """Mask the secrets; a file that is no configuration could hold them anywhere and is not kept as it is."""
    try:
        configuration = parse_json(content)
    except ValueError:
        configuration = None
    if not isinstance(configuration, dict):
        return f"not a configuration: {len(content)} bytes, not kept".encode()
    return masked_machine_config(configuration)
