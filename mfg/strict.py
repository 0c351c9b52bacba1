"""Strict reading of settings files: an unknown, missing or mistyped key is refused with file, line and key.

A schema is plain data: a mapping of key to `Key`. Values come back as plain Python objects, so that the
dataclasses of `station.py` stay free of parsing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mfg.errors import UsageError

_NOTHING = object()


@dataclass(frozen=True)
class Form:
    """A form that a text must have: a test of it, and the words that describe it."""

    accepts: Callable[[str], bool]
    words: str


@dataclass(frozen=True)
class Key:
    """What one key may hold.

    Attributes:
        kind: str, int, float, bool, "map" (nested `keys`), "list" (of `items`) or "table" (free string
            keys, each holding a value of `items`).
        default: Value when the key is absent; without one the key is required.
        choices: The only values allowed.
        low, high: Inclusive range of a number.
        form: What a text must look like.
    """

    kind: Any
    default: Any = _NOTHING
    keys: Mapping[str, Key] | None = None
    items: Key | None = None
    choices: Sequence[Any] = ()
    low: float | None = None
    high: float | None = None
    form: Form | None = None

    @property
    def required(self) -> bool:
        """Whether the file must hold this key."""
        return self.default is _NOTHING


def load_yaml(path: Path, schema: Mapping[str, Key]) -> dict[str, Any]:
    """Read a YAML file by its schema.

    Returns:
        Every key of the schema, defaults filled in.

    Raises:
        UsageError: The file is missing, is not YAML, or a key is unknown, missing, twice there or holds
            what it may not; the message names file, line, key and what is allowed. Nothing was touched.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read ({error.strerror}).", "Give the file with --station."
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is not UTF-8 text ({error.reason} at byte {error.start}).") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: is not YAML: {error}") from error
    if root is None:
        raise UsageError(f"{path}: is empty.", f"It must hold: {', '.join(schema)}.")
    return _read_map(path, root, schema, "")


def _read_map(path: Path, node: yaml.Node, schema: Mapping[str, Key], where: str) -> dict[str, Any]:
    if not isinstance(node, yaml.MappingNode):
        raise _refusal(path, node, where, f"must hold the keys {', '.join(schema)}")
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        name = str(key_node.value)
        full = f"{where}.{name}" if where else name
        if name not in schema:
            raise _refusal(path, key_node, full, f"is unknown; allowed here: {', '.join(schema)}")
        if name in found:
            raise _refusal(path, key_node, full, "is there twice")
        found[name] = _read_value(path, value_node, schema[name], full)
    for name, key in schema.items():
        if name not in found:
            if key.required:
                full = f"{where}.{name}" if where else name
                raise _refusal(path, node, full, f"is missing; it must be {_describe(key)}")
            found[name] = key.default
    return found


def _read_value(path: Path, node: yaml.Node, key: Key, where: str) -> Any:
    if key.kind == "map":
        return _read_map(path, node, key.keys or {}, where)
    if key.kind == "list" and key.items is not None:
        if not isinstance(node, yaml.SequenceNode):
            raise _refusal(path, node, where, "must be a list")
        return [_read_value(path, item, key.items, f"{where}[{n}]") for n, item in enumerate(node.value)]
    if key.kind == "table" and key.items is not None:
        if not isinstance(node, yaml.MappingNode):
            raise _refusal(path, node, where, "must be a table of names and values")
        return _read_table(path, node, key.items, where)
    return _read_scalar(path, node, key, where)


def _read_table(path: Path, node: yaml.MappingNode, items: Key, where: str) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for key_node, value_node in node.value:
        name = str(key_node.value)
        if name in table:
            raise _refusal(path, key_node, f"{where}.{name}", "is there twice")
        table[name] = _read_value(path, value_node, items, f"{where}.{name}")
    return table


def _read_scalar(path: Path, node: yaml.Node, key: Key, where: str) -> Any:
    try:
        value = yaml.SafeLoader.construct_object(yaml.SafeLoader(""), node, deep=True)
    except (yaml.YAMLError, ValueError) as error:  # an unknown tag, a 31st of February
        raise _refusal(path, node, where, f"cannot be read; it must be {_describe(key)}") from error
    if key.kind is float and type(value) is int:
        value = float(value)
    if key.kind is str and node.tag.endswith((":int", ":float")) and isinstance(node, yaml.ScalarNode):
        value = node.value  # a serial number or address that happens to look like a number stays as written
    if type(value) is not key.kind:
        raise _refusal(path, node, where, f"is {value!r}; it must be {_describe(key)}")
    if key.choices and value not in key.choices:
        raise _refusal(path, node, where, f"is {value!r}; it must be {_describe(key)}")
    out = (key.low is not None and value < key.low) or (key.high is not None and value > key.high)
    if out or value != value:
        raise _refusal(path, node, where, f"is {value!r}; it must be {_describe(key)}")
    if key.form is not None and not key.form.accepts(value):
        raise _refusal(path, node, where, f"is {value!r}; it must be {key.form.words}")
    return value


def _describe(key: Key) -> str:
    if key.choices:
        return "one of " + ", ".join(str(choice) for choice in key.choices)
    names = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
    text = names.get(key.kind, {"map": "a table", "list": "a list", "table": "a table"}.get(key.kind, ""))
    if key.low is not None or key.high is not None:
        text += f" from {key.low} to {key.high}"
    return text


def _refusal(path: Path, node: yaml.Node, where: str, problem: str) -> UsageError:
    return UsageError(f"{path}:{node.start_mark.line + 1}: key '{where}' {problem}.")
