"""What a run is to do: its job, and what belongs to it."""

from __future__ import annotations

from dataclasses import dataclass

from mfg.errors import UsageError
from mfg.limits.loader import PORTS

FULL = "full"  # from a blank flash to a finished unit
CAL_ONLY = "cal-only"  # a running unit, over the network
VOLTAGE_CAL_ONLY = "voltage-cal-only"  # the voltage gains of a running unit alone
SET_LABELS = "set-labels"  # new labels for a running unit
RESTORE = "restore"  # a stored calibration, to a running unit
SETUP_WIFI = "setup-wifi"
RESET_WIFI = "reset-wifi"
POWER_CYCLE = "power-cycle"
UPGRADE = "upgrade"  # the application of a running unit, over the network
UPGRADE_AND_CAL = "upgrade-and-cal"
TEST_ONLY = "test-only"  # the incoming test of a returned unit, which leaves as it came
JOBS = (
    FULL,
    CAL_ONLY,
    VOLTAGE_CAL_ONLY,
    SET_LABELS,
    RESTORE,
    SETUP_WIFI,
    RESET_WIFI,
    POWER_CYCLE,
    UPGRADE,
    UPGRADE_AND_CAL,
    TEST_ONLY,
)
NEED_ADDRESS = (CAL_ONLY, VOLTAGE_CAL_ONLY, SET_LABELS, RESET_WIFI, POWER_CYCLE, UPGRADE, UPGRADE_AND_CAL)
LATEST = "latest"  # the newest complete calibration of the unit that is in the store

ALL, PARTLY, NONE, UNTOUCHED = "all", "partly", "none", "untouched"


@dataclass(frozen=True)
class Mode:
    """What a run is to do.

    Attributes:
        calibrate: False leaves the unit uncalibrated.
        defaults: False leaves the test network's configuration on the unit.
        ports: The ports that are identified, adjusted and verified.
        job: One of `JOBS`.
        address: Of a running unit, for the jobs that need one.
        cycles: Number of power cycles of a study.
        factory_file: What is restored: a path, or "latest".
        forced_by: Who lets a file be restored that is not the unit's, or a serial number be given that is
            another unit's, and why; goes into the record.
        ac_60hz: The unit is for mains of 60 Hz, whatever the station file says.
        reference: What the unit is compared with instead of the station's own reference; empty: that one.
    """

    calibrate: bool = True
    defaults: bool = True
    ports: tuple[int, ...] = PORTS
    job: str = FULL
    address: str = ""
    cycles: int = 0
    factory_file: str = ""
    forced_by: str = ""
    reference: str = ""
    ac_60hz: bool = False

    def __post_init__(self) -> None:
        if not self.ports or any(port not in PORTS for port in self.ports):
            raise UsageError(f"--ports {self.ports}: a CT6 has ports 1 to 6; name at least one.")
        if self.job not in JOBS:
            raise UsageError(f"There is no job {self.job!r}.", f"One of {', '.join(JOBS)}.")
        if self.job in NEED_ADDRESS and not self.address:
            raise UsageError(f"--{self.job} needs a unit on the network.", "Give its address with -a ADDR.")
        if self.job == UPGRADE_AND_CAL and self.ports != PORTS:
            raise UsageError("--upgrade-and-cal calibrates every port.", "Leave --ports out.")
        if self.job == VOLTAGE_CAL_ONLY and self.ports != PORTS:
            raise UsageError(f"--ports does not go with --{self.job}: three ports share one voltage gain.")
        if self.job == VOLTAGE_CAL_ONLY and self.reference:
            raise UsageError(f"--reference does not go with --{self.job}: those meters are read under load.")
        if self.ac_60hz and (self.job == TEST_ONLY or not self.compares):
            raise UsageError(f"--ac-60hz does not go with {self.name}: it is part of a calibration.")

    @property
    def name(self) -> str:
        """The mode as records name it."""
        words = [self.job if self.job != FULL or self.calibrate else "no-cal"]
        if self.over_usb:
            words.append("over-usb")
        if self.calibration == PARTLY:
            words.append("ports-" + "".join(map(str, self.ports)))
        if self.job == FULL and not self.defaults:
            words.append("no-default")
        if self.ac_60hz:
            words.append("ac-60hz")
        if self.reference:
            words.append(f"reference {self.reference}")
        return " ".join(words)

    @property
    def adjusts(self) -> bool:
        """Whether the unit is compared with the reference and adjusted."""
        return self.job in (CAL_ONLY, UPGRADE_AND_CAL) or (self.job == FULL and self.calibrate)

    @property
    def compares(self) -> bool:
        """Whether the unit is compared with the reference."""
        if self.job == RESTORE:
            return not self.over_usb
        return self.adjusts or self.job in (VOLTAGE_CAL_ONLY, TEST_ONLY)

    @property
    def over_usb(self) -> bool:
        """Whether a calibration is restored to a unit without a network."""
        return self.job == RESTORE and not self.address

    @property
    def calibration(self) -> str:
        """What the calibration is afterwards: "all", "partly" or "none" adjusted, or "untouched"."""
        if self.adjusts:
            return ALL if self.ports == PORTS else PARTLY
        return NONE if self.job == FULL else UNTOUCHED
