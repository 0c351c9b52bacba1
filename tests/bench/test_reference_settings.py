"""A reference meter that somebody left in another state is set right, or refused by the setting's name.

Each table of the station meets a meter of its tree, in this process: the emulated GPM-8310, and one with the
words of a WT310.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from mfg.emulator.config import BenchConfig, InstrumentsConfig
from mfg.emulator.events import EventLog
from mfg.emulator.instruments.power_meter import PowerMeter
from mfg.emulator.plant import Plant
from mfg.errors import StationError
from mfg.fixtures.reference_dialects import load_dialect
from mfg.fixtures.reference_meter import ReferenceMeter

EXACT = InstrumentsConfig(meter_gain_error_pct=0.0, meter_noise_pct=0.0)

CERTAIN = {  # what every table sets: the command that changes it, its query, what it must answer, its name
    ":INP:MODE VMEAN": (":INP:MODE", "RMS", "measurement mode"),
    ":INP:MODE DC": (":INP:MODE", "RMS", "measurement mode"),
    ":INP:CFAC 6": (":INP:CFAC", "3", "crest factor"),
    ":INP:VOLT:AUTO ON": (":INP:VOLT:AUTO", "0", "automatic voltage range"),
    ":INP:CURR:AUTO ON": (":INP:CURR:AUTO", "0", "automatic current range"),
}
OTHERS = {
    ":INP:FILT:LINE ON": (":INP:FILT:LINE", "0", "line filter"),
    ":INP:FILT:FREQ OFF": (":INP:FILT:FREQ", "1", "frequency filter"),
    ":MEAS:AVER:COUN 64;STAT ON": (":MEAS:AVER:STAT", "0", "averaging"),
    ":HOLD ON": (":HOLD", "0", "hold"),
    ":MEAS:MHOL ON": (":MEAS:MHOL", "0", "maximum hold"),
    ":INP:SCAL ON": (":INP:SCAL:STAT", "0", "scaling"),
}
TABLES = {
    "yokogawa-wt310e": CERTAIN | OTHERS,
    "gwinstek-gpm8310": CERTAIN | OTHERS,
    "gwinstek-gpm8213": CERTAIN,
}
CASES = [(table, left) for table, settings in TABLES.items() for left in settings]


class Wt310(PowerMeter):
    """The same tree in the words of a WT310: true RMS is called RMS, and there is no ACDC."""

    identity = "YOKOGAWA,WT310,C2PH13047V,F1.03"
    terminator = "\n"
    modes: ClassVar = {"RMS": "RMS", "VMEan": "VMEan", "DC": "DC"}


class SteppingClock:
    """Moves by what somebody sleeps: `wall_s` is only asked for in order to sleep."""

    t_s = 1000.0

    def now_s(self) -> float:
        return self.t_s

    def wall_s(self, duration_s: float) -> float:
        self.t_s += duration_s
        return 0.0


class MeterLink:
    """The link to a meter in this process, which may ignore some commands."""

    name = "the reference meter"

    def __init__(self, meter: PowerMeter) -> None:
        self.meter = meter
        self.ignores: tuple[str, ...] = ()
        self.queries: list[str] = []

    def ask(self, message: str) -> str | None:
        return asyncio.run(self.meter.execute(message))

    def on_reconnect(self, restore: Callable[[], None] | None) -> None:
        """It never breaks."""

    def identify(self, pattern: str, greeting: Sequence[str] = ("*CLS",)) -> str:
        for command in greeting:
            self.ask(command)
        answer = self.query("*IDN?")
        assert re.match(pattern, answer)
        return answer

    def write(self, command: str) -> None:
        if command.split(" ")[0] not in self.ignores:
            assert self.ask(command) is None

    def query(self, command: str, timeout_s: float | None = None) -> str:
        self.queries.append(command)
        answer = self.ask(command)
        assert answer is not None, f"{command} has no answer"
        return answer

    def close(self) -> None:
        """There is nothing to close."""


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return Plant(BenchConfig(folder=str(tmp_path), instruments=EXACT), EventLog(tmp_path))


@pytest.fixture
def connect(plant: Plant) -> Callable[[str], tuple[MeterLink, ReferenceMeter]]:
    """Return the link to an open meter of a table, and its driver."""

    def connected(table: str) -> tuple[MeterLink, ReferenceMeter]:
        clock = SteppingClock()
        kind = Wt310 if table.startswith("yokogawa") else PowerMeter
        link = MeterLink(kind(plant.config, plant, clock, lambda _name: False))
        dialect = load_dialect(table)
        identity = "GWInstek" if table == "gwinstek-gpm8213" else dialect.identity
        reference = ReferenceMeter(link, dialect, identity, clock)  # type: ignore[arg-type]
        reference.open()
        return link, reference

    return connected


@pytest.mark.parametrize(("table", "left"), CASES)
def test_a_meter_that_was_left_in_another_state_is_set_right(connect, plant, table: str, left: str):
    link, reference = connect(table)
    header, right, _name = TABLES[table][left]
    if table.startswith("gwinstek") and header == ":INP:MODE":
        right = "ACDC"
    assert link.ask(f"{left};{header}?") != right
    reference.configure(300, 10, 0.25)
    assert link.ask(f"{header}?;:INP:VOLT:RANG?;:INP:CURR:RANG?") == f"{right};300.0E+00;10.0E+00"
    reading = reference.read()
    assert reading.voltage_v == pytest.approx(plant.mains_voltage_v(reading.t_s), rel=1e-4)


@pytest.mark.parametrize(("table", "left"), CASES)
def test_a_meter_that_does_not_take_a_setting_is_refused_by_its_name(connect, table: str, left: str):
    link, reference = connect(table)
    header, _right, name = TABLES[table][left]
    link.ask(left)
    link.ignores = (header, header.replace("AUTO", "RANG"))  # to choose a range leaves automatic, too
    with pytest.raises(StationError, match=rf"{re.escape(header)}\? answers .* after the {name} was set to"):
        reference.configure(300, 10, 0.25)
    with pytest.raises(StationError, match="has no fixed ranges yet"):
        reference.read()


@pytest.mark.parametrize(("table", "messages"), [("yokogawa-wt310e", 1), ("gwinstek-gpm8310", 13)])
def test_settings_are_read_back_in_as_few_messages_as_the_meter_is_known_to_take(
    connect, table: str, messages: int
):
    link, reference = connect(table)
    link.queries.clear()
    reference.configure(300, 10, 0.25)
    asked = [query for query in link.queries if not query.startswith((":STAT", ":NUM"))]
    assert len(asked) == messages
