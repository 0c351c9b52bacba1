"""The station's standard: the reference meter with its accuracy table and its certificate."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

from mfg.calibration import uncertainty
from mfg.calibration.accuracy import AccuracyLimit, AccuracyTable, Conditions, accuracy_of
from mfg.calibration.uncertainty import BenchLimits, ReferencePoint
from mfg.certificates import Certificate
from mfg.errors import StationError
from mfg.fixtures.scpi import Identity
from mfg.fixtures.traveller import Traveller
from mfg.station import Station

REFERENCE_ROLE = "reference meter"
_Limit = Callable[[], AccuracyLimit]


@dataclass(frozen=True)
class ReferenceStandard:
    """What is known of the reference meter; readings are corrected by its certificate.

    Attributes:
        table: The maker's specification.
        certificate: Of this very meter, by its serial number.
        voltage_range_v, update_s: As it is configured.
        ambient_degc: Air temperature at the bench, in degrees Celsius.
    """

    table: AccuracyTable
    certificate: Certificate
    voltage_range_v: float
    update_s: float
    ambient_degc: float

    def corrected(self, quantity: str, reading: float) -> float:
        """Return a reading with the certificate's correction applied."""
        paper = self._paper(quantity)
        return paper.corrected(reading) if paper is not None else reading

    def voltage_point(self, reading_v: float, frequency_hz: float) -> ReferencePoint:
        """Return the reference's voltage with all that is known of it."""
        conditions = self._conditions(frequency_hz)
        limit = self._specified(lambda: self.table.voltage_limit(reading_v, self.voltage_range_v, conditions))
        return ReferencePoint(reading_v, limit, self._paper("voltage"))

    def current_point(self, reading_a: float, range_a: float, frequency_hz: float) -> ReferencePoint:
        """Return the reference's current, of one turn, with all that is known of it."""
        conditions = self._conditions(frequency_hz)
        limit = self._specified(lambda: self.table.current_limit(reading_a, range_a, conditions))
        return ReferencePoint(reading_a, limit, self._paper("current"))

    def power_point(
        self, voltage_v: float, current_a: float, range_a: float, angle_deg: float, frequency_hz: float
    ) -> ReferencePoint:
        """Return the reference's active power, of one turn, with all that is known of it."""
        conditions = self._conditions(frequency_hz)
        ranges = (self.voltage_range_v, range_a)
        limit = self._specified(
            lambda: self.table.power_limit(voltage_v, current_a, angle_deg, ranges, conditions)
        )
        active_w = voltage_v * current_a * math.cos(math.radians(angle_deg))
        return ReferencePoint(active_w, limit, self._paper("power"))

    def _conditions(self, frequency_hz: float) -> Conditions:
        return Conditions(frequency_hz, self.ambient_degc, self.update_s)

    def _paper(self, quantity: str) -> uncertainty.Certificate | None:
        stated = self.certificate.quantities.get(quantity)
        if stated is None:
            return None
        return uncertainty.Certificate(self.certificate.number, stated.correction, stated.expanded, stated.k)

    @staticmethod
    def _specified(limit: _Limit) -> AccuracyLimit:
        try:
            return limit()
        except ValueError as error:
            raise StationError(
                f"The reference's specification does not cover the reading: {error}.",
                "Choose another range or load point in the station file.",
            ) from error


def bench_standard(station: Station, sheet: Traveller) -> ReferenceStandard:
    """Return the standard of this run: the meter that answered, its certificate, the ambient of the day.

    Raises:
        StationError: The meter has not been opened, has no certificate, another one's, or no accuracy table;
            or nobody has measured the ambient temperature.
    """
    identity = sheet.instruments.get(REFERENCE_ROLE)
    if identity is None or sheet.certificate is None:
        raise StationError(
            "The reference meter has no certificate in this run.",
            "Name the certificates file under 'certificates' in the station file.",
        )
    if sheet.ambient_degc is None:
        raise StationError(
            "The ambient temperature was not measured, on which the reference's uncertainty depends.",
            "Tell the engineer: the plan compares before it has measured it.",
        )
    return reference_standard(station, identity, sheet.certificate, sheet.ambient_degc)


def bench_limits(station: Station) -> BenchLimits:
    """Return what the bench adds to an uncertainty, from the station file."""
    return BenchLimits(**dataclasses.asdict(station.uncertainty))


def reference_standard(
    station: Station, identity: Identity, certificate: Certificate, ambient_degc: float
) -> ReferenceStandard:
    """Put together what is known of the meter that answered.

    Raises:
        StationError: The certificate belongs to another meter, or no accuracy table covers this one.
    """
    if certificate.serial_number != identity.serial:
        raise StationError(
            f"The reference meter is no. {identity.serial}, but the certificate {certificate.number} is for "
            f"no. {certificate.serial_number}.",
            "Name the certificate of this meter in the certificates file.",
        )
    settings = station.reference_meter
    table = accuracy_of(identity.model)
    return ReferenceStandard(table, certificate, settings.voltage_range_v, settings.update_s, ambient_degc)
