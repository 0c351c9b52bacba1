"""A second application for the unit, as units in the field have it; see field_units.py.

Written from the interface description alone. What has nothing to do with the interface (display, indicators,
register tables) is our firmware's; it is added when the application is put together.
"""
