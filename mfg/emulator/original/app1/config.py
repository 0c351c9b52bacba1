"""The configuration in its two files: no schema, no ranges, written in place.

Source: CT6 interface description 3.4, 5.1 and 5.2.
"""

import json

from . import quirks

MASK = "****"
FACTORY_FILE = "/factory.cfg"
NOT_SETTABLE = (
    "WIFI",
    "APP",
    "BLUETOOTH_ON_KEY",
    "YDEV_PRODUCT_ID",
    "YDEV_DEVICE_TYPE",
    "YDEV_SERVICE_LIST",
    "YDEV_OS",
    "YDEV_AYT_TCP_PORT_KEY",
)
_GAIN_MAX = 65535


def wifi_defaults():
    """Return a new WIFI object that holds the defaults."""
    return {"WIFI_CFG": 0, "MODE": "AP", "CHANNEL": 3, "SSID": "YDEV", "PASSWD": "12345678"}


def defaults():
    """Return a new configuration that holds every key's default."""
    current, voltage = 10680 if quirks.PGA_X4 else 42720, 55600
    if quirks.DEFAULT_GAINS:
        current = voltage = 45000
    offset, voltage_offset = (45000, 61440) if quirks.DEFAULT_OFFSETS else (0, 0)
    values = {
        "ASSY": "ASY0197_V00.0000_SN00000000",
        "YDEV_UNIT_NAME": "",
        "YDEV_PRODUCT_ID": "CT6",
        "YDEV_DEVICE_TYPE": "6_CHNL_CT_SENSOR",
        "YDEV_SERVICE_LIST": "WEB:80",
        "YDEV_GROUP_NAME": "",
        "YDEV_OS": "micropython",
        "YDEV_AYT_TCP_PORT_KEY": 29340,
        "BLUETOOTH_ON_KEY": 1,
        "WIFI": wifi_defaults(),
        "ZERO_POWER_GATE_WATTS": 0.5,
        "LINE_FREQ_HZ": 50,
        "ACTIVE": 0,
        "MQTT_SERVER_ADDRESS": "",
        "MQTT_SERVER_PORT": 1883,
        "MQTT_TOPIC": "",
        "MQTT_USERNAME": "",
        "MQTT_PASSWORD": "",
        "MQTT_TX_PERIOD_MS": 2000,
        "PF_WATTS_THRESHOLD": 5,
        "APP": 1,
    }
    for chip in ("CS0", "CS4"):
        values[chip + "_VOLTAGE_GAIN"] = voltage
        values[chip + "_VOLTAGE_OFFSET"] = voltage_offset
    for port in range(1, 7):
        values["CT%d_IGAIN" % port] = current
        values["CT%d_IOFFSET" % port] = offset
        values["CT%d_TYPE" % port] = "SCT013_100A"
        values["CT%d_NAME" % port] = ""
    return values


def factory_keys():
    """Return the 16 keys of the factory file."""
    keys = ["ASSY", "CS0_VOLTAGE_GAIN", "CS4_VOLTAGE_GAIN", "LINE_FREQ_HZ"]
    for port in range(1, 7):
        keys.append("CT%d_IGAIN" % port)
        keys.append("CT%d_IOFFSET" % port)
    return keys


def _read(path):
    try:
        with open(path) as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


def _typed(text):
    """Return a value as it is stored: what reads as a number is one, with `inf` and `nan`."""
    if not quirks.NUMBERS_BECOME_FLOATS:
        try:
            return int(text)
        except ValueError:
            pass
    try:
        return float(text)
    except ValueError:
        return text


class Config:
    """The configuration in memory and its files."""

    def __init__(self, machine_file):
        self._file = machine_file
        self.calibrated = False
        self.values = defaults()

    def __getitem__(self, key):
        return self.values[key]

    def load(self):
        """Read both files: all of the factory file lies over the machine file, unknown keys are dropped."""
        known = defaults()
        stored = _read(self._file) or {}
        factory = _read(FACTORY_FILE)
        self.calibrated = factory is not None
        stored.update(factory or {})
        for key in known:
            known[key] = stored.get(key, known[key])
        self.values = known
        self._store()

    def _store(self):
        with open(self._file, "w") as file:
            file.write(json.dumps(self.values))

    def set(self, requested):
        """Store the known keys of a request, one after the other, and return them.

        Raises:
            ValueError: There is none.
        """
        accepted = {}
        for key, text in requested.items():
            key = key.upper()
            if key not in self.values or key in NOT_SETTABLE:
                continue
            value = _typed(text)
            if key.endswith("GAIN") and not quirks.GAIN_REFUSED_SILENTLY and not 0 < value <= _GAIN_MAX:
                raise ValueError(key + " is out of range")
            self.values[key] = accepted[key] = value
            self._store()
        if not accepted:
            raise ValueError("Config parameter unset")
        return accepted

    def swap_app(self):
        """Make the other application the one that runs after the next boot; return its number."""
        self.values["APP"] = 1 if self.values["APP"] == 2 else 2
        self._store()
        return self.values["APP"]

    def reset(self):
        """Store every key's default, except the active application."""
        app = self.values["APP"]
        self.values = defaults()
        self.values["APP"] = app
        self._store()

    def reset_wifi(self):
        """Store the WIFI object's defaults."""
        self.values["WIFI"] = wifi_defaults()
        self._store()

    def save_factory(self):
        """Write the 16 factory keys."""
        with open(FACTORY_FILE, "w") as file:
            file.write(json.dumps({key: self.values[key] for key in factory_keys()}))
        self.calibrated = True

    def shown(self):
        """Return the configuration as it leaves the unit."""
        if quirks.SECRETS_IN_CLEAR:
            return self.values
        shown = dict(self.values)
        shown["WIFI"] = dict(shown["WIFI"])
        shown["WIFI"]["PASSWD"] = MASK
        if shown["MQTT_PASSWORD"] != "":
            shown["MQTT_PASSWORD"] = MASK
        return shown
