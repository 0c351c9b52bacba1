"""This bench: what `station.yaml` may hold. Never a limit, never the order of a test.

An unknown or missing key raises UsageError with file, line, key and what is allowed, before anything on
the bench is touched.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfg.clock import BenchClock
from mfg.errors import UsageError
from mfg.strict import Form, Key, load_settings, read_yaml
from mfg.untrusted import quoted

_ENDPOINT = re.compile(r"(?P<host>[\w.:-]+):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True)
class Endpoint:
    """A host and a port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Read `host:port`; anything else raises ValueError."""
        match = _ENDPOINT.fullmatch(text)
        if not match or not 0 < int(match["port"]) < 65536:
            raise ValueError(f"{text!r} is not host:port")
        return cls(match["host"], int(match["port"]))

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class AddressRoute:
    """Where the station reaches a unit that says it has a certain address."""

    http: Endpoint
    discovery: Endpoint


@dataclass(frozen=True)
class SerialPort:
    """How the unit's USB serial port is recognised: by path, serial number or USB location."""

    path: str
    usb_serial_number: str
    usb_location: str


@dataclass(frozen=True)
class Slot:
    """One position for a DUT, numbered as engraved."""

    number: int
    serial_port: SerialPort
    drive_roots: tuple[Path, ...]
    supply_channel: int
    address_map: dict[str, AddressRoute]

    def route(self, address: str) -> AddressRoute:
        """Return where the unit at `address` is reached; the address itself unless it is mapped."""
        return self.address_map.get(address, AddressRoute(Endpoint(address, 80), Endpoint(address, 29340)))


@dataclass(frozen=True)
class Instrument:
    """A VISA instrument and the identity that must answer at its address."""

    resource: str
    identity: str


@dataclass(frozen=True)
class ReferenceMeterSettings(Instrument):
    """The standard that the calibration compares with; `certificate` is the role its certificate has."""

    dialect: str
    voltage_range_v: float
    current_range_a: float
    update_s: float
    certificate: str = "reference_meter"


@dataclass(frozen=True)
class HandHeldMeterSettings:
    """A meter that the operator reads: what stands on it, and the ranges it is set to by hand."""

    maker: str
    model: str
    serial_number: str
    voltage_range_v: float
    current_range_a: float


@dataclass(frozen=True)
class PowerSwitchSettings(Instrument):
    """What switches supply, load and identification conductor."""

    load_channel: int
    identification_channel: int
    watchdog_s: float


BUNDLE, SINGLE = "bundle", "single"


@dataclass(frozen=True)
class Conductor:
    """The bundle through the six current transformers, or through one that the operator moves."""

    turns: int
    direction: str  # "export" (marking away from the grid: positive power) or "import"
    has_identification: bool
    load_angle_deg: float  # of the load, current lagging; 0 for heaters
    soak_s: float  # how long a unit runs before its dwell, in the operating state
    ct_jig: str = BUNDLE

    @property
    def one_at_a_time(self) -> bool:
        """Whether the conductor passes through one CT only, which the operator moves."""
        return self.ct_jig == SINGLE

    @property
    def sign(self) -> int:
        """Sign of the power that a port reads: 1 where the CTs are clamped for export, else -1."""
        return 1 if self.direction == "export" else -1


@dataclass(frozen=True)
class LoadPoint:
    """A current of the load at which the unit is verified, and the reference's range for it.

    Attributes:
        name: high (the unit is adjusted there), mid or low; the limits are by these names.
        current_a: In the conductor, before the turns.
        range_a: Current range of the reference.
    """

    name: str
    current_a: float
    range_a: float


@dataclass(frozen=True)
class BenchUncertainty:
    """What the bench itself contributes to an uncertainty, as half-widths."""

    turns_position_pct: float
    crosstalk_pct: float
    adaptor_state_pct: float
    current_temperature_pct: float
    voltage_temperature_pct: float
    load_angle_deg: float
    pick_up_a: float


@dataclass(frozen=True)
class EmulatedBench:
    """How `mfg` starts the emulated bench of this station; absent on a real one."""

    folder: Path
    backend: str
    seed: int
    clock_factor: float
    operator: Endpoint
    control_port: int
    instruments_control_port: int
    unit_control_ports: tuple[int, ...]
    plant: Path | None  # JSON with physical parameters that differ from the default bench


@dataclass(frozen=True)
class Station:
    """One station, as its file describes it."""

    path: Path
    sha256: str
    id: str
    line_frequency_hz: int
    nominal_voltage_v: float
    adaptor: str
    adaptor_serial: str  # the voltage calibration belongs to it; empty where it has none
    slots: tuple[Slot, ...]
    reference_meter: ReferenceMeterSettings
    power_switch: PowerSwitchSettings
    thermometer: Instrument | None
    conductor: Conductor
    load_points: tuple[LoadPoint, ...]
    uncertainty: BenchUncertainty
    wifi_credentials: Path
    operator_front_end: str
    records_folder: Path
    key_folder: Path  # of the key that signs the chain of records
    images_folder: Path
    erase_image: str
    micropython_image: str
    discovery_targets: tuple[Endpoint, ...]  # asked for units besides the slots' own addresses
    certificates: Path | None  # of the instruments, see certificates.py; None: there are none
    emulated_bench: EmulatedBench | None
    hand_held_meter: HandHeldMeterSettings | None = None
    unit_keeps_time: bool = True  # an emulated RP2040's clock falls behind while it is busy

    @property
    def emulated(self) -> bool:
        """Whether this station's bench is emulated."""
        return self.emulated_bench is not None

    def slot(self, number: int) -> Slot:
        """Return a slot by the number engraved on it."""
        for slot in self.slots:
            if slot.number == number:
                return slot
        numbers = ", ".join(str(slot.number) for slot in self.slots)
        raise UsageError(f"{self.path} has no slot {number}; it has {numbers}.")


@dataclass(frozen=True)
class WifiCredentials:
    """The access point of the test network. Never printed, logged or stored."""

    ssid: str
    passphrase: str

    def __repr__(self) -> str:
        return f"WifiCredentials(ssid={self.ssid!r}, passphrase='****')"


@dataclass(frozen=True)
class SlotContext:
    """What a plug of one slot is made from."""

    station: Station
    slot: Slot
    clock: BenchClock


def _reads(read: Callable[[str], object]) -> Callable[[str], bool]:
    """Turn a reader that raises ValueError into a test."""

    def accepts(text: str) -> bool:
        try:
            read(text)
        except (ValueError, re.error, OverflowError, RecursionError):  # `a{9999999999}`, `((((`
            return False
        return True

    return accepts


_HOST_AND_PORT = Form(_reads(Endpoint.parse), "host:port, for example 127.0.0.1:18080")
_PATTERN = Form(_reads(re.compile), "a regular expression that the whole answer to *IDN? matches")
_TEXT = Form(lambda text: bool(text.strip()), "a text that is not empty")
ADJUSTED_POINT = "high"
POINT_NAMES = (ADJUSTED_POINT, "mid", "low")
_INSTRUMENT = {"resource": Key(str, form=_TEXT), "identity": Key(str, form=_PATTERN)}
_NO_PATH = ""
_SCHEMA = {
    "station": Key(
        "map",
        keys={
            "id": Key(str, form=_TEXT),
            "line_frequency_hz": Key(int, choices=(50, 60)),
            "nominal_voltage_v": Key(float, low=90.0, high=260.0),
            "adaptor": Key(str),
            "adaptor_serial": Key(str, default=""),
        },
    ),
    "slots": Key(
        "list",
        items=Key(
            "map",
            keys={
                "number": Key(int, low=1, high=99),
                "serial_port": Key(
                    "map",
                    keys={
                        "path": Key(str, default=""),
                        "usb_serial_number": Key(str, default=""),
                        "usb_location": Key(str, default=""),
                    },
                ),
                "drive_roots": Key("list", items=Key(str), default=[]),
                "supply_channel": Key(int, low=1, high=999),
                "address_map": Key(
                    "table",
                    items=Key(
                        "map",
                        keys={
                            "http": Key(str, form=_HOST_AND_PORT),
                            "discovery": Key(str, form=_HOST_AND_PORT),
                        },
                    ),
                    default={},
                ),
            },
        ),
    ),
    "reference_meter": Key(
        "map",
        keys=_INSTRUMENT
        | {
            "dialect": Key(str),
            "voltage_range_v": Key(float, low=1.0, high=1000.0),
            "current_range_a": Key(float, low=0.001, high=100.0),
            "update_s": Key(float, low=0.05, high=5.0),
        },
    ),
    "hand_held_meter": Key(
        "map",
        keys={
            "maker": Key(str, form=_TEXT),
            "model": Key(str, form=_TEXT),
            "serial_number": Key(str, form=_TEXT),
            "voltage_range_v": Key(float, low=1.0, high=1000.0),
            "current_range_a": Key(float, low=0.001, high=100.0),
        },
        default=None,
    ),
    "power_switch": Key(
        "map",
        keys=_INSTRUMENT
        | {
            "load_channel": Key(int, low=1, high=999),
            "identification_channel": Key(int, low=1, high=999),
            "watchdog_s": Key(float, low=0.0, high=60.0),
        },
    ),
    "thermometer": Key("map", keys=_INSTRUMENT, default=None),
    "conductor": Key(
        "map",
        keys={
            "turns": Key(int, low=1, high=100),
            "direction": Key(str, choices=("export", "import")),
            "has_identification": Key(bool),
            "load_angle_deg": Key(float, default=0.0, low=-60.0, high=60.0),
            "soak_s": Key(float, default=0.0, low=0.0, high=1800.0),
            "ct_jig": Key(str, default=BUNDLE, choices=(BUNDLE, SINGLE)),
        },
    ),
    "load_points": Key(
        "list",
        items=Key(
            "map",
            keys={
                "name": Key(str, choices=POINT_NAMES),
                "current_a": Key(float, low=0.01, high=100.0),
                "range_a": Key(float, low=0.001, high=100.0),
            },
        ),
    ),
    "uncertainty": Key(
        "map",
        keys={
            "turns_position_pct": Key(float, low=0.0, high=5.0),
            "crosstalk_pct": Key(float, low=0.0, high=5.0),
            "adaptor_state_pct": Key(float, low=0.0, high=5.0),
            "current_temperature_pct": Key(float, low=0.0, high=5.0),
            "voltage_temperature_pct": Key(float, low=0.0, high=5.0),
            "load_angle_deg": Key(float, low=0.0, high=5.0),
            "pick_up_a": Key(float, low=0.0, high=0.1),
        },
    ),
    "wifi": Key(
        "map", keys={"credentials_file": Key(str, default=_NO_PATH)}, default={"credentials_file": ""}
    ),
    "operator": Key(
        "map",
        keys={"front_end": Key(str, choices=("terminal", "emulated"))},
        default={"front_end": "terminal"},
    ),
    "records": Key("map", keys={"folder": Key(str, form=_TEXT), "key_folder": Key(str, default=_NO_PATH)}),
    "images": Key("map", keys={"folder": Key(str), "erase": Key(str), "micropython": Key(str)}),
    "discovery_targets": Key("list", items=Key(str, form=_HOST_AND_PORT), default=[]),
    "certificates": Key(str, default=_NO_PATH),
    "emulated_bench": Key(
        "map",
        keys={
            "folder": Key(str),
            "backend": Key(str, choices=("unix", "rp2040", "auto")),
            "seed": Key(int, low=0, high=2**31),
            "clock_factor": Key(float, low=1.0, high=100.0),
            "operator": Key(str, form=_HOST_AND_PORT),
            "control_port": Key(int, low=1, high=65535),
            "instruments_control_port": Key(int, low=1, high=65535),
            "unit_control_ports": Key("list", items=Key(int, low=1, high=65535)),
            "plant": Key(str, default=_NO_PATH),
        },
        default=None,
    ),
}


def load_station(path: Path) -> Station:
    """Read a station file.

    Raises:
        UsageError: See `mfg.strict`; also when slots or channels repeat or a port has no way to
            be found.
    """
    content = load_settings(path)
    data = read_yaml(path, content, _SCHEMA)
    folder = path.resolve().parent
    slots = tuple(_slot(entry, folder, path) for entry in data["slots"])
    numbers = [slot.number for slot in slots]
    if not slots or len(set(numbers)) != len(numbers):
        raise UsageError(
            f"{path}: 'slots' must hold at least one slot and each number once, not {quoted(numbers)}."
        )
    switch = data["power_switch"]
    channels = [switch["load_channel"], switch["identification_channel"]]
    channels += [slot.supply_channel for slot in slots]
    if len(set(channels)) != len(channels):
        raise UsageError(
            f"{path}: 'load_channel', 'identification_channel' and every 'supply_channel' must differ, "
            f"not {quoted(channels)}."
        )
    identity, records = data["station"], data["records"]
    records_folder = folder / records["folder"]
    credentials = data["wifi"]["credentials_file"]
    key_folder = folder / (records["key_folder"] or records_folder.parent / "keys")
    _require_outside(path, records_folder, "records.key_folder", key_folder)
    if credentials:
        _require_outside(path, records_folder, "wifi.credentials_file", folder / credentials)
    return Station(
        path=path,
        sha256=hashlib.sha256(content).hexdigest(),
        id=identity["id"],
        line_frequency_hz=identity["line_frequency_hz"],
        nominal_voltage_v=identity["nominal_voltage_v"],
        adaptor=identity["adaptor"],
        adaptor_serial=identity["adaptor_serial"],
        slots=slots,
        reference_meter=ReferenceMeterSettings(**data["reference_meter"]),
        power_switch=PowerSwitchSettings(**data["power_switch"]),
        thermometer=Instrument(**data["thermometer"]) if data["thermometer"] else None,
        conductor=Conductor(**data["conductor"]),
        load_points=_load_points(data["load_points"], path),
        uncertainty=BenchUncertainty(**data["uncertainty"]),
        wifi_credentials=folder / credentials if credentials else Path(),
        operator_front_end=data["operator"]["front_end"],
        records_folder=records_folder,
        key_folder=key_folder,
        images_folder=folder / data["images"]["folder"],
        erase_image=data["images"]["erase"],
        micropython_image=data["images"]["micropython"],
        discovery_targets=tuple(Endpoint.parse(text) for text in data["discovery_targets"]),
        certificates=folder / data["certificates"] if data["certificates"] else None,
        emulated_bench=_emulated_bench(data["emulated_bench"], folder, path, len(slots)),
        hand_held_meter=HandHeldMeterSettings(**data["hand_held_meter"]) if data["hand_held_meter"] else None,
    )


def _require_outside(path: Path, records_folder: Path, key: str, place: Path) -> None:
    """Refuse a secret that lies among the records: whoever gets a backup of them would get it, too."""
    if place.resolve().is_relative_to(records_folder.resolve()):
        raise UsageError(
            f"{path}: {key} is {place}, which lies among the records.",
            "Keep it in a folder of its own: a backup of the records would hold it.",
        )


def _load_points(entries: list[dict[str, Any]], path: Path) -> tuple[LoadPoint, ...]:
    points = tuple(LoadPoint(**entry) for entry in entries)
    names = [point.name for point in points]
    if not points or names[0] != ADJUSTED_POINT or len(set(names)) != len(names):
        raise UsageError(
            f"{path}: 'load_points' must begin with '{ADJUSTED_POINT}' and name each point once, "
            f"not {quoted(names)}."
        )
    return points


def _slot(entry: dict[str, Any], folder: Path, path: Path) -> Slot:
    port = SerialPort(**entry["serial_port"])
    where = f"{path}: slot {entry['number']}"
    if not (port.path or port.usb_serial_number or port.usb_location):
        raise UsageError(f"{where}: 'serial_port' needs path, usb_serial_number or usb_location.")
    if "/" in port.path:  # COM3 is no path
        port = SerialPort(str(folder / port.path), port.usb_serial_number, port.usb_location)
    routes = {
        address: AddressRoute(Endpoint.parse(route["http"]), Endpoint.parse(route["discovery"]))
        for address, route in entry["address_map"].items()
    }
    roots = tuple(folder / root for root in entry["drive_roots"])
    return Slot(entry["number"], port, roots, entry["supply_channel"], routes)


def _emulated_bench(
    data: dict[str, Any] | None, folder: Path, path: Path, slots: int
) -> EmulatedBench | None:
    if data is None:
        return None
    ports = tuple(data["unit_control_ports"])
    if len(ports) != slots:
        raise UsageError(f"{path}: 'emulated_bench.unit_control_ports' needs one port per slot ({slots}).")
    return EmulatedBench(
        folder=folder / data["folder"],
        backend=data["backend"],
        seed=data["seed"],
        clock_factor=data["clock_factor"],
        operator=Endpoint.parse(data["operator"]),
        control_port=data["control_port"],
        instruments_control_port=data["instruments_control_port"],
        unit_control_ports=ports,
        plant=folder / data["plant"] if data["plant"] else None,
    )
