"""The emulated bench thermometer: one sensor in the air, one number."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Protocol

from mfg.emulator.instruments import faults as fault
from mfg.emulator.instruments.scpi import Clock, Link, ScpiInstrument
from mfg.emulator.instruments.syntax import Call

IDENTITY = "EMU-BENCH,TH1,TH000004,1.0"
CONVERSION_S = 0.25  # a new value comes this often
NOISE_DEGC = 0.005
BROKEN_DEGC = -200.0  # of a sensor that is shorted


class AirPlant(Protocol):
    """What the sensor feels of the plant."""

    def ambient_degc(self, t_s: float) -> float:
        """Return the air temperature, in degrees Celsius."""


class Thermometer(ScpiInstrument):
    """A thermometer that always answers its latest conversion."""

    identity = IDENTITY

    def __init__(
        self, seed: int, plant: AirPlant, clock: Clock, fault_on: Callable[[str], bool] = lambda _name: False
    ) -> None:
        super().__init__(clock)
        self._fault_on = fault_on
        self._seed = seed
        self._plant = plant
        self.add(":MEASure[:SCALar]:TEMPerature", query=self._temperature)

    def link(self) -> Link:
        """Return how the connection behaves under the present faults."""
        return Link(silent=self._fault_on(fault.THERMOMETER_SILENT))

    def _temperature(self, call: Call) -> str:
        return f"{self._conversion_degc():+.4E}"

    def _conversion_degc(self) -> float:
        if self._fault_on(fault.THERMOMETER_BROKEN):
            return BROKEN_DEGC
        conversion = int(self.clock.now_s() // CONVERSION_S)
        noise_degc = random.Random(f"{self._seed}:thermometer:{conversion}").gauss(0, NOISE_DEGC)
        return self._plant.ambient_degc(conversion * CONVERSION_S) + noise_degc

    def state(self) -> dict[str, Any]:
        """Return the latest conversion, for the control link."""
        return {"temperature_degc": self._conversion_degc(), "errors": len(self.errors)}
