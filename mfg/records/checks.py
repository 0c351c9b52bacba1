"""Checks of plain data: each takes a value and where it stands, and refuses what may not stand there."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mfg.errors import StationError
from mfg.untrusted import printable, quoted

MAX_INTEGER = 2**63 - 1  # what the index can hold
LONGEST_S = 1e9  # 30 years: no run and no warm-up is longer

Check = Callable[[Any, str], None]

_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def wrong(where: str, value: object, allowed: str) -> StationError:
    """Return the error for a value that may not stand where it stands."""
    return StationError(
        f"The record's {printable(where)} is {quoted(value)}; it must be {allowed}.",
        "Keep the file and tell the engineer; the record was edited, cut short or made by other software.",
    )


def is_text(value: Any, where: str) -> None:
    """Refuse what is no text, or one with lone surrogates."""
    if isinstance(value, str) and value.isascii():
        return
    if not isinstance(value, str) or _SURROGATE.search(value) is not None:
        raise wrong(where, value, "a text of Unicode characters")


def is_flag(value: Any, where: str) -> None:
    """Refuse what is neither true nor false."""
    if not isinstance(value, bool):
        raise wrong(where, value, "true or false")


def is_integer(value: Any, where: str) -> None:
    """Refuse what is no whole number, or one that the index cannot hold."""
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > MAX_INTEGER:
        raise wrong(where, value, "a whole number of at most 63 bits")


def is_number(value: Any, where: str) -> None:
    """Refuse what is no finite number."""
    if type(value) is float and math.isfinite(value):
        return
    if isinstance(value, int):
        is_integer(value, where)
    elif not isinstance(value, float) or not math.isfinite(value):
        raise wrong(where, value, "a finite number")


def is_seconds(value: Any, where: str) -> None:
    """Refuse what is no time span: a number, 0 to `LONGEST_S`."""
    is_number(value, where)
    if not 0 <= value <= LONGEST_S:
        raise wrong(where, value, f"0 or more, and at most {LONGEST_S:g}")


def is_positive(value: Any, where: str) -> None:
    """Refuse what is no finite number above 0."""
    is_number(value, where)
    if value <= 0:
        raise wrong(where, value, "above 0")


def is_word(value: Any, where: str) -> None:
    """Refuse what is no content of a 16-bit register."""
    is_integer(value, where)
    if not 0 <= value <= 0xFFFF:
        raise wrong(where, value, "0 to 65535")


def is_value(value: Any, where: str) -> None:
    """Refuse what is none of: finite number, text, true, false, null."""
    if isinstance(value, str):
        is_text(value, where)
    elif value is not None and not isinstance(value, bool):
        is_number(value, where)


def is_utc(value: Any, where: str) -> None:
    """Refuse what is no time as a record writes it."""
    try:
        known = isinstance(value, str) and _UTC.fullmatch(value) and datetime.datetime.fromisoformat(value)
    except ValueError:
        known = None
    if not known:
        raise wrong(where, value, "a UTC time like 2026-11-20T12:03:54.123Z")


def is_date(value: Any, where: str) -> None:
    """Refuse what is no day of the calendar."""
    try:
        known = isinstance(value, str) and _DATE.fullmatch(value) and datetime.date.fromisoformat(value)
    except ValueError:
        known = None
    if not known:
        raise wrong(where, value, "a date like 2026-11-20")


def optional(check: Check) -> Check:
    """Return a check that lets null pass."""

    def checked(value: Any, where: str) -> None:
        if value is not None:
            check(value, where)

    return checked


def one_of(choices: Sequence[str]) -> Check:
    """Return a check that lets nothing pass but these texts."""

    def checked(value: Any, where: str) -> None:
        if value not in choices:
            raise wrong(where, value, f"one of {', '.join(choices)}")

    return checked


def matches(pattern: re.Pattern[str], example: str) -> Check:
    """Return a check of a text's form."""

    def checked(value: Any, where: str) -> None:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise wrong(where, value, f"of the form {example}")

    return checked


def list_of(check: Check) -> Check:
    """Return a check of a list and of each of its items."""

    def checked(value: Any, where: str) -> None:
        if not isinstance(value, list):
            raise wrong(where, value, "a list")
        for position, item in enumerate(value):
            check(item, f"{where}[{position}]")

    return checked


def has_keys(keys: Mapping[str, Check], may: Mapping[str, Check] | None = None) -> Check:
    """Return a check of an object.

    Args:
        keys: What it must hold.
        may: What it may hold besides; other keys are let through unseen.
    """

    must = tuple(keys.items())
    allowed = tuple((may or {}).items())

    def checked(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise wrong(where, value, "an object")
        dotted = f"{where}." if where else ""
        for key, check in must:
            try:
                held = value[key]
            except KeyError:
                raise wrong(dotted + key, None, "there") from None
            check(held, dotted + key)
        for key, check in allowed:
            if key in value:
                check(value[key], dotted + key)

    return checked


def map_of(key: Check, item: Check) -> Check:
    """Return a check of an object whose keys are free within a form."""

    def checked(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise wrong(where, value, "an object")
        for name, held in value.items():
            key(name, f"{where} key")
            item(held, f"{where}.{name}")

    return checked
