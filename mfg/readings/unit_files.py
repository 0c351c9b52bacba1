"""The files of a unit that are worth keeping, read over its serial port."""

from __future__ import annotations

from mfg.fixtures.micropython_repl import MicroPythonRepl
from mfg.records.factory_file import masked_machine_config
from mfg.untrusted import parse_json

FILE_LIMIT_BYTES = 65536
FACTORY_FILE, MACHINE_FILE = "/factory.cfg", "/this.machine.cfg"


def held_files(repl: MicroPythonRepl) -> dict[str, bytes]:
    """Read factory file and masked configuration, each by its plain name, as far as the unit has them.

    Raises:
        DutError, FixtureError: The unit does not answer, or a file is longer than a configuration can be.
    """
    kept: dict[str, bytes] = {}
    if repl.exists(FACTORY_FILE):
        kept["factory.cfg"] = repl.read_file(FACTORY_FILE, FILE_LIMIT_BYTES)
    if repl.exists(MACHINE_FILE):
        kept["this.machine.cfg"] = _masked(repl.read_file(MACHINE_FILE, FILE_LIMIT_BYTES))
    return kept


def _masked(content: bytes) -> bytes:
    """Mask the secrets; a file that is no configuration could hold them anywhere and is not kept as it is."""
    try:
        configuration = parse_json(content)
    except ValueError:
        configuration = None
    if not isinstance(configuration, dict):
        return f"not a configuration: {len(content)} bytes, not kept".encode()
    return masked_machine_config(configuration)
