"""What a calibration measured, sorted into the columns and rows in which reports show it.

Nothing is judged here: verdicts, uncertainties and budgets are the record's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mfg.records.figures import decimals_for, probability_figure, uncertainty_figure, value_figure
from mfg.records.points import HIGH, STORED, PointKey, PointValues, number_of, point_values
from mfg.records.record import MeasurementEntry, Record, limit_text, number_text
from mfg.records.uncertainty import BudgetEntry, UncertaintyEntry

INFINITE = "∞"
NOTHING = "–"  # noqa: RUF001 - the dash a reader expects for a value that is not there
_WORDS = {"current": "Current", "voltage": "Voltage", "power": "Active power", "phase": "Phase angle"}
_SCALES = {"deg": ("°", 1.0), "A": ("mA", 1000.0)}  # how a unit is shown, and times what
_MANY_DOF = 1e4
_CORRELATED_SHARE = 1.005


@dataclass(frozen=True)
class Cell:
    """One value of one port, scaled to the unit in which it is shown."""

    port: int
    entry: MeasurementEntry
    unit: str
    scale: float

    @property
    def value(self) -> float | None:
        """The value, None when there is none."""
        number = number_of(self.entry)
        return None if number is None else number * self.scale

    @property
    def held(self) -> UncertaintyEntry | None:
        """The uncertainty as recorded, not scaled."""
        return self.entry.get("uncertainty")

    @property
    def expanded(self) -> float | None:
        """U."""
        held = self.held
        return None if held is None else held["expanded"] * self.scale

    @property
    def limits(self) -> tuple[float | None, float | None]:
        """Low and high limit."""
        return self._scaled(self.entry["low"]), self._scaled(self.entry["high"])

    @property
    def acceptance(self) -> tuple[float | None, float | None]:
        """Where the value passes: the limits where there is no uncertainty, or where none is guarded."""
        held, (low, high) = self.held, self.limits
        if held is None:
            return low, high
        accept_low, accept_high = self._scaled(held["accept_low"]), self._scaled(held["accept_high"])
        return low if accept_low is None else accept_low, high if accept_high is None else accept_high

    @property
    def outcome(self) -> str:
        """The measurement's outcome."""
        return self.entry["outcome"]

    @property
    def value_text(self) -> str:
        """The value, as exactly as its uncertainty allows."""
        if self.value is None:
            return number_text(self.entry["value"])
        signed = self.entry["low"] != 0
        if self.expanded is None:
            return f"{self.value:+.3f}" if signed else f"{self.value:.3f}"
        return value_figure(self.value, self.expanded, signed)

    @property
    def uncertainty_text(self) -> str:
        """U with two digits."""
        return NOTHING if self.expanded is None else uncertainty_figure(self.expanded)

    @property
    def k_text(self) -> str:
        """The coverage factor."""
        return NOTHING if self.held is None else f"{self.held['k']:.2f}"

    @property
    def probability_text(self) -> str:
        """The probability of conformity."""
        return NOTHING if self.held is None else probability_figure(self.held["conformity_probability"])

    @property
    def limit_text(self) -> str:
        """The limit, in the unit that is shown."""
        low, high = self.limits
        shown: MeasurementEntry = {**self.entry, "low": low, "high": high, "unit": self.unit}
        if self.entry["low"] == 0:
            shown["low"] = None
        return close_degrees(limit_text(shown))

    def _scaled(self, number: float | None) -> float | None:
        return None if number is None else number * self.scale


@dataclass(frozen=True)
class Column:
    """The values of all ports of one quantity at one load."""

    quantity: str
    point: str
    title: str  # the load
    unit: str
    cells: Mapping[int, Cell]

    @property
    def judged(self) -> list[Cell]:
        """Cells with an uncertainty."""
        return [cell for cell in self.cells.values() if cell.held is not None]

    @property
    def limit_text(self) -> str:
        """The limit of all ports, or that they differ."""
        texts = {cell.limit_text for cell in self.cells.values()}
        return texts.pop() if len(texts) == 1 else "differs by port"

    @property
    def accept_text(self) -> str:
        """The narrowest acceptance limits of all ports."""
        if not self.judged:
            return NOTHING
        ends = [cell.acceptance for cell in self.judged]
        low = max((end for end, _ in ends if end is not None), default=None)
        high = min((end for _, end in ends if end is not None), default=None)
        places = decimals_for(min(cell.expanded or 1.0 for cell in self.judged)) + 1
        first = self.judged[0]
        if first.entry["low"] == 0:
            low = None
        elif low is not None and high is not None and low > high:
            return "nowhere"
        rounded = [None if end is None else round(end, places) for end in (low, high)]
        return close_degrees(
            limit_text({**first.entry, "low": rounded[0], "high": rounded[1], "unit": self.unit})
        )


@dataclass(frozen=True)
class Block:
    """Columns that are shown side by side, with what was found before the adjustment."""

    title: str
    before: Column | None
    columns: tuple[Column, ...]
    ports: tuple[int, ...]


@dataclass(frozen=True)
class Range:
    """How uncertain the values of a column are: the ports together."""

    column: Column
    expanded: str
    k: str
    dof: str
    tur: str
    required_tur: str
    probability: str


@dataclass(frozen=True)
class BudgetLine:
    """A line of a budget as it is shown."""

    entry: BudgetEntry
    standard: str
    dof: str
    share_pct: float


@dataclass(frozen=True)
class Budget:
    """The budget of the value of its kind that is hardest to judge."""

    title: str
    unit: str
    lines: tuple[BudgetLine, ...]
    standard: str
    k: str
    dof: str
    expanded: str
    correlated: bool


@dataclass(frozen=True)
class CalibrationView:
    """Everything about the ports of a calibration."""

    blocks: tuple[Block, ...]

    @property
    def columns(self) -> list[Column]:
        """All columns after the adjustment."""
        return [column for block in self.blocks for column in block.columns]

    @property
    def cells(self) -> list[Cell]:
        """All values after the adjustment."""
        return [cell for column in self.columns for cell in column.cells.values()]

    @property
    def ports(self) -> tuple[int, ...]:
        """Ports with any value after the adjustment."""
        return tuple(sorted({cell.port for cell in self.cells}))

    @property
    def judged(self) -> bool:
        """Whether any value has an uncertainty."""
        return any(column.judged for column in self.columns)

    def rows_of(self, port: int) -> list[tuple[Column, Cell]]:
        """Return the values of one port, in the order of the columns."""
        return [(column, column.cells[port]) for column in self.columns if port in column.cells]

    @property
    def rules(self) -> set[str]:
        """Decision rules that judged."""
        return {cell.held["rule"] for cell in self.cells if cell.held is not None}

    @property
    def ranges(self) -> list[Range]:
        """How uncertain the columns are."""
        return [_range(column) for column in self.columns if column.judged]

    @property
    def budgets(self) -> list[Budget]:
        """One budget per quantity: that of the value whose uncertainty takes most of its limit."""
        quantities = dict.fromkeys(column.quantity for column in self.columns if column.judged)
        return [_budget(self._hardest(quantity)) for quantity in quantities]

    def _hardest(self, quantity: str) -> tuple[Column, Cell]:
        found = [
            (column, cell) for column in self.columns if column.quantity == quantity for cell in column.judged
        ]
        return max(found, key=lambda item: _share_of_limit(item[1]))


def calibration_view(record: Record) -> CalibrationView:
    """Sort what a run measured of the ports.

    Args:
        record: A checked record.

    Returns:
        Blocks in the order current, voltage, power, then phase and no load; empty ones are left out.
    """
    values = point_values(record["phases"])
    loads = {
        point["name"]: point["current_a"] for point in record.get("calibration", {}).get("load_points", [])
    }
    blocks = [
        _block(values, _WORDS[quantity], [quantity], loads) for quantity in ("current", "voltage", "power")
    ]
    blocks.append(_block(values, "Phase angle and no load", ["phase"], loads, values.zeros))
    return CalibrationView(tuple(block for block in blocks if block.columns or block.before))


def has_points(view: CalibrationView) -> bool:
    """Tell whether a view holds more than the single load of older records."""
    return view.judged or any(column.point != HIGH for column in view.columns if column.quantity != "zero")


def point_title(point: str, loads: Mapping[str, float]) -> str:
    """Write a load point as a person reads it."""
    if point == STORED:
        return "after power cycle"
    return f"at {number_text(float(loads[point]))} A" if point in loads else f"{point} load"


def _block(
    values: PointValues,
    title: str,
    quantities: Sequence[str],
    loads: Mapping[str, float],
    zeros: Mapping[int, MeasurementEntry] | None = None,
) -> Block:
    columns = []
    before = None
    for quantity in quantities:
        found = {port: entry for (kind, port), entry in sorted(values.before.items()) if kind == quantity}
        before = _column(quantity, "", "before", found) if found else before
        for point in values.points:
            entries = {
                port: values.errors[key]
                for port in values.ports
                if (key := PointKey(quantity, point, port)) in values.errors
            }
            if entries:
                columns.append(_column(quantity, point, point_title(point, loads), entries))
    if zeros:
        columns.append(_column("zero", HIGH, "with the load off", dict(sorted(zeros.items()))))
    return Block(title, before, tuple(columns), values.ports)


def _column(quantity: str, point: str, title: str, entries: Mapping[int, MeasurementEntry]) -> Column:
    unit, scale = _shown_unit(entries.values())
    cells = {port: Cell(port, entry, unit, scale) for port, entry in entries.items()}
    return Column(quantity, point, title, unit, cells)


def _shown_unit(entries: Iterable[MeasurementEntry]) -> tuple[str, float]:
    unit = next(iter(entries))["unit"]
    return _SCALES.get(unit, (unit, 1.0))


def close_degrees(text: str) -> str:
    """Write the sign of a plane angle without the space that other units have."""
    return text.replace(" °", "°") if text.endswith(" °") else text


def quantity_title(column: Column) -> str:
    """Write what a column holds, e.g. `Current` or `No load`."""
    return _WORDS.get(column.quantity, "Current")


def _range(column: Column) -> Range:
    held = [cell.held for cell in column.judged if cell.held is not None]
    least, most = (edge(cell.expanded or 0.0 for cell in column.judged) for edge in (min, max))
    ratios = [entry["tur"] for entry in held if entry["tur"] is not None]
    required = {entry["required_tur"] for entry in held if entry["required_tur"] is not None}
    return Range(
        column,
        _span(uncertainty_figure(least), uncertainty_figure(most)),
        _span(*(f"{edge(entry['k'] for entry in held):.2f}" for edge in (min, max))),
        dof_text(min((entry["dof"] for entry in held if entry["dof"] is not None), default=None)),
        f"{min(ratios):.1f}" if ratios else NOTHING,
        f"{max(required):g}" if required else NOTHING,
        probability_figure(min(entry["conformity_probability"] for entry in held)),
    )


def _span(least: str, most: str) -> str:
    return least if least == most else f"{least} … {most}"


def dof_text(dof: float | None) -> str:
    """Write degrees of freedom; so many that nothing depends on them are infinite."""
    return INFINITE if dof is None or dof > _MANY_DOF else f"{math.floor(dof)}"


def _share_of_limit(cell: Cell) -> float:
    low, high = cell.limits
    if low is None or high is None or not high > low:
        return cell.expanded or 0.0
    return (cell.expanded or 0.0) / (high - low)


def _budget(hardest: tuple[Column, Cell]) -> Budget:
    column, cell = hardest
    held = cell.held
    if held is None:
        raise ValueError(f"{column.quantity} has no uncertainty")
    squares = math.fsum(line["standard"] ** 2 for line in held["budget"])
    standard = held["expanded"] / held["k"] * cell.scale
    places = decimals_for(standard) + 2
    lines = tuple(
        BudgetLine(
            line,
            _fixed(line["standard"] * cell.scale, places),
            dof_text(line["dof"]),
            100 * line["standard"] ** 2 / squares if squares else 0.0,
        )
        for line in sorted(held["budget"], key=lambda line: -line["standard"])
    )
    return Budget(
        f"{quantity_title(column)} {column.title}, CT{cell.port}",
        cell.unit,
        lines,
        _fixed(standard, places),
        cell.k_text,
        dof_text(held["dof"]),
        cell.uncertainty_text,
        standard > _CORRELATED_SHARE * math.sqrt(squares) * cell.scale,
    )


def _fixed(number: float, places: int) -> str:
    least = 10.0**-places
    return f"{number:.{places}f}" if number == 0 or number >= least / 2 else f"< {least:.{places}f}"
