"""Read a product's limits file.

One table per phase, one sub-table per measurement. Every measurement in a phase's table must be set by
that phase, so what a phase measures and what it is judged by stand in one place. `{port}` in a name
stands for the ports 1 to 6.
"""

from __future__ import annotations

import hashlib
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mfg.errors import UsageError
from mfg.untrusted import SETTINGS_LIMIT_BYTES, decode_utf8, parse_toml, printable, quoted, read_bounded

PORTS = (1, 2, 3, 4, 5, 6)
_KINDS: dict[str, tuple[set[str], set[str]]] = {  # kind: (required keys, optional keys)
    "range": ({"low", "high", "unit", "source"}, {"rule", "risk", "required_tur", "optional"}),
    "equals": ({"value", "source"}, {"unit", "optional"}),
    "matches": ({"pattern", "source"}, set()),
}
_HEAD = {"product", "revision", "deadlines"}
_OPTIONAL_HEAD = {"rules"}
POINTS = ("high", "mid", "low")
RULES = ("simple", "guarded", "stated_risk")
_NAME = re.compile(r"(?:port\{port\}_)?[a-z][a-z0-9_]*")
_EXPANDED = re.compile(rf"port(?P<port>\d)_(?:(?P<point>{'|'.join(POINTS)})_)?")
_LARGEST = sys.float_info.max


@dataclass(frozen=True)
class Limit:
    """What one measurement must be.

    Attributes:
        name: Name of the measurement, with its unit as suffix.
        kind: "range" (low <= value <= high), "equals" or "matches" (a regular expression, in full).
        source: Where the number comes from: document and clause, or the study that set it.
        rule: How a range is judged by the value's uncertainty: "simple", "guarded" (by U) or
            "stated_risk"; empty where the value has no uncertainty budget.
        risk: Largest probability of a wrong verdict, for a stated risk.
        required_tur: Smallest test uncertainty ratio with which the limit may be judged, 0 for any.
        optional: Whether a unit that does not offer what is measured passes without it.
    """

    name: str
    kind: str
    source: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    value: Any = None
    pattern: str = ""
    rule: str = ""
    risk: float = 0.0
    required_tur: float = 0.0
    optional: bool = False

    def holds(self, value: float) -> bool:
        """Return whether a value is inside the range, its ends included; an open end holds everything."""
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        return low <= value <= high


@dataclass(frozen=True)
class LimitSet:
    """All limits, deadlines and rules of a product."""

    product: str
    revision: str
    path: Path
    sha256: str
    phases: dict[str, tuple[Limit, ...]]
    deadlines_s: dict[str, float]
    rules: dict[str, float]

    def of_phase(
        self, phase: str, ports: Sequence[int] = PORTS, points: Sequence[str] = POINTS
    ) -> tuple[Limit, ...]:
        """Return the limits of a phase: per-port ones for `ports` only, per-point ones for `points` only.

        Raises:
            UsageError: The file has no table for this phase, so nothing could reject a unit there.
        """
        if phase not in self.phases:
            raise UsageError(f"{self.path}: has no table [{phase}.…]; every phase needs its limits.")
        return tuple(limit for limit in self.phases[phase] if _is_wanted(limit.name, ports, points))

    def deadline_s(self, name: str) -> float:
        """Return a deadline, in bench seconds."""
        if name not in self.deadlines_s:
            raise UsageError(f"{self.path}: [deadlines] has no '{name}'.")
        return self.deadlines_s[name]

    def rule(self, name: str) -> float:
        """Return a number that steers the adjustment and rejects nothing by itself."""
        if name not in self.rules:
            raise UsageError(f"{self.path}: [rules] has no '{name}'.")
        return self.rules[name]

    def limit(self, phase: str, name: str) -> Limit:
        """Return one limit by phase and measurement name."""
        for limit in self.phases.get(phase, ()):
            if limit.name == name:
                return limit
        raise UsageError(f"{self.path}: [{phase}] has no measurement '{name}'.")


def load_limits(path: Path) -> LimitSet:
    """Read a limits file.

    Raises:
        UsageError: The file cannot be read, is not TOML, or a key is unknown, missing or contradicts
            another; the message names file, line and key. Nothing was touched.
    """
    try:
        raw = read_bounded(path, SETTINGS_LIMIT_BYTES)
        data, text = parse_toml(raw), decode_utf8(raw)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise UsageError(f"{path}: is not TOML: {error}.") from error
    for key in _HEAD:
        if key not in data:
            raise UsageError(f"{path}: key '{key}' is missing; it must hold {', '.join(sorted(_HEAD))}.")
    for key in ("product", "revision"):
        if not isinstance(data[key], str) or not data[key].strip():
            raise UsageError(f"{path}: '{key}' is {quoted(data[key])}; it must be a text that is not empty.")
    phases = {
        phase: _phase_limits(path, text, phase, table)
        for phase, table in data.items()
        if phase not in _HEAD | _OPTIONAL_HEAD
    }
    return LimitSet(
        product=data["product"],
        revision=data["revision"],
        path=path,
        sha256=hashlib.sha256(raw).hexdigest(),
        phases=phases,
        deadlines_s=_deadlines(path, text, data["deadlines"]),
        rules=_rules(path, text, data.get("rules", {})),
    )


def _is_wanted(name: str, ports: Sequence[int], points: Sequence[str]) -> bool:
    match = _EXPANDED.match(name)
    if match is None:
        return True
    return int(match["port"]) in ports and match["point"] in (None, *points)


def _deadlines(path: Path, text: str, table: Any) -> dict[str, float]:
    if not isinstance(table, dict):
        raise UsageError(f"{path}: [deadlines] must be a table of seconds.")
    for name, value in table.items():
        if not name.endswith("_s") or type(value) not in (int, float) or not 0 < value <= 3600:
            line = _line_of(text, "[deadlines]", name)
            raise UsageError(
                f"{path}:{line}: deadlines.{printable(name)} must end in _s and be 0 to 3600 seconds."
            )
    return {name: float(value) for name, value in table.items()}


def _rules(path: Path, text: str, table: Any) -> dict[str, float]:
    if not isinstance(table, dict):
        raise UsageError(f"{path}: [rules] must be a table of numbers.")
    return {
        name: _finite(f"{path}:{_line_of(text, '[rules]', name)}: rules.{printable(name)}", value)
        for name, value in table.items()
    }


def _phase_limits(path: Path, text: str, phase: str, table: Any) -> tuple[Limit, ...]:
    if not isinstance(table, dict) or not table:
        raise UsageError(
            f"{path}:{_line_of(text, '', phase)}: '{printable(phase)}' must hold measurement tables."
        )
    limits: list[Limit] = []
    for name, entry in table.items():
        line = _line_of(text, f"[{phase}.", name)
        where = f"{path}:{line}: {printable(phase)}.{printable(name)}"
        if not _NAME.fullmatch(name):
            raise UsageError(f"{where}: a measurement's name is lower_case, or port{{port}}_ and lower_case.")
        limit = _limit(where, name, entry)
        for port in PORTS if "{port}" in name else PORTS[:1]:
            limits.append(replace(limit, name=name.replace("{port}", str(port))))
    names = [limit.name for limit in limits]
    if twice := {name for name in names if names.count(name) > 1}:
        line = _line_of(text, f"[{phase}.", min(twice))
        raise UsageError(f"{path}:{line}: {phase}.{min(twice)} is there twice.")
    return tuple(limits)


def _limit(where: str, name: str, entry: Any) -> Limit:
    if not isinstance(entry, dict):
        raise UsageError(f"{where} must be a table.")
    kind = entry.get("kind", "range")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise UsageError(f"{where}.kind is {quoted(kind)}; allowed: {', '.join(_KINDS)}.")
    required, optional = _KINDS[kind]
    given = set(entry) - {"kind"}
    if missing := required - given:
        raise UsageError(f"{where}: key '{sorted(missing)[0]}' is missing; a {kind} needs {_list(required)}.")
    if unknown := given - required - optional:
        allowed = _list(required | optional)
        raise UsageError(f"{where}: key '{printable(min(unknown))}' is unknown; allowed here: {allowed}.")
    for key in ("unit", "pattern", "source"):
        if not isinstance(entry.get(key, ""), str):
            raise UsageError(f"{where}.{key} is {quoted(entry[key])}; it must be a text.")
    if not entry["source"].strip():
        raise UsageError(f"{where}.source is empty; say where the number comes from.")
    if not isinstance(entry.get("value", ""), str | bool | int | float):
        raise UsageError(
            f"{where}.value is {quoted(entry['value'])}; it must be a text, a number or true or false."
        )
    if type(entry.get("value", "")) in (int, float):
        _finite(f"{where}.value", entry["value"])
    limit = Limit(name=name, kind=kind, **{key: value for key, value in entry.items() if key != "kind"})
    _check_numbers(where, limit)
    return limit


def _check_numbers(where: str, limit: Limit) -> None:
    if type(limit.optional) is not bool:
        raise UsageError(f"{where}.optional is {quoted(limit.optional)}; it must be true or false.")
    if limit.kind == "matches":
        try:
            re.compile(f"(?:{limit.pattern})")
        except (re.error, OverflowError, RecursionError) as error:  # `a{9999999999}`, `((((`
            raise UsageError(f"{where}.pattern is no regular expression: {printable(str(error))}.") from error
    if limit.kind == "range":
        low, high = _finite(f"{where}.low", limit.low), _finite(f"{where}.high", limit.high)
        if low > high:
            raise UsageError(f"{where}: low {low} is above high {high}.")
        _check_rule(where, limit)


def _check_rule(where: str, limit: Limit) -> None:
    if limit.rule not in ("", *RULES):
        raise UsageError(f"{where}.rule is {quoted(limit.rule)}; allowed: {', '.join(RULES)}.")
    risk, ratio = _finite(f"{where}.risk", limit.risk), _finite(f"{where}.required_tur", limit.required_tur)
    if (limit.rule == "stated_risk") != (0 < risk <= 0.5):
        raise UsageError(
            f"{where}.risk is {risk:g}; rule stated_risk needs one above 0 and up to 0.5, alone."
        )
    if limit.rule and limit.low == limit.high:
        raise UsageError(f"{where}: low equals high; a rule needs room between them.")
    if ratio < 0 or (ratio > 0 and not limit.rule):
        raise UsageError(f"{where}.required_tur is {ratio:g}; it needs a rule and must not be negative.")


def _finite(where: str, value: Any) -> float:
    if type(value) not in (int, float) or not -_LARGEST <= value <= _LARGEST:
        raise UsageError(f"{where} is {quoted(value)}; it must be a finite number.")
    return float(value)


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names))


def _line_of(text: str, table: str, name: str) -> int:
    """Return the line of a key, for messages; the table's own line when the key has none."""
    pattern = re.compile(rf"^\s*(\[{re.escape(table[1:])}\"?{re.escape(name)}\"?\]|{re.escape(name)}\s*=)")
    for number, line in enumerate(text.splitlines(), start=1):
        if pattern.match(line):
            return number
    return 1
