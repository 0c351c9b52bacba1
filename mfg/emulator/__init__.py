"""The emulated bench: units, mains, loads, instruments and operator, behind the same addresses as real ones."""
