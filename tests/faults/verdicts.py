"""What a run with a fault proves: pure judgement, from the catalogue and from how the run ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from mfg.emulator.fault_catalogue import Fault

CAUGHT, EARLIER, LATE, WRONG_BLAME, ESCAPED = "caught", "caught earlier", "late", "wrong blame", "ESCAPED"
HARMLESS, SECOND_STANDARD, ELSEWHERE = "harmless", "second standard", "proved elsewhere"
NOT_AS_SAID, NOT_RUN = "not as said", "not run"
MEANINGS = {
    CAUGHT: "in the phase that must catch it, and the right one is blamed",
    EARLIER: "in a phase before it",
    LATE: "in a phase after it",
    WRONG_BLAME: "the run did not pass, but the outcome condemns the unit for the bench, or the reverse",
    ESCAPED: "the run passed, left something live, or did not end",
    HARMLESS: "the station worked around it: the unit passed and is right by the plant's truth",
    SECOND_STANDARD: "nothing on this bench can show it; never counted as caught",
    ELSEWHERE: "other tests prove it",
    NOT_AS_SAID: "something else happened than the catalogue says",
    NOT_RUN: "this machine does not let the coverage run do it, or the run ended before it was done",
}
GOOD = (CAUGHT, EARLIER, HARMLESS, SECOND_STANDARD, ELSEWHERE)
PASSING = ("PASS", "NOT CALIBRATED", "PARTLY CALIBRATED")
REJECTING = {"INDETERMINATE": "FAIL"}  # a unit that is not proved good is rejected too
BEFORE, AFTER = "before", "after"
_PLACES = {BEFORE: 0, AFTER: 1_000_000}


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        outcome: Of the record; without one, by the exit code; "" when the run did not end.
        phase: Where the fault was seen first: a phase, "before" or "after" the plan; "" where nothing was.
        sentence: What the station said first.
        bench_s: Bench time of the run.
        wall_s: Wall time of the run with its bench.
        live: What the plant's log holds on that the station was to switch off.
        wrong: What else must not be, such as a reading that is not true; "" when there is nothing.
        unsaid: What is wrong with what the station said; "" when nothing.
        struck: The phase that ran when a hand did something; "" for faults that hold from the start.
        undone: The run ended before the hand could do anything.
    """

    outcome: str
    phase: str
    sentence: str
    bench_s: float = 0.0
    wall_s: float = 0.0
    live: tuple[str, ...] = ()
    wrong: str = ""
    unsaid: str = ""
    struck: str = ""
    undone: bool = False


@dataclass(frozen=True)
class Line:
    """One line of the coverage: what was injected, what it came to, and how the run ended."""

    faults: tuple[Fault, ...]
    kind: str
    ended: Ended

    @property
    def good(self) -> bool:
        """Whether the line is as it must be."""
        return self.kind in GOOD

    def as_data(self) -> dict[str, object]:
        """Return the line for the JSON file."""
        facts = ("name", "scope", "cause", "breaks", "phase", "outcomes", "needs", "proved")
        faults = [{fact: getattr(fault, fact) for fact in facts} for fault in self.faults]
        return {"faults": faults, "kind": self.kind, **asdict(self.ended)}


def judge(faults: Sequence[Fault], ended: Ended, cases: Mapping[str, int]) -> str:
    """Judge a run with one fault, or with several at once.

    Args:
        faults: What was injected.
        ended: How the run ended.
        cases: Number of each phase of the plan, ascending in its order.

    Returns:
        One of the words above.
    """
    if not ended.outcome or ended.live or ended.wrong:
        return ESCAPED
    if ended.undone:
        return NOT_RUN
    loud = [fault for fault in faults if not (fault.harmless or fault.needs)]
    passed = ended.outcome in PASSING
    if loud:
        return ESCAPED if passed else _caught(loud, ended, dict(_PLACES) | dict(cases))
    if not passed:
        return NOT_AS_SAID
    return SECOND_STANDARD if any(fault.needs for fault in faults) else HARMLESS


def _caught(faults: Sequence[Fault], ended: Ended, places: Mapping[str, int]) -> str:
    """Judge a run that did not pass: who is blamed, where, and in which words."""
    if REJECTING.get(ended.outcome, ended.outcome) not in {
        word for fault in faults for word in fault.outcomes
    }:
        return WRONG_BLAME
    expected = max(places[fault.phase] for fault in faults)
    if ended.struck:
        expected = max(expected, places[ended.struck])
    seen = places[ended.phase]
    if seen > expected:
        return LATE
    # Alone and too early without words of its own, it may have been something else.
    doubtful = len(faults) == 1 and seen < expected and not faults[0].says
    if ended.unsaid or doubtful:
        return NOT_AS_SAID
    return CAUGHT if seen == expected else EARLIER
