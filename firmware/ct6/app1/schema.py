"""What the configuration may hold: keys, types, defaults and ranges. Pure; also runs under CPython.

Source: firmware/contract.toml, which a unit test compares with this table.
"""

MASK = "****"  # stands for a secret in every reply

SETTABLE = 1  # over /set_config
FACTORY = 2  # kept in the factory file
SECRET = 4  # masked in every reply
CALIBRATION = 8  # kept in the calibration file, beside the factory file
PHASE = 16  # a phase angle register: 0 to 255, and the top bit
PHASE_BITS = 0x80FF

# Longest text of a number, and the largest integer that single precision holds exactly.
_NUMBER_MAX_CHARS = 16
_EXACT_MAX = 1 << 24

# Name, default, lowest and highest (of a text: its length), flags. A tuple in place of the lowest lists
# the only allowed values. The type is the default's. n in CTn_ stands for 1 to 6.
ROWS = (
    ("ASSY", "ASY0197_V00.0000_SN00000000", 1, 64, SETTABLE | FACTORY),
    ("YDEV_UNIT_NAME", "", 0, 64, SETTABLE),
    ("YDEV_PRODUCT_ID", "CT6", 1, 64, 0),
    ("YDEV_DEVICE_TYPE", "6_CHNL_CT_SENSOR", 1, 64, 0),
    ("YDEV_SERVICE_LIST", "WEB:80", 0, 64, 0),
    ("YDEV_GROUP_NAME", "", 0, 64, SETTABLE),
    ("YDEV_OS", "micropython", 1, 64, 0),
    ("YDEV_AYT_TCP_PORT_KEY", 29340, 1, 65535, 0),
    ("BLUETOOTH_ON_KEY", 1, 0, 1, 0),
    ("CTn_IGAIN", 42720, 1, 65535, SETTABLE | FACTORY),
    ("CTn_IOFFSET", 0, 0, 65535, SETTABLE | FACTORY),
    ("CTn_PHASE", 0, 0, 65535, SETTABLE | CALIBRATION | PHASE),
    ("CTn_PGAIN", 0, 0, 65535, SETTABLE | CALIBRATION),
    ("CTn_TYPE", "SCT013_100A", 0, 32, SETTABLE),
    ("CTn_NAME", "", 0, 64, SETTABLE),
    ("CS0_VOLTAGE_GAIN", 55600, 1, 65535, SETTABLE | FACTORY),
    ("CS4_VOLTAGE_GAIN", 55600, 1, 65535, SETTABLE | FACTORY),
    ("CS0_VOLTAGE_OFFSET", 0, 0, 65535, SETTABLE | CALIBRATION),
    ("CS4_VOLTAGE_OFFSET", 0, 0, 65535, SETTABLE | CALIBRATION),
    ("ZERO_POWER_GATE_WATTS", 0.5, 0.0, 100.0, SETTABLE),
    ("LINE_FREQ_HZ", 50, (50, 60), 0, SETTABLE | FACTORY),
    ("ACTIVE", 0, 0, 1, SETTABLE),
    ("MQTT_SERVER_ADDRESS", "", 0, 64, SETTABLE),
    ("MQTT_SERVER_PORT", 1883, 1, 65535, SETTABLE),
    ("MQTT_TOPIC", "", 0, 64, SETTABLE),
    ("MQTT_USERNAME", "", 0, 64, SETTABLE),
    ("MQTT_PASSWORD", "", 0, 64, SETTABLE | SECRET),
    ("MQTT_TX_PERIOD_MS", 2000, 200, 3600000, SETTABLE),
    ("PF_WATTS_THRESHOLD", 5.0, 0.0, 10000.0, SETTABLE),
    ("APP", 1, 1, 2, 0),
)

# The members of the object WIFI.
WIFI_ROWS = (
    ("WIFI_CFG", 0, 0, 1, 0),
    ("MODE", "AP", ("AP", "STA"), 0, 0),
    ("CHANNEL", 3, 1, 13, 0),
    ("SSID", "YDEV", 1, 32, 0),
    ("PASSWD", "12345678", 0, 63, SECRET),
)


def find(key):
    """Return the row of `key`, or None if there is no such key."""
    if len(key) > 4 and key[:2] == "CT" and key[3] == "_" and key[2] in "123456":
        key = "CTn" + key[3:]
    elif key[:3] == "CTn":
        return None
    for row in ROWS:
        if row[0] == key:
            return row
    return None


def expand(row):
    """Return the keys that a row stands for."""
    if row[0][:3] == "CTn":
        return ["CT%d%s" % (port, row[0][3:]) for port in range(1, 7)]
    return [row[0]]


def defaults():
    """Return a new configuration that holds every key's default."""
    values = {}
    for row in ROWS:
        for key in expand(row):
            values[key] = row[1]
    values["WIFI"] = wifi_defaults()
    return values


def wifi_defaults():
    """Return a new WIFI object that holds the defaults."""
    return {row[0]: row[1] for row in WIFI_ROWS}


def factory_keys():
    """Return the 16 keys of the factory file."""
    return keys(FACTORY)


def keys(flag):
    """Return the keys whose rows have a flag."""
    return [key for row in ROWS if row[4] & flag for key in expand(row)]


def _number(value):
    if isinstance(value, bool):
        raise ValueError("is not a number")
    if isinstance(value, str):
        if not 0 < len(value) <= _NUMBER_MAX_CHARS or value.strip("0123456789+-.eE"):
            raise ValueError("is not a number")
        try:
            value = int(value)
        except ValueError:
            value = float(value)
    if not isinstance(value, (int, float)) or value != value:
        raise ValueError("is not a number")
    return value


def _integer(value):
    value = _number(value)
    if isinstance(value, float):
        if not -_EXACT_MAX < value < _EXACT_MAX or value != int(value):
            raise ValueError("is not a whole number")
        value = int(value)
    return value


def _text(value):
    # Other CT6 firmware stores a numeric name as a number; a name is a text here.
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        whole = isinstance(value, int) or (-_EXACT_MAX < value < _EXACT_MAX and value == int(value))
        value = str(int(value) if whole else value)
    if not isinstance(value, str):
        raise ValueError("is not a text")
    if value and (min(value) < " " or "\x7f" in value):
        raise ValueError("holds a control character")
    return value


def check(row, value):
    """Return `value` in the type of its row.

    Args:
        row: A row of ROWS or WIFI_ROWS.
        value: A value from a file, or the text of a request.

    Raises:
        ValueError: The value has the wrong type or is out of range. The text names neither the key nor
            the value, which may be secret.
    """
    default, low, high = row[1], row[2], row[3]
    if isinstance(default, str):
        value = _text(value)
        size = len(value)
    else:
        value = size = float(_number(value)) if isinstance(default, float) else _integer(value)
    if isinstance(low, tuple):
        if value not in low:
            raise ValueError("is none of " + ", ".join([str(choice) for choice in low]))
    elif not low <= size <= high:
        kind = "has a length outside" if isinstance(default, str) else "is outside"
        raise ValueError("%s %s to %s" % (kind, low, high))
    elif row[4] & PHASE and value & ~PHASE_BITS:
        raise ValueError("is neither 0 to 255 nor 32768 to 33023")
    return value
