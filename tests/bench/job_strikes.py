"""The jobs of the station, and what may happen to a unit in one, as data for `job_faults.py`."""

from __future__ import annotations

from dataclasses import dataclass

from mfg.records.unit_after import NEW, OLD

ADDRESS = ("-a", "10.0.0.2")
SERIAL, OTHER_SERIAL, NEW_SERIAL = "SN00001823", "SN00000009", "SN00004711"
LABELS = ("--assembly", "ASY0398V03.2", "--serial", SERIAL)
NEW_LABELS = ("--assembly", "ASY0398V03.4", "--serial", NEW_SERIAL)
MAC, OTHER_MAC = "28:cd:c1:00:00:01", "28:cd:c1:00:00:09"

NETWORK_LOST, RESTARTS, FOREIGN_SERIAL = "network lost", "unit restarts", "foreign serial"
NEVER_ANSWERS, WRONG_FILE = "unit never answers", "wrong file"
FAULTS = (NETWORK_LOST, RESTARTS, FOREIGN_SERIAL, NEVER_ANSWERS, WRONG_FILE)
OTHERWISE = "otherwise"  # a fault beside those that every job is tried with


@dataclass(frozen=True)
class Job:
    """A way to start a run.

    Attributes:
        arguments: `{file}` stands for the file that is restored.
        network: Whether the unit is on the test network before the job.
        passes: The outcome of a good run.
        mains_hz: Of the bench.
        leaves: The state in which a good run leaves the unit.
        factor: Of the bench clock.
        hand_held: Whether a person reads the reference.
    """

    arguments: tuple[str, ...]
    network: bool = True
    passes: str = "PASS"
    mains_hz: float = 50.0
    leaves: str = NEW
    factor: int = 5
    hand_held: bool = False


SLOW = 3  # where windows are polled, or shorter, a busy machine must follow
FROM_BLANK = ("--erase-calibrated", *LABELS)
JOBS = {
    "full": Job(FROM_BLANK),
    "full-60hz": Job(("--ac-60hz", *FROM_BLANK), mains_hz=60.0, factor=SLOW),
    "no-cal": Job(("--no-cal", *FROM_BLANK), passes="NOT CALIBRATED"),
    "no-default": Job(("--no-cal", "--no-default", *FROM_BLANK), passes="NOT CALIBRATED"),
    "ports": Job(("--ports", "1,2", *FROM_BLANK), passes="PARTLY CALIBRATED"),
    "cal-only": Job(("--cal-only", *ADDRESS)),
    "cal-only-60hz": Job(("--cal-only", "--ac-60hz", *ADDRESS), mains_hz=60.0, factor=SLOW),
    "cal-only-manual": Job(
        ("--cal-only", *ADDRESS, "--reference", "manual", "--uncertainty-waived-by", "B. Person"),
        passes="INDETERMINATE",
        factor=4,
        hand_held=True,
    ),
    "voltage-cal-only": Job(("--voltage-cal-only", *ADDRESS)),
    "set-labels": Job(("--set-labels", *ADDRESS, *NEW_LABELS)),
    "restore": Job(("--restore", "{file}", *ADDRESS)),
    "restore-60hz": Job(("--restore", "{file}", "--ac-60hz", *ADDRESS), mains_hz=60.0, factor=SLOW),
    "restore-usb": Job(("--restore", "{file}", *LABELS), network=False),
    "upgrade": Job(("--upgrade", *ADDRESS)),
    "upgrade-and-cal": Job(("--upgrade-and-cal", *ADDRESS)),
    "upgrade-and-cal-60hz": Job(("--upgrade-and-cal", "--ac-60hz", *ADDRESS), mains_hz=60.0, factor=SLOW),
    "test-only": Job(("--test-only", *ADDRESS), leaves=OLD),
    "test-only-usb": Job(("--test-only",), network=False, leaves=OLD),
    "setup-wifi": Job(("--setup-wifi", *LABELS), network=False),
    "reset-wifi": Job(("--reset-wifi", *ADDRESS)),
    "power-cycle": Job(("--power-cycle", "2", *ADDRESS), leaves=OLD),
}
# Where an original interface is measured as it is; its windows are polled.
POLLED = ("cal-only", "cal-only-manual", "voltage-cal-only", "restore", "test-only", "test-only-usb")
ERASING = ("full", "full-60hz", "no-cal", "no-default", "ports")


@dataclass(frozen=True)
class Strike:
    """What happens to the unit, or what is wrong from the start.

    Attributes:
        fault: One of `FAULTS`, or "otherwise".
        faults: Of the unit, from the start.
        after: The phase at whose end the hand strikes; empty: no hand. The line of the journal at which a
            run is killed.
        hand: A fault that is switched on then; "reset" pulls the chip's reset pin.
        file: What is wrong with the file that is restored, or with the firmware that is loaded.
        arguments: More of them; `{firmware}` stands for a firmware folder.
        calibrated: Whether the unit has a calibration before the job.
        label: The serial number of the unit in the slot, where it is not the usual one.
        taken: A MAC address and the serial number that the store has tied to it.
        mains_hz: Of the bench, where it is not the job's; 0: the job's.
    """

    fault: str = OTHERWISE
    faults: tuple[str, ...] = ()
    after: str = ""
    hand: str = ""
    file: str = "good"
    arguments: tuple[str, ...] = ()
    calibrated: bool = True
    label: str = SERIAL
    taken: tuple[str, str] | None = None
    mains_hz: float = 0.0


def reset_in(phase_before: str) -> Strike:
    return Strike(RESTARTS, after=phase_before, hand="reset")


def lost_in(phase_before: str) -> Strike:
    return Strike(NETWORK_LOST, after=phase_before, hand="wifi_refusing")


def wrong_file(what: str) -> Strike:
    return Strike(WRONG_FILE, file=what)


def wrong_firmware(what: str) -> Strike:
    return Strike(WRONG_FILE, file=what, arguments=("--firmware", "{firmware}"))


WRITE_LOST = Strike(NETWORK_LOST, faults=("wifi_lost_in_write",))
WRITE_RESET = Strike(RESTARTS, faults=("reset_in_write",))
# From the start with the new application on.
LATER_WRITE_LOST = Strike(NETWORK_LOST, after="load_application", hand="wifi_lost_in_write")
LATER_WRITE_RESET = Strike(RESTARTS, after="load_application", hand="reset_in_write")
PORT_GONE = Strike(faults=("port_vanishes_in_write",))
READINGS_LOST = Strike(NETWORK_LOST, faults=("wifi_lost_in_readings",))
REFUSED = Strike(NETWORK_LOST, faults=("wifi_refusing",))
SILENT = Strike(NEVER_ANSWERS, faults=("wifi_refusing",))
DEAF = Strike(NEVER_ANSWERS, faults=("repl_hung",))
FOREIGN = Strike(FOREIGN_SERIAL, arguments=LABELS, label=OTHER_SERIAL)
FOREIGN_IN_SLOT = Strike(FOREIGN_SERIAL, label=OTHER_SERIAL)
FOREIGN_BY_MAC = Strike(FOREIGN_SERIAL, label=OTHER_SERIAL, taken=(MAC, OTHER_SERIAL))
SERIAL_TAKEN = Strike(FOREIGN_SERIAL, taken=(OTHER_MAC, NEW_SERIAL))
MAINS_OF_50_HZ = Strike(mains_hz=50.0)
