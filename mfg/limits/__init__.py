"""Limits as data: every number that can reject a DUT, with its unit and its source."""

from mfg.limits.loader import Limit, LimitSet, load_limits

__all__ = ["Limit", "LimitSet", "load_limits"]
