"""What a unit with the original interface does that a good unit would not, each under a name of its own.

Source: the CT6 interface description; the section stands with each quirk.
"""

from __future__ import annotations

from dataclasses import dataclass

# What a unit's flash holds when it is made: nothing, our firmware in use, the original interface in use.
BLANK, OURS, ORIGINAL = "blank", "ours", "original"
PROFILES = (BLANK, OURS, ORIGINAL)
FIRMWARE_VERSION, X4_FIRMWARE_VERSION = "3.1", "2.7"


@dataclass(frozen=True)
class Quirk:
    """One habit of the original interface."""

    name: str
    what: str
    section: str


QUIRKS: tuple[Quirk, ...] = (
    Quirk("no_low_words", "currents in steps of 1 mA, voltages in steps of 10 mV", "7.3"),
    Quirk("gain_refused_silently", "a gain above 65535 is confirmed and never reaches the chip", "3.4"),
    Quirk("default_gains", "without a calibration every gain is 45000", "5.1"),
    Quirk("default_offsets", "without a calibration every current offset is 45000: -40 mA", "5.1"),
    Quirk("voltage_offset_split", "CT2, CT3, CT5 and CT6 have a voltage offset of their own", "7.2"),
    Quirk("half_open_spins", "a connection that ends without a request keeps a task busy for ever", "3.1"),
    Quirk("doubled_upload_header", "the answer to an upload has two headers", "3.5"),
    Quirk("status_200_on_failure", "a request that failed is answered with status 200", "3.1"),
    Quirk("watchdog_at_prompt", "8.3 s after Ctrl-C the unit resets", "2.3"),
    Quirk("no_answer_after_exception", "a handler that raises leaves its connection open, unanswered", "3.1"),
    Quirk("pga_x4", "firmware before 2.8: the chips amplify currents by four", "7.4"),
    Quirk("numbers_become_floats", "what reads as a number is stored as a float, inf and nan too", "3.4"),
    Quirk("secrets_in_clear", "the configuration and the console show the WiFi password", "2.2"),
    Quirk("init_answers_early", "the chips' start is confirmed before their first window is whole", "9.2"),
    Quirk("bluetooth_led_blinks", "a timer toggles the blue LED, whatever it is set to", "3.3"),
)
NAMES = frozenset(quirk.name for quirk in QUIRKS)
# A unit of today: firmware 3.1.
USUAL = tuple(quirk.name for quirk in QUIRKS if quirk.name != "pga_x4")
