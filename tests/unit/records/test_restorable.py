"""A factory file that is damaged or another unit's is never written to a unit."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from any_input import json_documents, read_or_refuse
from hypothesis import given
from hypothesis import strategies as st

from mfg.errors import UsageError
from mfg.limits import loader
from mfg.records.factory_file import (
    CURRENT_GAIN_KEYS,
    CURRENT_OFFSET_KEYS,
    FACTORY_KEYS,
    REGISTER_KEYS,
    VOLTAGE_GAIN_KEYS,
)
from mfg.records.labels import parse_unit_label
from mfg.records.restorable import RestoreTarget, Window, check_restorable

LABEL = "ASY0398_V003.200_SN00001823"


def window(name: str) -> Window:
    """Take a window from the product's own limits."""
    limits = loader.load_limits(Path(loader.__file__).with_name("ct6.toml"))
    limit = limits.limit("adjust_registers", name)
    assert limit.low is not None
    assert limit.high is not None
    return Window(limit.low, limit.high)


TARGET = RestoreTarget(
    label=parse_unit_label(LABEL),
    line_frequency_hz=50,
    pga=1,
    current_gain=window("port1_igain_counts"),
    voltage_gain=window("cs4_voltage_gain_counts"),
    current_offset=Window(-5120, 5120),  # 10 mA
    adaptor="12 VAC 500 mA",
)


def values(chance: random.Random | None = None) -> dict[str, Any]:
    """The values of a good file of the target; scattered as units are."""
    chance = chance or random.Random(0)
    registers = {key: chance.randint(41_000, 44_500) for key in CURRENT_GAIN_KEYS}
    registers |= {key: chance.randint(53_000, 58_000) for key in VOLTAGE_GAIN_KEYS}
    registers |= {key: chance.choice((0, 12, 65_530)) for key in CURRENT_OFFSET_KEYS}
    return {"ASSY": LABEL, **registers, "LINE_FREQ_HZ": 50}


def encoded(held: dict[str, Any]) -> bytes:
    return json.dumps(held).encode()


def refusal(content: bytes, **more: Any) -> str:
    with pytest.raises(UsageError) as caught:
        check_restorable(content, TARGET, "old.cfg", **more)
    return str(caught.value)


# ---- 200 files, each wrong in one way; what each refusal must say ----

Wrong = Callable[[random.Random], tuple[bytes, str]]


def truncated(chance: random.Random) -> tuple[bytes, str]:
    content = encoded(values(chance))
    return content[: chance.randrange(len(content))], "is not JSON"


def key_missing(chance: random.Random) -> tuple[bytes, str]:
    held, key = values(chance), chance.choice(FACTORY_KEYS)
    del held[key]
    return encoded(held), f"lacks {key}"


def key_misspelt(chance: random.Random) -> tuple[bytes, str]:
    held, key = values(chance), chance.choice(FACTORY_KEYS)
    held[key.lower()] = held.pop(key)
    return encoded(held), f"lacks {key}"


def out_of_range(chance: random.Random) -> tuple[bytes, str]:
    key = chance.choice(REGISTER_KEYS)
    return encoded(values(chance) | {key: chance.choice((-1, 65_536, -(2**31), 10**20))}), f"{key} is"


def wrong_type(chance: random.Random) -> tuple[bytes, str]:
    key = chance.choice(FACTORY_KEYS)
    value = chance.choice(
        (None, True, [42_720], {"a": 1}, 42_720.5) + ((42_720,) if key == "ASSY" else ("42720",))
    )
    return encoded(values(chance) | {key: value}), f"{key} is"


def wrong_serial(chance: random.Random) -> tuple[bytes, str]:
    label = f"ASY0398_V003.200_SN{chance.choice((0, 1822, 1824, 18_230, 99_999_999)):08d}"
    return encoded(values(chance) | {"ASSY": label}), "the unit is SN00001823"


def wrong_version(chance: random.Random) -> tuple[bytes, str]:
    label = f"ASY0398_V{chance.choice((0.0, 1.6, 3.1, 3.21)):07.3f}_SN00001823"
    return encoded(values(chance) | {"ASSY": label}), "of board version"


def wrong_label(chance: random.Random) -> tuple[bytes, str]:
    label = chance.choice(
        ("ASY0197_V00.0000_SN00001823", "", "SN00001823", LABEL + "\n", LABEL + "/../x", "ASY")
    )
    return encoded(values(chance) | {"ASSY": label}), "ssembly"


def wrong_frequency(chance: random.Random) -> tuple[bytes, str]:
    hertz = chance.choice((60, 60.0, 0, 55, 50.5, 400))
    return encoded(values(chance) | {"LINE_FREQ_HZ": hertz}), "60 Hz" if hertz == 60 else "LINE_FREQ_HZ is"


def wrong_pga(chance: random.Random) -> tuple[bytes, str]:
    pga = chance.choice((2, 4))
    held = values(chance)
    return encoded(
        held | {key: round(held[key] / pga) for key in CURRENT_GAIN_KEYS}
    ), f"it belongs to PGA x{pga}"


def one_wrong_gain(chance: random.Random) -> tuple[bytes, str]:
    key = chance.choice((*CURRENT_GAIN_KEYS, *VOLTAGE_GAIN_KEYS))
    return encoded(values(chance) | {key: chance.choice((0, 1, 8000, 45_000, 50_000, 65_535))}), f"{key} is"


def default_offset(chance: random.Random) -> tuple[bytes, str]:
    key = chance.choice(CURRENT_OFFSET_KEYS)
    return encoded(values(chance) | {key: 45_000}), f"{key} is -20536"


def key_twice(chance: random.Random) -> tuple[bytes, str]:
    held, key = values(chance), chance.choice(FACTORY_KEYS)
    content = encoded(held)
    return content[:-1] + b', "' + key.encode() + b'": ' + json.dumps(
        held[key]
    ).encode() + b"}", f"key '{key}' is there twice"


def not_utf8(chance: random.Random) -> tuple[bytes, str]:
    content = bytearray(encoded(values(chance)))
    content[chance.randrange(len(content))] = chance.choice((0x80, 0xC3, 0xFF))
    return bytes(content), "is not UTF-8 text"


def other_encoding(chance: random.Random) -> tuple[bytes, str]:
    return encoded(values(chance)).decode().encode(
        chance.choice(("utf-16", "utf-32", "utf-8-sig"))
    ), "is not JSON"


def ten_megabytes(chance: random.Random) -> tuple[bytes, str]:
    content = encoded(values(chance))
    return chance.choice(
        (content + b" " * 10_000_000, content[:-1] + b', "x": "' + b"y" * 10_000_000 + b'"}')
    ), "bytes"


def foreign_keys(chance: random.Random) -> tuple[bytes, str]:
    key = chance.choice(("WIFI", "MQTT_PASSWORD", "CS0_VOLTAGE_OFFSET", "APP", "<b>"))
    return encoded(values(chance) | {key: 1}), f"keys that no factory file has ({key})"


def not_an_object(chance: random.Random) -> tuple[bytes, str]:
    inner = encoded(values(chance))
    return chance.choice(
        (b"[" + inner + b"]", b"null", b"42720", b"", b"\0" * 400, inner + inner, b"[" * 5000)
    ), "factory.cfg"


def no_number(chance: random.Random) -> tuple[bytes, str]:
    key = chance.choice(REGISTER_KEYS)
    text = encoded(values(chance) | {key: "@"}).decode()
    return text.replace(
        '"@"', chance.choice(("NaN", "Infinity", "-Infinity", "1e999", "9" * 5000))
    ).encode(), "is not JSON"


def several_lines(chance: random.Random) -> tuple[bytes, str]:
    return chance.choice(
        (json.dumps(values(chance), indent=1).encode(), b" " + encoded(values(chance)))
    ), "one line"


WRONG: tuple[Wrong, ...] = (
    truncated,
    key_missing,
    key_misspelt,
    out_of_range,
    wrong_type,
    wrong_serial,
    wrong_version,
    wrong_label,
    wrong_frequency,
    wrong_pga,
    one_wrong_gain,
    default_offset,
    key_twice,
    not_utf8,
    other_encoding,
    ten_megabytes,
    foreign_keys,
    not_an_object,
    no_number,
    several_lines,
)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.__name__)
def test_of_200_corrupt_or_foreign_files_none_is_accepted_and_each_refusal_says_why(wrong):
    for number in range(200 // len(WRONG)):
        content, says = wrong(random.Random(f"{wrong.__name__} {number}"))
        message = refusal(content)
        assert says in message, message
        assert message.startswith("old.cfg")
        assert message.isprintable()
        assert len(message) < 1500


def test_the_200_files_are_200():
    files = {wrong(random.Random(f"{wrong.__name__} {n}"))[0] for wrong in WRONG for n in range(10)}
    assert len(WRONG) * 10 == 200
    assert len(files) > 150  # some are as wrong in the same way


def test_no_beginning_of_a_file_is_taken_for_the_file():
    content = encoded(values())
    for length in range(len(content)):
        assert "is not JSON" in refusal(content[:length])


# ---- what is accepted ----


@pytest.mark.parametrize("number", range(20))
def test_a_good_file_of_this_unit_is_accepted(number):
    held = values(random.Random(number))
    restorable = check_restorable(encoded(held), TARGET, "old.cfg")
    assert restorable.objections == ()
    assert restorable.file.registers == {key: held[key] for key in REGISTER_KEYS}


def test_whole_floats_and_another_field_width_are_as_good_as_original_firmware_writes_them():
    held = {key: float(value) if isinstance(value, int) else value for key, value in values().items()}
    held["ASSY"] = "ASY0398_V03.2000_SN1823"
    assert check_restorable(encoded(held) + b"\r\n", TARGET, "old.cfg").objections == ()


def test_what_is_whole_and_not_this_unit_s_can_be_forced_and_is_named():
    content, says = wrong_serial(random.Random(1))
    restorable = check_restorable(content, TARGET, "old.cfg", forced=True)
    assert says in restorable.objections[0]


@pytest.mark.parametrize(
    "wrong", [truncated, key_missing, out_of_range, wrong_type, key_twice, not_utf8, ten_megabytes, no_number]
)
def test_what_is_damaged_cannot_be_forced(wrong):
    content, says = wrong(random.Random(3))
    assert says in refusal(content, forced=True)


def test_every_reason_is_named_not_only_the_first():
    held = values() | {"ASSY": "ASY0398_V001.600_SN00000007", "LINE_FREQ_HZ": 60, "CT2_IGAIN": 10_680}
    message = refusal(encoded(held), adaptor="9 VAC")
    for says in ("SN00000007", "version 1.6", "60 Hz", "PGA x4", '"9 VAC", the unit has "12 VAC 500 mA"'):
        assert says in message


def test_a_file_that_is_not_the_stored_one_is_refused_by_its_hash():
    content = encoded(values())
    sha256 = hashlib.sha256(content).hexdigest()
    assert check_restorable(content, TARGET, "old.cfg", sha256=sha256).objections == ()
    flipped = content.replace(b"SN00001823", b"SN00001823").replace(
        b'"LINE_FREQ_HZ": 50', b'"LINE_FREQ_HZ":  50'
    )
    assert "is not the file that was stored" in refusal(flipped, sha256=sha256, forced=True)


def test_an_unknown_adaptor_is_no_objection():
    assert check_restorable(encoded(values()), TARGET, "old.cfg", adaptor="").objections == ()


@given(json_documents(values()), st.booleans())
def test_any_file_is_accepted_with_this_unit_s_values_or_refused(content, forced):
    def check():
        return check_restorable(content, TARGET, "old.cfg", forced=forced)

    restorable = read_or_refuse(check, UsageError, place="old.cfg")
    if restorable is not None and not restorable.objections:
        assert restorable.file.label == TARGET.label
        assert all(restorable.file.registers[key] in TARGET.current_gain for key in CURRENT_GAIN_KEYS)
        assert json.loads(content)["LINE_FREQ_HZ"] == 50
