"""Which CT the conductor passes through, on a bench that takes one CT at a time."""

from __future__ import annotations

from collections.abc import Mapping

from mfg.calibration.windows import Finding

SEEING_SHARE = 0.5  # of the turns from which on a port sees the conductor
ONCE_TURNS = 0.5  # from which on a conductor passes through a CT; noise and pick-up stay far below


def check_only_asked(asked: int, ratios: Mapping[int, float], turns: int) -> Finding | None:
    """Find another CT on the conductor than the one that was asked for, or none.

    A plug in another port's jack shows alike, so both are named.

    Args:
        asked: The port whose CT is to be on the conductor.
        ratios: DUT's current over the reference's current of one turn, by port, of all ports.
        turns: Turns of the conductor through that CT, >= 1.

    Returns:
        The port that reads the conductor without being asked, which the fixture's people mend; or that no
        port reads it, though the CT was put there: then the unit's input, plug or CT is dead.
    """
    others = {port: ratio for port, ratio in ratios.items() if port != asked}
    loudest = max(others, key=lambda port: abs(others[port]))
    if abs(others[loudest]) >= ONCE_TURNS:
        return Finding(
            "wrong_ct",
            "fixture",
            f"Port {loudest} reads {others[loudest]:.2f} times the reference's current, but the CT of port "
            f"{asked} was asked for: the wrong CT is around the conductor, or its plug is in the wrong jack.",
            others[loudest],
            ONCE_TURNS,
        )
    if abs(ratios[asked]) >= SEEING_SHARE * turns:
        return None
    return Finding(
        "ct_sees_nothing",
        "dut",
        f"Port {asked} reads {ratios[asked]:.2f} times the reference's current with its CT around {turns} "
        "turns, and no other port reads it: the CT is not closed, or CT, plug or input is dead.",
        ratios[asked],
        SEEING_SHARE * turns,
    )
