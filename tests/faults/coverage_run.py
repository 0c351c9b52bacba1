"""Inject every fault of the catalogue alone, and a seeded sample of pairs, and prove where each is caught.

    python tests/faults/coverage_run.py [--out DIR] [--seed N] [--pairs N] [--only WORD ...] [--jobs N]

Writes `fault-coverage.json` and `fault-coverage.html`. Exits with 1 when a fault escapes, is caught late, or
is blamed on the wrong one; 0 otherwise. Of faults that differ by their port only, one is drawn by the seed;
--all runs every one of them.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "bench"))

from acts import NotAllowedError  # noqa: E402 - the harness lies beside the bench tests
from injection import Injection, run_injection  # noqa: E402
from page import write_page  # noqa: E402
from verdicts import ELSEWHERE, ESCAPED, NOT_RUN, Ended, Line, judge  # noqa: E402

from mfg.commands.run import LIMITS_FILE  # noqa: E402
from mfg.emulator.fault_catalogue import CATALOGUE, HAND, Fault  # noqa: E402
from mfg.limits import load_limits  # noqa: E402
from mfg.plans.ct6 import ct6_plan  # noqa: E402
from mfg.plans.mode import Mode  # noqa: E402

SEED = 4
PAIRS = 6
JOBS = 3  # most of a run waits for bench time: three fit on two cores
FASTEST = 6.0  # the load's watchdog takes at most 60 s, and a busy machine 10 s of wall time
ATTEMPTS = 2  # a busy machine may spoil a run; one that passed with a fault in it is never repeated
JSON_FILE, PAGE_FILE = "fault-coverage.json", "fault-coverage.html"


def singles(seed: int, every: bool, only: Sequence[str]) -> list[Fault]:
    """Return the faults to inject alone: all, or one of those that differ by their port."""
    by_template: dict[str, list[Fault]] = {}
    for fault in CATALOGUE:
        by_template.setdefault(fault.template, []).append(fault)
    chosen: list[Fault] = []
    for template, faults in by_template.items():
        draws = "{port}" in template or "{a}" in template
        chosen += [random.Random(f"{seed}:{template}").choice(faults)] if draws and not every else faults
    return [fault for fault in chosen if not only or any(word in fault.name for word in only)]


def pairs(seed: int, count: int) -> list[tuple[Fault, ...]]:
    """Return a sample of pairs of faults that can hold together from the start."""
    loud = [fault for fault in singles(seed, every=False, only=()) if _can_be_paired(fault)]
    draw = random.Random(f"{seed}:pairs")
    return [tuple(draw.sample(loud, 2)) for _ in range(count)]


def _can_be_paired(fault: Fault) -> bool:
    return fault.part != HAND and not (fault.needs or fault.harmless or fault.proved)


def cases_of(mode: str) -> dict[str, int]:
    """Return the number of each phase of the plan in a mode."""
    return ct6_plan(load_limits(LIMITS_FILE), Mode(calibrate=mode == "full"), lambda phase: phase).cases


def run_all(injections: Sequence[Injection], jobs: int, root: Path) -> Iterator[tuple[int, Line]]:
    """Run the injections, several at a time, the longest first; yields index and line as each has ended."""
    cases = {mode: cases_of(mode) for mode in ("full", "no-cal")}
    order = sorted(
        range(len(injections)), key=lambda at: _length(injections[at], cases["full"]), reverse=True
    )
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        futures = {
            pool.submit(_line, injections[at], root / str(at), cases[injections[at].mode]): at for at in order
        }
        for future in concurrent.futures.as_completed(futures):
            yield futures[future], future.result()


def _length(injection: Injection, cases: Mapping[str, int]) -> float:
    """Return a figure that grows with the length of a run."""
    last = max(cases.get(fault.phase, 20_000) for fault in injection.faults)
    return last / injection.factor if injection.mode == "full" else 5_000 / injection.factor


def _line(injection: Injection, folder: Path, cases: Mapping[str, int]) -> Line:
    if any(fault.proved for fault in injection.faults):
        return Line(injection.faults, ELSEWHERE, Ended("", "", ""))
    for attempt in range(ATTEMPTS):
        folder.mkdir()
        try:
            ended = run_injection(injection, folder, cases)
        except NotAllowedError as error:
            return Line(injection.faults, NOT_RUN, Ended("", "", str(error)))
        line = Line(injection.faults, judge(injection.faults, ended, cases), ended)
        if line.good or line.kind == ESCAPED or attempt == ATTEMPTS - 1:
            break
        shutil.rmtree(folder)
    if line.good:
        shutil.rmtree(folder, ignore_errors=True)
    return line


def _tell(line: Line, number: int, total: int) -> None:
    """Print one line of the coverage."""
    ended = line.ended
    name = " + ".join(fault.name for fault in line.faults)
    wrong = " ".join([ended.wrong, ended.unsaid, *ended.live]).strip()
    said = "" if line.good else f"; {wrong} {ended.sentence}"
    print(
        f"{number:>4}/{total}  {line.kind:<16} {name}: {ended.outcome} in {ended.phase} "
        f"({ended.wall_s:.0f} s){said}",
        flush=True,
    )


def _write(folder: Path, lines: Sequence[Line], seed: int, wall_s: float) -> None:
    """Write both files."""
    content = {"seed": seed, "wall_s": wall_s, "lines": [line.as_data() for line in lines]}
    (folder / JSON_FILE).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    write_page(folder / PAGE_FILE, lines, seed, wall_s)


def main(arguments: Sequence[str]) -> int:
    """Run the coverage; see the module's text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--factor", type=float, default=FASTEST, help="most that the bench clock is sped up")
    parser.add_argument("--only", nargs="*", default=[], help="only faults whose name holds a word")
    parser.add_argument("--all", action="store_true", help="every port of every fault")
    options = parser.parse_args(arguments)
    started_s = time.monotonic()
    alone = [(fault,) for fault in singles(options.seed, options.all, options.only)]
    wanted = [*alone, *pairs(options.seed, options.pairs)]
    if not wanted:
        parser.error("no fault of that name: a run without any proves nothing")
    injections = [Injection(faults, options.seed, options.factor) for faults in wanted]
    root = Path(tempfile.mkdtemp(prefix="mfg-faults-"))
    options.out.mkdir(parents=True, exist_ok=True)
    done: dict[int, Line] = {}
    for at, line in run_all(injections, options.jobs, root):
        done[at] = line
        _tell(line, len(done), len(injections))
        lines = [done[at] for at in sorted(done)]
        wall_s = time.monotonic() - started_s
        _write(options.out, lines, options.seed, wall_s)  # what is there so far, should this be stopped
    bad = [line for line in lines if not line.good]
    page = options.out / PAGE_FILE
    print(f"{len(lines) - len(bad)} of {len(lines)} as they must be, in {wall_s:.0f} s; {page}")
    if bad:
        print(f"The folders of the runs that are not are in {root}.")
        return 1
    shutil.rmtree(root, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
