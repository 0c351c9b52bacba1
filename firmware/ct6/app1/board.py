"""The board's own parts: indicators, button, temperature, power cycle.

Source: CT6 interface description 1.1, 1.3, 1.4 and 1.6.
"""

import asyncio
import time

import machine
from machine import ADC, Pin
from micropython import const

from . import log

POWER_CYCLE_DELAY_MS = 250
REBOOT_DELAY_MS = 500
# A board that still runs after this has no working hold-off circuit.
_STILL_ALIVE_MS = const(5000)
_TEMPERATURE_READS = const(8)
_COUNTS_PER_V = 19757.69

SETUP, CONNECTING, CONNECTED = range(3)


class Board:
    """Pins that belong to no chip."""

    def __init__(self):
        self._wifi_pin = Pin(16, Pin.OUT, value=0)
        self._bluetooth_pin = Pin(15, Pin.OUT, value=0)
        self._power_cycle_pin = Pin(13, Pin.OUT, value=0)
        self._button = Pin(14, Pin.IN, Pin.PULL_UP)
        self._adc = ADC(2)
        self._forced = None
        self._blink = False
        self._restart = None
        self.link = CONNECTING

    # WiFi LED: steady when connected; otherwise, and while the button is held, it toggles.

    def force_wifi_led(self, mode):
        """Hold the WiFi LED ("force_on", "force_off") or give it back ("release")."""
        self._forced = None if mode == "release" else int(mode == "force_on")
        self.show_link(False)

    def show_link(self, pressed):
        """Set the WiFi LED; to be called ten times a second."""
        if self._forced is not None:
            self._wifi_pin.value(self._forced)
        elif self.link == CONNECTED and not pressed:
            self._wifi_pin.value(1)
        else:
            self._blink = not self._blink
            self._wifi_pin.value(int(self._blink))

    def set_bluetooth_led(self, on):
        """Set the Bluetooth LED; it stays so. Nothing else drives it."""
        self._bluetooth_pin.value(1 if on else 0)

    def pressed(self):
        """Return whether the button is pressed."""
        return self._button.value() == 0

    def temperature_degc(self):
        """Return the board's temperature, from the MCP9700 with the product's factor for self-heating."""
        total = 0
        for _ in range(_TEMPERATURE_READS):
            total += self._adc.read_u16()
        volts = total / (_TEMPERATURE_READS * _COUNTS_PER_V)
        return (volts - 0.5) * 86

    # Restarts

    async def reset(self):
        """Restart the processor once a reply or a console line had time to leave."""
        await asyncio.sleep_ms(REBOOT_DELAY_MS)
        machine.reset()

    def reset_soon(self):
        """Restart the processor soon, and go on until then."""
        self._restart = asyncio.create_task(self.reset())

    def power_cycle_soon(self):
        """Cut the unit's own supply once a reply had time to leave, and go on until then."""
        self._restart = asyncio.create_task(self._power_cycle_later())

    async def _power_cycle_later(self):
        await asyncio.sleep_ms(POWER_CYCLE_DELAY_MS)
        self.power_cycle()

    def power_cycle(self):
        """Cut the unit's own supply; where the board cannot, restart the processor."""
        log.info("Power cycle")
        self._power_cycle_pin.value(1)
        time.sleep_ms(_STILL_ALIVE_MS)
        machine.reset()
