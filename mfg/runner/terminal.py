"""What the terminal shows of a run: phases as they come, progress bars, and a verdict nobody misses."""

from __future__ import annotations

import threading
import time

from rich.align import Align
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from mfg.records.record import (
    ABORTED,
    ERROR,
    FAIL,
    INDETERMINATE,
    INTERRUPTED,
    NOT_CALIBRATED,
    PARTLY_CALIBRATED,
    PASS,
)
from mfg.records.unit_after import unit_after_text
from mfg.runner.result import RunResult

_COLOURS = {
    PASS: "white on green",
    FAIL: "white on red",
    ERROR: "black on yellow",
    INDETERMINATE: "white on dark_orange3",
    ABORTED: "white on magenta",
    INTERRUPTED: "white on magenta",
    NOT_CALIBRATED: "white on blue",
    PARTLY_CALIBRATED: "white on blue",
}
_MARKS = {
    "INDETERMINATE": "[dark_orange3]?[/]",
    "PASS": "[green]✔[/]",
    "FAIL": "[red]✘[/]",
    "ERROR": "[yellow]![/]",
    "SKIP": "[dim]-[/]",
}
_TITLES = {
    "erase": "erasing",
    "MicroPython": "loading MicroPython",
    "firmware": "loading the firmware",
}


class TerminalDisplay:
    """Shows one run at a time on a rich console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._plain: dict[str, float] = {}

    def say(self, text: str) -> None:
        """Print a sentence that must be read."""
        with self._lock:
            self._stop_bars()
            self._console.print(Text(text, style="bold yellow"))

    def phase_started(self, case: int, name: str) -> None:
        """Nothing is printed at the start of a phase; its line comes at its end."""

    def phase_ended(self, case: int, name: str, outcome: str, seconds: float) -> None:
        """Print one line for a phase."""
        with self._lock:
            self._stop_bars()
            mark = _MARKS.get(outcome, outcome)
            self._console.print(f"{mark} {case:>5}  {name.replace('_', ' '):<28}[dim]{seconds:7.1f} s[/]")

    def progress(self, what: str, done: int, total: int) -> None:
        """Move a bar; on something that is no terminal, print a line every few seconds instead."""
        with self._lock:
            if not self._console.is_terminal:
                self._print_sparsely(what, done, total)
                return
            if self._progress is None:
                self._progress = Progress(
                    TextColumn("        {task.description:<28}"),
                    BarColumn(),
                    MofNCompleteColumn(),
                    TimeElapsedColumn(),
                    console=self._console,
                    transient=True,
                )
                self._progress.start()
            if what not in self._tasks:
                self._tasks[what] = self._progress.add_task(_TITLES.get(what, what), total=total)
            self._progress.update(self._tasks[what], completed=done, total=total)

    def _print_sparsely(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._plain.get(what, 0.0) > 5.0:
            self._plain[what] = now
            self._console.print(f"        {_TITLES.get(what, what)}: {done} of {total}")

    def _stop_bars(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
            self._tasks.clear()


def show_verdict(console: Console, result: RunResult, backend: str) -> None:
    """Print the verdict: word and colour, what failed, its value, its limit, and what to do next."""
    record = result.record
    reasons = record["outcome_reasons"]
    colour = _COLOURS[record["outcome"]]
    word = Text(f"   {record['outcome']}   ", style=f"bold {colour}")
    lines: list[RenderableType] = [Align.center(word), Text()]
    lines += [Text(f"• {reason}") for reason in reasons[:12]]
    if len(reasons) > 12:
        lines.append(Text(f"• and {len(reasons) - 12} more, see the report"))
    if "unit_after" in record:
        lines += [Text(), Text(unit_after_text(record["unit_after"]))]
    lines += [Text(), Text(f"Next: {record['next_action']}", style="bold")]
    serial = record["serial_number"] or "unidentified unit"
    border = colour.rsplit(" ", 1)[1]
    console.print(Panel(Group(*lines), title=serial, border_style=border, padding=(1, 2)))
    emulated = f", emulated ({backend})" if record["emulated"] else ""
    console.print(f"{result.bench_s:.1f} s of bench time{emulated}")
    console.print(f"Report: {result.folder / 'report.html'}", soft_wrap=True)
