"""The emulated thermometer."""

import pytest
from fake_bench import FakeClock, FakePlant, ask

from mfg.emulator.instruments.thermometer import Thermometer


def test_it_answers_the_air_temperature_in_the_form_of_the_contract():
    thermometer = Thermometer(1, FakePlant(), FakeClock())
    assert ask(thermometer, "*IDN?") == "EMU-BENCH,TH1,TH000004,1.0"
    for header in ("MEAS:TEMP?", "MEASURE:SCALAR:TEMPERATURE?"):
        text = ask(thermometer, header)
        assert len(text) == len("+2.2013E+01")
        assert float(text) == pytest.approx(22.0, abs=0.05)


def test_a_conversion_holds_until_the_next_one():
    clock = FakeClock(1000.0)
    thermometer = Thermometer(1, FakePlant(), clock)
    first = ask(thermometer, "MEAS:TEMP?")
    clock.t_s += 0.2
    assert ask(thermometer, "MEAS:TEMP?") == first
    readings = set()
    for _ in range(8):
        clock.t_s += 0.25
        readings.add(ask(thermometer, "MEAS:TEMP?"))
    assert len(readings) > 3
