"""What an emulated bench is made of: physical parameters and addresses, as one JSON file.

Every process of the emulated bench reads the same `bench-config.json`; none of them reads the station
file, and the station reads none of this. All currents are in the primary conductor.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mfg.emulator.quirks import BLANK, USUAL


@dataclass(frozen=True)
class MainsConfig:
    """The supply voltage that everything on the bench sees."""

    voltage_v: float = 232.0
    slow_drift_pct: float = 0.3  # amplitude of the slow wander, over about a minute
    fast_drift_pct: float = 0.03  # amplitude of the wander over about a second
    frequency_hz: float = 50.0
    frequency_drift_hz: float = 0.01
    harmonics_pct: dict[str, float] = field(default_factory=lambda: {"3": 1.8, "5": 1.1, "7": 0.6})


@dataclass(frozen=True)
class LoadConfig:
    """A resistive load that takes its time: after a rise its current starts high, after a fall low."""

    current_a: float = 9.0  # nominal: at the nominal voltage, settled
    warm_up_pct: float = 0.6  # of the current, by which it starts off
    settle_s: float = 1.0  # time constant of the way back
    angle_deg: float = 0.0  # current lags the voltage by this
    min_a: float = 0.02  # what the current can be set to, where it can be set
    max_a: float = 16.0


ELECTRONIC_LOAD = LoadConfig()
HEATERS = LoadConfig(warm_up_pct=1.2, settle_s=2.5)


@dataclass(frozen=True)
class PortConfig:
    """One metering port of a unit with its CT, as physics: deviations from the nominal part."""

    ct_ratio_error_pct: float = 0.0
    ct_angle_deg: float = 0.0  # the CT's phase error, current leading
    gain_error_pct: float = 0.0  # burden, divider and PGA of this port
    noise_a: float = 0.0015  # RMS noise floor, adds in quadrature
    offset_a: float = 0.0  # adds linearly
    reversed: bool = False
    dead: bool = False


@dataclass(frozen=True)
class UnitConfig:
    """One unit under test as a physical object, and the loopback addresses it appears at."""

    number: int = 1
    label_assembly: str = "ASY0398V03.2"  # what the bar codes on the case say
    label_serial: str = "SN00001823"
    mac: str = "28:cd:c1:00:00:01"
    board_version: float = 3.2
    self_heating_degc: float = 1.5
    voltage_gain_error_pct: tuple[float, float] = (0.0, 0.0)  # chip U5 (CT1..3), chip U4 (CT4..6)
    adaptor_angle_deg: float = 0.0
    ports: tuple[PortConfig, ...] = (PortConfig(),) * 6
    ssid: str = "mfg-bench"  # the access point this unit can hear, and its password
    passphrase: str = "bench-only-passphrase"
    address: str = "10.0.0.2"  # what the unit believes its address to be
    http_port: int = 0  # loopback TCP port that leads to the unit's port 80
    discovery_port: int = 0  # loopback UDP port that leads to the unit's port 29340
    control_port: int = 0  # JSON lines: see control.py
    # Network interface that carries `address` while the unit's link is up, see interface.py; the unit's ports
    # are then 80 and 29340 of that address. Back end unix.
    interface: str = ""
    faults: tuple[str, ...] = ()  # names from faults.py that hold from the start
    profile: str = BLANK  # what its flash holds when it is made: blank, ours or original, see quirks.py
    quirks: tuple[str, ...] = USUAL  # of the profile `original`; names from quirks.py


@dataclass(frozen=True)
class InstrumentsConfig:
    """The instruments and their own errors; one with a port of 0 does not exist."""

    meter_port: int = 0
    meter_gain_error_pct: float = 0.02
    meter_noise_pct: float = 0.003
    certificate_days: int = 200  # from today until the certificates are due; negative: past due
    shelly_port: int = 0  # HTTP; where there is one, its relay is in series with the load
    shelly_gain_error_pct: float = -0.3
    hand_meter_gain_error_pct: float = 0.2
    switch_port: int = 0
    thermometer_port: int = 0
    control_port: int = 0
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class BenchConfig:
    """The whole emulated bench."""

    folder: str = ".bench"
    seed: int = 1
    clock: str = "0.0x1.0"  # BenchClock.parse
    backend: str = "unix"  # unix | rp2040
    uf2_folder: str = ""  # real UF2 images for the rp2040 back end
    mains: MainsConfig = MainsConfig()
    load: LoadConfig = LoadConfig()
    identification_load: LoadConfig = LoadConfig(current_a=4.0, warm_up_pct=0.3, settle_s=0.5)
    turns: int = 6  # of the main conductor through every CT
    ct_jig: str = "bundle"  # or "single": through the one CT that the operator put around it, no other
    ambient_degc: float = 22.0
    units: tuple[UnitConfig, ...] = (UnitConfig(),)
    instruments: InstrumentsConfig = InstrumentsConfig()
    operator_port: int = 0
    operator_answer_s: float = 0.8  # what a person needs to read a prompt and answer
    control_port: int = 0
    faults: tuple[str, ...] = ()  # of the plant; names from faults.py that hold from the start

    def write(self, path: Path) -> None:
        """Write the configuration as JSON."""
        path.write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> BenchConfig:
        """Read what `write` wrote."""
        return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> BenchConfig:
        """Build a configuration from plain data; an unknown key raises TypeError with its name."""
        data = dict(data)
        data["mains"] = MainsConfig(**data.get("mains", {}))
        data["load"] = LoadConfig(**data.get("load", {}))
        if "identification_load" in data:
            data["identification_load"] = LoadConfig(**data["identification_load"])
        data["instruments"] = _instruments(data.get("instruments", {}))
        data["units"] = tuple(_unit(unit) for unit in data.get("units", [{}]))
        data["faults"] = tuple(data.get("faults", ()))
        return cls(**data)


def _instruments(data: dict[str, Any]) -> InstrumentsConfig:
    data = dict(data)
    data["faults"] = tuple(data.get("faults", ()))
    return InstrumentsConfig(**data)


def _unit(data: dict[str, Any]) -> UnitConfig:
    data = dict(data)
    data["ports"] = tuple(PortConfig(**port) for port in data.get("ports", [{}] * 6))
    data["faults"] = tuple(data.get("faults", ()))
    data["quirks"] = tuple(data.get("quirks", USUAL))
    if "voltage_gain_error_pct" in data:
        low, high = data["voltage_gain_error_pct"]
        data["voltage_gain_error_pct"] = (float(low), float(high))
    return UnitConfig(**data)
