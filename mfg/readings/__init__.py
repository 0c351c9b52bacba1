"""Readings of the DUT and of the reference, taken together and paired in time."""
