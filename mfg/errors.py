"""Errors by who must act.

    MfgError
    ├── UsageError      the caller: a wrong argument, station file or limits file; nothing was touched
    ├── StationError    the engineer: an instrument, the disk, a firmware image, the station software
    ├── FixtureError    the line: a cable, a drive, a port, a conductor, a power channel
    └── DutError        the unit is rejected
        └── AdjustmentError   a correction does not fit its register; never clamped

A value outside its limit is a measurement, not an exception.
"""


class MfgError(Exception):
    """Base of everything this package raises on purpose.

    The message says what happened and where; `action` says what to do about it.
    """

    def __init__(self, message: str, action: str = "") -> None:
        super().__init__(message)
        self.action = action

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} {self.action}" if self.action else message


class UsageError(MfgError):
    """The command line, the station file or the limits file is wrong; nothing was touched."""


class StationError(MfgError):
    """The station cannot measure or record: call the engineer."""


class FixtureError(MfgError):
    """The fixture or its cabling is not as it must be: stop the line."""


class DutError(MfgError):
    """The unit does not do what a good unit does: reject it."""


class AdjustmentError(DutError):
    """A correction does not fit the register or its plausibility window; nothing was written."""
