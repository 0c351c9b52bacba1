"""What comes from outside, from a unit, an instrument or a file: read with a bound, parsed, quoted.

Everything here refuses with a ValueError whose words go on behind "...: ", so that each caller says in an
error of its own what was refused and who must act. What passes is bounded in depth, every text in it can be
written to a file, and the numbers of a JSON text are finite.
"""

from __future__ import annotations

import json
import math
import re
import reprlib
import stat
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

SETTINGS_LIMIT_BYTES = 256 * 1024  # of a file that a person writes; the largest of ours has an eighth of it
DEPTH_LIMIT = 32  # how deep objects and lists may be nested; no unit, record or file of ours passes 10
DIGITS_LIMIT = 100
QUOTE_CHARACTERS = 80

_NESTING = frozenset({dict, list})  # what JSON and TOML are read as
_HALF_A_CHARACTER = re.compile("[\ud800-\udfff]")


def read_bounded(path: Path, limit_bytes: int) -> bytes:
    """Read a file that must not be larger than a limit.

    Raises:
        OSError: The file is not there or cannot be read.
        ValueError: It is larger, or it is a pipe or a device, which might never end.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise ValueError("it is not a regular file")
    with path.open("rb") as file:
        content = file.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        raise ValueError(f"it has more than {limit_bytes} bytes")
    return content


def decode_utf8(data: bytes) -> str:
    """Read bytes as UTF-8 text; anything else is a ValueError that names the byte."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 text ({error.reason} at byte {error.start})") from error


def parse_json(data: bytes | str) -> Any:
    """Read one JSON text.

    Args:
        data: The text, bounded in size by whoever read it.

    Returns:
        Its value. Every number in it is finite, every text is one of whole characters, no object had a key
        twice, and nothing is nested deeper than `DEPTH_LIMIT`.

    Raises:
        ValueError: It is not such a text.
    """
    text = decode_utf8(data) if isinstance(data, bytes) else data
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_whole,
        )
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    _refuse_depth(value)
    escaped = "\\" in text and "\\u" in text  # one character is found faster than two, and is rare
    if escaped or not text.isascii():  # else no text in it holds a half, and a record has thousands
        _refuse_halves(value)
    return value


def parse_toml(data: bytes) -> dict[str, Any]:
    """Read a TOML text.

    Args:
        data: The text, bounded in size by whoever read it.

    Raises:
        ValueError: It is not TOML in UTF-8, is nested too deeply, or holds a number of too many digits.
    """
    text = decode_utf8(data)
    try:
        table = tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except tomllib.TOMLDecodeError as error:
        raise ValueError(printable(str(error))) from error
    except ValueError as error:  # what int() says of thousands of digits
        raise ValueError("it holds a number of too many digits") from error
    _refuse_depth(table)
    _refuse_halves(table)
    return table


def quoted(value: object) -> str:
    """Quote a foreign value in a message: short, on one line, without anything that a terminal would obey.

    Returns:
        As Python writes it, at most about `QUOTE_CHARACTERS` characters, dots where something is left out.
    """
    return _QUOTER.repr(value)


def printable(text: str, limit: int = 2 * QUOTE_CHARACTERS) -> str:
    """Put a foreign text into a message: on one line, nothing that a terminal would obey, cut at a limit."""
    shown = " ".join(text[: limit + 1].split())
    shown = "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in shown)
    return shown if len(shown) <= limit and len(text) <= limit else f"{shown[:limit]}..."


class _Quoter(reprlib.Repr):
    """Never writes out what it then cuts, so that quoting takes no time and no memory."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 2
        self.maxstring = self.maxother = QUOTE_CHARACTERS

    def repr(self, x: Any) -> str:
        text = super().repr(x)
        return text if len(text) <= 2 * QUOTE_CHARACTERS else f"{text[: 2 * QUOTE_CHARACTERS]}..."

    def repr_int(self, x: int, level: int) -> str:
        if abs(x) >= 10**DIGITS_LIMIT:
            return f"<a whole number of {x.bit_length()} bits>"
        return super().repr_int(x, level)

    def repr_bytes(self, x: bytes, level: int) -> str:
        del level
        return repr(x) if len(x) <= QUOTE_CHARACTERS else f"{x[:QUOTE_CHARACTERS]!r}..."


_QUOTER = _Quoter()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        counts = Counter(name for name, _value in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise ValueError(f"key {quoted(twice)} is there twice")
    return values


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _finite(text: str) -> float:
    value = float(text) if len(text) <= DIGITS_LIMIT else _refuse_digits(text)
    if math.isfinite(value):
        return value
    raise ValueError(f"the number {text[:20]} is too large")


def _whole(text: str) -> int:
    return int(text) if len(text) <= DIGITS_LIMIT else _refuse_digits(text)


def _refuse_digits(text: str) -> NoReturn:
    raise ValueError(f"a number has {len(text)} digits")


def _refuse_depth(value: Any) -> None:
    """Refuse what is nested too deeply for others to walk through."""
    level = [value] if type(value) in _NESTING else []
    for _depth in range(DEPTH_LIMIT + 1):
        if not level:
            return
        level = [
            inner
            for item in level
            for inner in (item.values() if type(item) is dict else item)
            if type(inner) in _NESTING
        ]
    raise ValueError("it is nested too deeply")


def _refuse_halves(value: Any) -> None:
    """Refuse texts that no file can hold; the value is not nested too deeply."""
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, str):
            if _HALF_A_CHARACTER.search(item):
                raise ValueError(f"the text {quoted(item)} holds half a character")
        elif isinstance(item, dict):
            left += [*item, *item.values()]
        elif isinstance(item, list):
            left += item
