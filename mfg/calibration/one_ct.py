"""Which CT the conductor passes through, on a bench that takes one CT at a time."""

from __future__ import annotations

from collections.abc import Mapping

from mfg.calibration.windows import Finding

SEEING_SHARE = 0.5  # of the turns from which on a port sees the conductor
ONCE_TURNS = 0.5  # from which on a conductor passes through a CT; noise and pick-up stay far below


def check_only_asked(asked: int, ratios: Mapping[int, float], turns: int) -> Finding | None:
    """Find another CT on the conductor than the one that was asked for, or none.

    A plug in another port's jack shows alike, so both are named. A CT that was left out shows like a dead
    input: the hand that placed it is doubted first, and the unit is not judged.

    Args:
        asked: The port whose CT is to be on the conductor.
        ratios: DUT's current over the reference's current of one turn, by port, of all ports.
        turns: Turns of the conductor through that CT, >= 1.

    Returns:
        The port that reads the conductor without being asked, or that no port reads it.
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
        "fixture",
        f"Port {asked} reads {ratios[asked]:.2f} times the reference's current, asked for with its CT around "
        f"{turns} turns, and no other port reads it: the CT is not around the conductor or not closed. If it "
        "is, its plug or the unit's input is dead.",
        ratios[asked],
        SEEING_SHARE * turns,
    )


def check_way_round(asked: int, active_w: float, direction: int) -> Finding | None:
    """Find a CT that was put around the conductor the other way round.

    Wires that are exchanged show alike, so both are named.

    Args:
        asked: The port whose CT is on the conductor.
        active_w: What the port reads, in W.
        direction: 1 where the CTs are clamped for positive power, -1 where for negative.
    """
    if active_w * direction > 0:
        return None
    return Finding(
        "ct_turned",
        "fixture",
        f"Port {asked} reads {active_w:.0f} W, of the other sign: its CT is the other way round on the "
        "conductor. If its arrow is right, its wires are exchanged.",
        active_w,
        0.0,
    )
