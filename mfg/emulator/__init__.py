"""The emulated bench: units, mains, loads, instruments and operator, where a station expects real ones."""
