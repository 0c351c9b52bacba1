"""Which unit an engineering job is for, and how it is reached on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mfg.clock import BenchClock
from mfg.commands.unit_arguments import Wanted
from mfg.errors import DutError, FixtureError, UsageError
from mfg.fixtures.discovery import DISCOVERY_PORT, Address, discover
from mfg.fixtures.dut_api import DutApi
from mfg.fixtures.serial_port import find_port
from mfg.runner.emulated_bench import bench_state
from mfg.runner.locks import RunLocks
from mfg.station import Endpoint, Slot, Station, load_station

EVERYBODY = ("255.255.255.255", DISCOVERY_PORT)
SEARCH_S = 3.0
ANSWER_S = 2.0


@dataclass(frozen=True)
class Place:
    """A station whose units can be reached now."""

    station: Station
    clock: BenchClock

    def targets(self) -> list[Address]:
        """Return where the discovery question goes: the mapped units, and what the station file names."""
        mapped = [route.discovery for slot in self.station.slots for route in slot.address_map.values()]
        named = [(point.host, point.port) for point in [*mapped, *self.station.discovery_targets]]
        return list(dict.fromkeys(named)) or [EVERYBODY]

    def unit_at(self, sender: Address) -> tuple[str, Slot | None]:
        """Return the address of the unit whose answers come from there, and its slot where it has one."""
        for slot in self.station.slots:
            for address, route in slot.address_map.items():
                if route.discovery == Endpoint(*sender):
                    return address, slot
        return sender[0], None


@dataclass(frozen=True)
class Target:
    """The unit that a job is for."""

    address: str
    slot: Slot | None
    api: DutApi


def open_place(station_path: Path) -> Place:
    """Read the station file; the bench of an emulated station must be up, with its clock.

    Raises:
        UsageError: The station file is wrong, or its emulated bench is not up.
    """
    station = load_station(station_path)
    if station.emulated_bench is None:
        return Place(station, BenchClock())
    state = bench_state(station.emulated_bench)
    if state is None:
        raise UsageError("The bench is not up.", "Start it with `mfg bench up`.")
    return Place(station, BenchClock.parse(state["clock"]))


def find_target(place: Place, wanted: Wanted) -> Target:
    """Return the unit that was named, or the only one that answers.

    Raises:
        UsageError: The slot has no address of its own, or several units answer and none was named.
        FixtureError: No unit answers.
    """
    if wanted.slot is not None:
        return _target(place, _address_in(place.station.slot(wanted.slot)))
    if wanted.address:
        return _target(place, wanted.address)
    found = _answering(place)
    if not found:
        raise FixtureError(
            "No unit answers.",
            "Check its supply and its network, or name it with -a; with ACTIVE = 0 a unit is silent.",
        )
    if len(found) > 1:
        listed = ", ".join(sorted(found))
        raise UsageError(f"{len(found)} units answer: {listed}.", "Name one with -a or --slot.")
    return _target(place, found.pop())


def find_slot(place: Place, wanted: Wanted) -> Slot:
    """Return the slot that was named, by its number or by its unit's address, or the only one.

    Raises:
        UsageError: There is no such slot, or there are several and none was named.
    """
    if wanted.slot is not None:
        return place.station.slot(wanted.slot)
    if wanted.address:
        slot = _slot_of(place.station, wanted.address)
        if slot is None:
            raise UsageError(
                f"No slot of {place.station.path} has the address {wanted.address}.", "Use --slot."
            )
        return slot
    if len(place.station.slots) > 1:
        raise UsageError(f"{place.station.path} has several slots.", "Name one with --slot.")
    return place.station.slots[0]


def port_of(place: Place, slot: Slot, timeout_s: float) -> str:
    """Wait for a slot's serial port; FixtureError when it is not there in time."""
    port = slot.serial_port
    return find_port(
        path=port.path or None,
        usb_serial_number=port.usb_serial_number or None,
        usb_location=port.usb_location or None,
        timeout_s=timeout_s,
        clock=place.clock,
    )


@contextmanager
def held(place: Place, slot: Slot | None) -> Iterator[None]:
    """Keep runs out of a slot while the block changes its unit; UsageError when one is in it."""
    with RunLocks(place.station.records_folder) as locks:
        if slot is not None:
            locks.claim_slot(slot.number)
        yield


def _answering(place: Place) -> set[str]:
    """Return the addresses of the units that answer: discovery, or, where a slot has one, a request."""
    found = {place.unit_at(sender)[0] for sender in discover(place.targets(), place.clock, SEARCH_S).units}
    known = [address for slot in place.station.slots for address in slot.address_map]
    return found | {address for address in known if address not in found and _answers(place, address)}


def _answers(place: Place, address: str) -> bool:
    try:
        _target(place, address).api.get("/fw_version", timeout_s=ANSWER_S)
    except (FixtureError, DutError):
        return False
    return True


def _target(place: Place, address: str) -> Target:
    slot = _slot_of(place.station, address)
    route = (slot or place.station.slots[0]).route(address)
    discovery = (route.discovery.host, route.discovery.port)
    api = DutApi(route.http.host, route.http.port, place.clock, discovery_address=discovery)
    return Target(address, slot, api)


def _slot_of(station: Station, address: str) -> Slot | None:
    return next((slot for slot in station.slots if address in slot.address_map), None)


def _address_in(slot: Slot) -> str:
    if len(slot.address_map) != 1:
        raise UsageError(
            f"The station file gives slot {slot.number} no address of its own.",
            "Name the unit with -a; `mfg unit scan` lists those that answer.",
        )
    return next(iter(slot.address_map))
