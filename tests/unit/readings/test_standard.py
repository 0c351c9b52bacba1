"""What is known of the reference meter: its specification, its certificate, and whose they are."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace
from typing import Any

import pytest
from bench_fakes import paper, standard, station

from mfg.certificates import CertifiedQuantity
from mfg.errors import StationError
from mfg.fixtures.scpi import Identity
from mfg.readings.standard import REFERENCE_ROLE, bench_limits, bench_standard, reference_standard

METER = Identity("GWInstek", "GPM-8310", "GEU000123", "V1.05")


class TestReadings:
    def test_are_corrected_by_the_certificate(self):
        assert standard().corrected("voltage", 230.0) == pytest.approx(230.23)
        assert standard().corrected("current", 10.0) == pytest.approx(9.98)

    def test_stay_where_the_certificate_says_nothing(self):
        assert standard().corrected("power", 2000.0) == 2000.0


class TestPoints:
    def test_hold_the_makers_limit_and_the_certificate(self):
        point = standard().current_point(9.0, 10.0, 50.0)
        assert point.reading == 9.0
        assert point.limit.base / 9.0 * 100 == pytest.approx(0.156, abs=5e-4)
        assert point.certificate is not None
        assert (point.certificate.number, point.certificate.expanded_pct) == ("C-1", 0.03)
        volts = standard().voltage_point(230.0, 50.0)
        assert volts.certificate is not None
        assert volts.certificate.correction_pct == 0.1

    def test_of_power_have_no_certificate_where_there_is_none(self):
        assert standard().power_point(230.0, 9.0, 10.0, 0.0, 50.0).certificate is None
        certified = paper(power=CertifiedQuantity(0.0, 0.05, 2.0, "pct"))
        assert standard(certified).power_point(230.0, 9.0, 10.0, 0.0, 50.0).certificate is not None

    @pytest.mark.parametrize("angle_deg", [0.0, 60.0, -60.0])
    def test_of_power_are_the_active_power_at_the_angle_of_the_load(self, angle_deg):
        point = standard().power_point(230.0, 9.0, 10.0, angle_deg, 50.0)
        assert point.reading == pytest.approx(2070.0 * math.cos(math.radians(angle_deg)))
        assert (point.limit.power_factor > 0) == (angle_deg != 0)

    def test_know_how_warm_the_bench_is(self):
        assert standard(ambient_degc=33.0).voltage_point(230.0, 50.0).limit.ambient > 0

    @pytest.mark.parametrize(
        "ask",
        [
            lambda it: it.current_point(14.0, 10.0, 50.0),
            lambda it: it.voltage_point(1.0, 50.0),
            lambda it: it.power_point(230.0, 0.01, 10.0, 0.0, 50.0),
            lambda it: dataclasses.replace(it, ambient_degc=60.0).voltage_point(230.0, 50.0),
        ],
    )
    def test_outside_of_the_specification_are_refused(self, ask):
        with pytest.raises(StationError, match="specification does not cover the reading"):
            ask(standard())


def test_the_bench_contributes_what_its_station_file_says():
    bench = station()
    changed = dataclasses.replace(bench.uncertainty, crosstalk_pct=0.7, pick_up_a=0.002)
    limits = bench_limits(dataclasses.replace(bench, uncertainty=changed))
    assert (limits.crosstalk_pct, limits.pick_up_a) == (0.7, 0.002)
    assert dataclasses.asdict(limits) == dataclasses.asdict(changed)


class TestTheStandardOfARun:
    def sheet(self, **changes: Any) -> Any:
        facts = {"instruments": {REFERENCE_ROLE: METER}, "certificate": paper(), "ambient_degc": 21.5}
        return SimpleNamespace(**facts | changes)

    def test_is_the_meter_that_answered_with_the_ambient_of_the_day(self):
        found = bench_standard(station(), self.sheet())
        assert found.table.model == "GPM-8310"
        assert (found.voltage_range_v, found.update_s, found.ambient_degc) == (300.0, 0.25, 21.5)

    @pytest.mark.parametrize("missing", [{"instruments": {}}, {"certificate": None}])
    def test_is_refused_without_meter_or_certificate(self, missing):
        with pytest.raises(StationError, match="has no certificate in this run"):
            bench_standard(station(), self.sheet(**missing))

    def test_is_refused_before_the_ambient_was_measured(self):
        with pytest.raises(StationError, match="ambient temperature was not measured"):
            bench_standard(station(), self.sheet(ambient_degc=None))

    def test_is_refused_with_the_certificate_of_another_meter(self):
        other = dataclasses.replace(METER, serial="GEU000999")
        with pytest.raises(StationError, match=r"is no\. GEU000999, but the certificate C-1 is for no\. GEU"):
            reference_standard(station(), other, paper(), 23.0)

    def test_is_refused_without_an_accuracy_table(self):
        other = dataclasses.replace(METER, model="DMM-1")
        with pytest.raises(StationError, match="no accuracy table"):
            reference_standard(station(), other, paper(), 23.0)
