"""How values with an uncertainty are written: U with two digits, the value with as many decimals.

Source: JCGM 100:2008, 7.2.6.
"""

from __future__ import annotations

import math

_MOST_DECIMALS = 9


def decimals_for(expanded: float) -> int:
    """Return the decimals with which an uncertainty above 0 shows two digits."""
    rounded = float(f"{expanded:.1e}")
    return min(_MOST_DECIMALS, max(0, 1 - math.floor(math.log10(rounded))))


def uncertainty_figure(expanded: float) -> str:
    """Write an expanded uncertainty above 0, e.g. `0.30`."""
    return f"{expanded:.{decimals_for(expanded)}f}"


def value_figure(value: float, expanded: float, sign: bool = True) -> str:
    """Write a value as exactly as its uncertainty allows, e.g. `+0.01` beside 0.30; 0 has no sign."""
    shown = f"{value:+.{decimals_for(expanded)}f}"
    return shown if sign and float(shown) != 0 else shown.removeprefix("+") if float(shown) else shown[1:]


def probability_figure(probability: float) -> str:
    """Write a probability in percent, e.g. `97.4 %`; never 100 % or 0 %, which nothing measured is."""
    percent = 100 * probability
    if percent > 99.95:
        return "> 99.9 %"
    if percent < 0.05:
        return "< 0.1 %"
    return f"{percent:.1f} %"
