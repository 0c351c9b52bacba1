"""A unit's `factory.cfg`: its 16 keys; and the masking of secrets in a unit's configuration.

Source: ct6-interface 5.1 and 5.2. The original tools judge a factory file by JSON syntax and the presence
of these keys; the unit applies every key of the file at each start, so a wrong value is a wrong meter.
"""

from __future__ import annotations

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
    values = _parse_object(data)
    missing = [key for key in FACTORY_KEYS if key not in values]
    if missing:
        raise DutError(f"factory.cfg lacks {', '.join(missing)}.", _LOAD_AGAIN)
    if not isinstance(values["ASSY"], str):
        raise DutError(f"factory.cfg: ASSY is {quoted(values['ASSY'])}, not a text.", _LOAD_AGAIN)
    registers = {key: _whole(values, key) for key in REGISTER_KEYS}
    for key, value in registers.items():
        if not 0 <= value <= REGISTER_MAX:
            raise DutError(f"factory.cfg: {key} is {quoted(value)}, outside 0..{REGISTER_MAX}.", _LOAD_AGAIN)
    line_frequency_hz = _whole(values, "LINE_FREQ_HZ")
    if line_frequency_hz not in LINE_FREQUENCIES_HZ:
        raise DutError(
            f"factory.cfg: LINE_FREQ_HZ is {quoted(line_frequency_hz)}, not 50 or 60.", _LOAD_AGAIN
        )
    extra = tuple(sorted(set(values) - set(FACTORY_KEYS)))
    return FactoryFile(parse_unit_label(values["ASSY"]), registers, line_frequency_hz, extra)


def _parse_object(data: bytes) -> dict[str, Any]:
    if len(data) > _MAX_BYTES:
        raise DutError(
            f"factory.cfg has {len(data)} bytes; a good one has less than {_MAX_BYTES}.", _LOAD_AGAIN
        )
    try:
        values = parse_json(data)
    except ValueError as error:
        raise DutError(f"factory.cfg is not JSON: {error}.", _LOAD_AGAIN) from error
    if not isinstance(values, dict):
        raise DutError(f"factory.cfg holds {quoted(values)}, not a JSON object.", _LOAD_AGAIN)
    return values


def _whole(values: dict[str, Any], key: str) -> int:
    value = values[key]
    whole = isinstance(value, int) or (
        isinstance(value, float) and math.isfinite(value) and value == int(value)
    )
    if isinstance(value, bool) or not whole:
        raise DutError(f"factory.cfg: {key} is {quoted(value)}, not a whole number.", _LOAD_AGAIN)
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
