"""The version of the station software, written into every record."""

__version__ = "2026.11.0"
