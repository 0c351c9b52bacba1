"""Strict reading of settings files: an unknown, missing or mistyped key is refused with file, line and key.

A schema is plain data: a mapping of key to `Key`. Values come back as plain Python objects, so that the
dataclasses of `station.py` stay free of parsing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mfg.errors import UsageError
from mfg.untrusted import decode_utf8, printable, quoted, read_bounded

YAML_LIMIT_BYTES = 64 * 1024  # a station of ten slots has a tenth of it

_NOTHING = object()
_MESSAGE_CHARACTERS = 400
# A text may not hold what no path, no terminal and no file takes: control characters, half characters.
_NOT_IN_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NODES: dict[type[yaml.Node], str] = {yaml.MappingNode: "a table", yaml.SequenceNode: "a list"}


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


def load_settings(path: Path) -> bytes:
    """Read the bytes of a settings file.

    Raises:
        UsageError: It is missing, cannot be read, or is larger than `YAML_LIMIT_BYTES`.
    """
    try:
        return read_bounded(path, YAML_LIMIT_BYTES)
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read ({error.strerror}).", "Give the file with --station."
        ) from error
    except ValueError as error:
        raise UsageError(f"{path}: {error}.", "Give the file with --station.") from error


def read_yaml(path: Path, content: bytes, schema: Mapping[str, Key]) -> dict[str, Any]:
    """Read the content of a YAML file by its schema.

    Args:
        path: What messages call the file.
        content: From `load_settings`.
        schema: What it may hold.

    Returns:
        Every key of the schema, defaults filled in.

    Raises:
        UsageError: It is not YAML, or a key is unknown, missing, twice there or holds what it may not; the
            message names file, line, key and what is allowed. Nothing was touched.
    """
    try:
        root = yaml.compose(decode_utf8(content), Loader=yaml.SafeLoader)
    except RecursionError as error:
        raise UsageError(f"{path}: is nested too deeply.") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: is not YAML: {printable(str(error), _MESSAGE_CHARACTERS)}.") from error
    except ValueError as error:  # not UTF-8, or a character or a version number that does not exist
        raise UsageError(f"{path}: is not YAML: {printable(str(error), _MESSAGE_CHARACTERS)}.") from error
    if root is None:
        raise UsageError(f"{path}: is empty.", f"It must hold: {', '.join(schema)}.")
    return _read_map(path, root, schema, "")


def _read_map(path: Path, node: yaml.Node, schema: Mapping[str, Key], where: str) -> dict[str, Any]:
    if not isinstance(node, yaml.MappingNode):
        raise _refusal(path, node, where, f"must hold the keys {', '.join(schema)}")
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        name = _name(path, key_node, where)
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
        name = _name(path, key_node, where)
        if name in table:
            raise _refusal(path, key_node, f"{where}.{name}", "is there twice")
        table[name] = _read_value(path, value_node, items, f"{where}.{name}")
    return table


def _name(path: Path, node: yaml.Node, where: str) -> str:
    """Return a key; one that is no plain text is never written out: an alias makes it as long as it likes."""
    if not isinstance(node, yaml.ScalarNode):
        raise _refusal(path, node, where, f"has {_NODES[type(node)]} as the name of a key")
    name = str(node.value)
    if _NOT_IN_TEXT.search(name):
        raise _refusal(path, node, where, f"has {quoted(name)} as the name of a key")
    return name


def _read_scalar(path: Path, node: yaml.Node, key: Key, where: str) -> Any:
    if not isinstance(node, yaml.ScalarNode):
        raise _refusal(path, node, where, f"is {_NODES[type(node)]}; it must be {_describe(key)}")
    try:
        value = _construct(node, key)
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # an unknown tag, a 31st of February
        raise _refusal(path, node, where, f"cannot be read; it must be {_describe(key)}") from error
    if type(value) is not key.kind:
        raise _refusal(path, node, where, f"is {quoted(value)}; it must be {_describe(key)}")
    if key.choices and value not in key.choices:
        raise _refusal(path, node, where, f"is {quoted(value)}; it must be {_describe(key)}")
    out = (key.low is not None and value < key.low) or (key.high is not None and value > key.high)
    if out or value != value:
        raise _refusal(path, node, where, f"is {quoted(value)}; it must be {_describe(key)}")
    if isinstance(value, str) and _NOT_IN_TEXT.search(value):
        raise _refusal(path, node, where, f"is {quoted(value)}, which holds a control character")
    if key.form is not None and not key.form.accepts(value):
        raise _refusal(path, node, where, f"is {quoted(value)}; it must be {key.form.words}")
    return value


def _construct(node: yaml.ScalarNode, key: Key) -> Any:
    """Return the value of a scalar, as the kind of the key asks for.

    Raises:
        yaml.YAMLError, ValueError, OverflowError: There is none.
    """
    if key.kind is str and node.tag.endswith((":int", ":float")):
        return node.value  # a serial number or address that happens to look like a number stays as written
    try:
        value = yaml.SafeLoader.construct_object(yaml.SafeLoader(""), node, deep=True)
    except (AttributeError, IndexError, KeyError) as error:  # how PyYAML fails on `!!bool x` and `!!int ""`
        raise ValueError(f"{node.tag} cannot be {quoted(node.value)}") from error
    return float(value) if key.kind is float and type(value) is int else value


def _describe(key: Key) -> str:
    if key.choices:
        return "one of " + ", ".join(str(choice) for choice in key.choices)
    names = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
    text = names.get(key.kind, {"map": "a table", "list": "a list", "table": "a table"}.get(key.kind, ""))
    if key.low is not None or key.high is not None:
        text += f" from {key.low} to {key.high}"
    return text


def _refusal(path: Path, node: yaml.Node, where: str, problem: str) -> UsageError:
    place = f"key '{printable(where)}'" if where else "the file"
    return UsageError(f"{path}:{node.start_mark.line + 1}: {place} {problem}.")
