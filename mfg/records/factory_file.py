"""A unit's `factory.cfg` with its 16 keys, our firmware's `calibration.cfg`, and the masking of secrets.

Source: ct6-interface 5.1 and 5.2. The original tools judge a factory file by JSON syntax and the presence
of these keys; the unit applies every key of the file at each start, so a wrong value is a wrong meter.
`calibration.cfg` is in `firmware/contract.toml`: 14 keys, and the hash of the factory file it belongs to.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

from mfg.errors import DutError
from mfg.records.labels import UnitLabel, parse_unit_label
from mfg.untrusted import parse_json, quoted

PORTS = (1, 2, 3, 4, 5, 6)
VOLTAGE_GAIN_KEYS = ("CS0_VOLTAGE_GAIN", "CS4_VOLTAGE_GAIN")
CURRENT_GAIN_KEYS = tuple(f"CT{port}_IGAIN" for port in PORTS)
CURRENT_OFFSET_KEYS = tuple(f"CT{port}_IOFFSET" for port in PORTS)
REGISTER_KEYS = (*VOLTAGE_GAIN_KEYS, *CURRENT_GAIN_KEYS, *CURRENT_OFFSET_KEYS)
FACTORY_KEYS = ("ASSY", *REGISTER_KEYS, "LINE_FREQ_HZ")
CALIBRATION_KEYS = (
    *(f"CT{port}_PHASE" for port in PORTS),
    *(f"CT{port}_PGAIN" for port in PORTS),
    "CS0_VOLTAGE_OFFSET",
    "CS4_VOLTAGE_OFFSET",
)
FACTORY_HASH_KEY = "FACTORY_SHA256"  # of calibration.cfg
FACTORY_NAME, CALIBRATION_NAME, MACHINE_NAME = "factory.cfg", "calibration.cfg", "this.machine.cfg"
ARCHIVE = "archive_"  # before these names in the run folder: what the unit held before the run

REGISTER_MAX = 65535
LINE_FREQUENCIES_HZ = (50, 60)
MASK = "****"  # what our firmware says too: `secret_mask` of firmware/contract.toml

_MAX_BYTES = 16384  # a factory file has about 400
_SECRET_WORDS = ("PASS", "SECRET", "TOKEN", "PSK", "PRIVATE_KEY")
_LOAD_AGAIN = "Calibrate the unit again."


@dataclass(frozen=True)
class FactoryFile:
    """What a factory file holds.

    Attributes:
        label: The unit it belongs to.
        registers: The 14 gains and offsets by key, 0 to 65535.
        line_frequency_hz: 50 or 60.
        extra_keys: Keys beyond the 16; the unit drops them.
    """

    label: UnitLabel
    registers: dict[str, int]
    line_frequency_hz: int
    extra_keys: tuple[str, ...] = ()


def parse_factory_file(data: bytes) -> FactoryFile:
    """Read and check a `factory.cfg`.

    Args:
        data: The file as the unit holds it.

    Returns:
        Its values; whole floats, which original firmware stores, as integers.

    Raises:
        DutError: It is too long, not JSON, a key is missing or twice there, or a value is not what it may
            be; the message names the key.
    """
    values = _parse_object(data, FACTORY_NAME, FACTORY_KEYS)
    if not isinstance(values["ASSY"], str):
        raise DutError(f"factory.cfg: ASSY is {quoted(values['ASSY'])}, not a text.", _LOAD_AGAIN)
    registers = _registers(values, FACTORY_NAME, REGISTER_KEYS)
    line_frequency_hz = _whole(values, FACTORY_NAME, "LINE_FREQ_HZ")
    if line_frequency_hz not in LINE_FREQUENCIES_HZ:
        raise DutError(
            f"factory.cfg: LINE_FREQ_HZ is {quoted(line_frequency_hz)}, not 50 or 60.", _LOAD_AGAIN
        )
    extra = tuple(sorted(set(values) - set(FACTORY_KEYS)))
    return FactoryFile(parse_unit_label(values["ASSY"]), registers, line_frequency_hz, extra)


def parse_calibration_file(data: bytes, factory: bytes) -> dict[str, int]:
    """Read and check our firmware's `calibration.cfg`.

    Args:
        data: The file as the unit holds it.
        factory: The unit's `factory.cfg`, which it must belong to.

    Returns:
        The 14 phases, power gains and voltage offsets by key, 0 to 65535.

    Raises:
        DutError: It is not JSON, a key is missing or twice there, a value is not what it may be, or it
            belongs to another factory file: the unit ignores it then, and leaves its phases at 0.
    """
    values = _parse_object(data, CALIBRATION_NAME, (*CALIBRATION_KEYS, FACTORY_HASH_KEY))
    if values[FACTORY_HASH_KEY] != hashlib.sha256(factory).hexdigest():
        raise DutError("calibration.cfg belongs to another factory.cfg than the unit holds.", _LOAD_AGAIN)
    return _registers(values, CALIBRATION_NAME, CALIBRATION_KEYS)


def _registers(values: dict[str, Any], name: str, keys: tuple[str, ...]) -> dict[str, int]:
    registers = {key: _whole(values, name, key) for key in keys}
    for key, value in registers.items():
        if not 0 <= value <= REGISTER_MAX:
            raise DutError(f"{name}: {key} is {quoted(value)}, outside 0..{REGISTER_MAX}.", _LOAD_AGAIN)
    return registers


def _parse_object(data: bytes, name: str, keys: tuple[str, ...]) -> dict[str, Any]:
    if len(data) > _MAX_BYTES:
        raise DutError(f"{name} has {len(data)} bytes; a good one has less than {_MAX_BYTES}.", _LOAD_AGAIN)
    try:
        values = parse_json(data)
    except ValueError as error:
        raise DutError(f"{name} is not JSON: {error}.", _LOAD_AGAIN) from error
    if not isinstance(values, dict):
        raise DutError(f"{name} holds {quoted(values)}, not a JSON object.", _LOAD_AGAIN)
    missing = [key for key in keys if key not in values]
    if missing:
        raise DutError(f"{name} lacks {', '.join(missing)}.", _LOAD_AGAIN)
    return values


def _whole(values: dict[str, Any], name: str, key: str) -> int:
    value = values[key]
    whole = isinstance(value, int) or (
        isinstance(value, float) and math.isfinite(value) and value == int(value)
    )
    if isinstance(value, bool) or not whole:
        raise DutError(f"{name}: {key} is {quoted(value)}, not a whole number.", _LOAD_AGAIN)
    return int(value)


def mask_secrets(value: Any) -> Any:
    """Copy a unit's configuration with every password replaced.

    Args:
        value: The configuration as parsed JSON: objects, lists and scalars.

    Returns:
        A copy in which the value of every key that names a password, secret or token is `MASK`; an empty
        one stays empty, so that an unset password is still seen to be unset.
    """
    if isinstance(value, dict):
        return {key: _masked(key, item) for key, item in value.items()}
    if isinstance(value, list):
        return [mask_secrets(item) for item in value]
    return value


def _masked(key: object, value: Any) -> Any:
    if any(word in str(key).upper() for word in _SECRET_WORDS):
        return value if value in ("", None) else MASK
    return mask_secrets(value)


def masked_machine_config(config: dict[str, Any]) -> bytes:
    """Write a unit's configuration for the run folder, secrets masked.

    Args:
        config: `this.machine.cfg` or the reply of `/get_machine_config`, parsed.

    Returns:
        One line of JSON, UTF-8.
    """
    return (json.dumps(mask_secrets(config)) + "\n").encode()
