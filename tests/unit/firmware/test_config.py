"""The configuration: what is accepted, what reaches the files, and what a power cut leaves."""

import json
from pathlib import Path

import pytest
from app1 import config, files, schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SECRET = "correct horse battery"
STA = {"WIFI_CFG": 1, "MODE": "STA", "CHANNEL": 3, "SSID": "shop", "PASSWD": SECRET}


@pytest.fixture
def unit(tmp_path):
    return Unit(tmp_path)


class Unit:
    """The two files of a unit and its configuration after a boot."""

    def __init__(self, folder):
        self.machine = folder / "this.machine.cfg"
        self.factory = folder / "factory.cfg"

    def boot(self) -> config.Config:
        loaded = config.Config(str(self.machine), str(self.factory))
        loaded.load()
        return loaded

    def stored(self) -> dict:
        return json.loads(self.machine.read_text())

    def factory_file(self, **changes) -> None:
        defaults = schema.defaults()
        values = {key: defaults[key] for key in schema.factory_keys()} | changes
        self.factory.write_text(json.dumps(values))


class PowerCut(BaseException):
    """The supply went away; nothing catches this."""


class Flash:
    """Passes file operations on until the given number of them, then cuts the power."""

    def __init__(self, operations: int) -> None:
        self.left = operations

    def step(self) -> None:
        if self.left == 0:
            raise PowerCut
        self.left -= 1

    def open(self, path, mode="r", **more):
        if "w" not in mode:
            return Path(path).open(mode, **more)
        self.step()
        return _File(self, Path(path).open(mode, **more))

    def stat(self, path):
        return tuple(Path(path).stat())

    def rename(self, old, new):
        self.step()
        Path(old).replace(new)

    def remove(self, path):
        self.step()
        Path(path).unlink()


class _File:
    def __init__(self, flash: Flash, file) -> None:
        self._flash = flash
        self._file = file

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def write(self, data):
        for half in (data[: len(data) // 2], data[len(data) // 2 :]):
            self._flash.step()
            self._file.write(half)
            self._file.flush()


def cut_after_each_operation(monkeypatch, prepare, action):
    """Yield after a power cut at every point of `action`, and once after the whole of it."""
    for operations in range(100):
        loaded = prepare()
        flash = Flash(operations)
        cut = False
        with monkeypatch.context() as patch:
            patch.setattr(config, "open", flash.open, raising=False)
            patch.setattr(config, "os", flash)
            try:
                action(loaded)
            except PowerCut:
                cut = True
        yield operations
        if not cut:
            return
    raise AssertionError("the action never ends")


# ---- loading ----


def test_the_first_boot_writes_the_defaults_as_one_line_of_json(unit):
    unit.boot()
    text = unit.machine.read_text()
    assert text.startswith('{"')
    assert "\n" not in text
    assert json.loads(text) == schema.defaults()


def test_a_wifi_object_that_the_station_wrote_is_honoured(unit):
    unit.machine.write_text(json.dumps({"WIFI": STA, "BLUETOOTH_ON_KEY": 0}))
    loaded = unit.boot()
    assert loaded["WIFI"] == STA
    assert loaded["BLUETOOTH_ON_KEY"] == 0
    assert unit.stored() == schema.defaults() | {"WIFI": STA, "BLUETOOTH_ON_KEY": 0}


def test_the_factory_file_overlays_its_keys_and_only_those(unit):
    unit.machine.write_text(json.dumps({"CT1_IGAIN": 40000, "CT1_NAME": "oven"}))
    unit.factory_file(
        CT1_IGAIN=42801, ASSY="ASY0398_V003.200_SN00001823", CT1_NAME="no factory key", DATE="x"
    )
    loaded = unit.boot()
    assert loaded["CT1_IGAIN"] == 42801
    assert loaded["ASSY"] == "ASY0398_V003.200_SN00001823"
    assert loaded["CT1_NAME"] == "oven"
    assert loaded.calibrated


def test_floats_of_older_firmware_become_the_types_of_the_schema(unit):
    unit.machine.write_text(json.dumps({"CT1_IGAIN": 42000.0, "ACTIVE": 1.0, "CT2_NAME": 2.0}))
    loaded = unit.boot()
    assert (loaded["CT1_IGAIN"], type(loaded["CT1_IGAIN"])) == (42000, int)
    assert (loaded["ACTIVE"], loaded["CT2_NAME"]) == (1, "2")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"APP": 1} x', "\x00\xff", '{"a":' * 3000, "x" * 9000]
)
def test_a_file_that_is_no_configuration_gives_the_defaults_and_is_kept_aside(unit, text, capsys):
    unit.machine.write_bytes(text.encode("latin-1"))
    loaded = unit.boot()
    assert loaded.values == schema.defaults()
    assert unit.machine.with_name("this.machine.cfg.bad").read_bytes() == text.encode("latin-1")[:8192]
    assert unit.stored() == schema.defaults()
    assert "ERROR: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("CT1_IGAIN", 70000),
        ("CT1_IGAIN", "abc"),
        ("CT1_IGAIN", None),
        ("CT1_IOFFSET", -1),
        ("LINE_FREQ_HZ", 55),
        ("ACTIVE", 2),
        ("APP", 3),
        ("PF_WATTS_THRESHOLD", float("nan")),
        ("YDEV_UNIT_NAME", ["x"]),
        ("WIFI", "x"),
    ],
)
def test_one_bad_value_becomes_its_default_and_the_rest_stays(unit, key, value, capsys):
    unit.machine.write_text(json.dumps({"CT6_NAME": "kept", key: value}))
    loaded = unit.boot()
    assert loaded[key] == schema.defaults()[key]
    assert loaded["CT6_NAME"] == "kept"
    assert f"{key} " in capsys.readouterr().out
    assert unit.machine.with_name("this.machine.cfg.bad").exists()


def test_a_second_boot_after_a_bad_value_is_quiet_and_writes_nothing(unit, capsys):
    unit.machine.write_text(json.dumps({"LINE_FREQ_HZ": 0}))
    unit.boot()
    before = unit.machine.stat().st_mtime_ns
    capsys.readouterr()
    unit.boot()
    assert capsys.readouterr().out == ""
    assert unit.machine.stat().st_mtime_ns == before


def test_half_a_set_of_credentials_is_none(unit, capsys):
    unit.machine.write_text(json.dumps({"WIFI": STA | {"MODE": "sta"}}))
    assert unit.boot()["WIFI"] == schema.wifi_defaults()
    assert SECRET not in capsys.readouterr().out


@pytest.mark.parametrize(
    "text", ["{", json.dumps({"CT1_IGAIN": 1}), json.dumps({"ASSY": "x", "CT1_IGAIN": 0})]
)
def test_a_broken_factory_file_is_no_calibration_and_is_left_alone(unit, text):
    unit.factory.write_text(text)
    assert not unit.boot().calibrated
    assert unit.factory.read_text() == text


ANY_JSON = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers()))


# Each example boots from real files, whose speed on a busy machine is no fault of the firmware.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from([*schema.defaults(), "OTHER"]), ANY_JSON, max_size=8))
def test_no_stored_content_stops_a_boot_or_yields_a_bad_value(tmp_path_factory, content):
    unit = Unit(tmp_path_factory.mktemp("unit"))
    unit.machine.write_text(json.dumps(content))
    loaded = unit.boot()
    assert set(loaded.values) == set(schema.defaults())
    for key, value in loaded.values.items():
        if key != "WIFI":
            assert schema.check(schema.find(key), value) == value


# ---- setting ----


def test_a_request_is_stored_with_its_types_in_one_write(unit, monkeypatch):
    loaded = unit.boot()
    writes = []
    monkeypatch.setattr(config, "write_atomic", lambda path, text: writes.append((path, text)))
    requested = {"CT1_IGAIN": "42801", "CT1_NAME": "2", "ZERO_POWER_GATE_WATTS": "1", "LINE_FREQ_HZ": "60.0"}
    expected = {"CT1_IGAIN": 42801, "CT1_NAME": "2", "ZERO_POWER_GATE_WATTS": 1.0, "LINE_FREQ_HZ": 60}
    assert loaded.set(requested) == expected
    assert len(writes) == 1
    assert {key: loaded[key] for key in expected} == expected
    assert isinstance(loaded["LINE_FREQ_HZ"], int)


def test_a_request_that_changes_nothing_writes_nothing(unit, monkeypatch):
    loaded = unit.boot()
    monkeypatch.setattr(config, "write_atomic", None)
    assert loaded.set({"ACTIVE": "0"}) == {"ACTIVE": 0}


@pytest.mark.parametrize(
    "requested",
    [
        {"CT1_IGAIN": "65536"},
        {"CT1_IGAIN": "0"},
        {"CT1_IGAIN": "-1"},
        {"CT1_IGAIN": "1e400"},
        {"CT1_IGAIN": "inf"},
        {"CT1_IGAIN": "nan"},
        {"CT1_IGAIN": "0x10"},
        {"CT1_IGAIN": "1_000"},
        {"CT1_IGAIN": "42720.5"},
        {"CT1_IGAIN": ""},
        {"CT1_IGAIN": "9" * 1000},
        {"LINE_FREQ_HZ": "55"},
        {"ACTIVE": "2"},
        {"MQTT_TX_PERIOD_MS": "199"},
        {"CT1_NAME": "x" * 65},
        {"CT1_NAME": "a\nb"},
        {"CT2_NAME": "good", "CT1_IGAIN": "bad"},
        {"WIFI": "x"},
        {"APP": "2"},
        {"CT7_IGAIN": "1"},
        {"CTn_IGAIN": "1"},
        {},
    ],
)
def test_a_request_that_cannot_be_used_stores_nothing(unit, requested):
    loaded = unit.boot()
    before, text = dict(loaded.values), unit.machine.read_text()
    with pytest.raises(ValueError, match=r"\w"):
        loaded.set(requested)
    assert loaded.values == before
    assert unit.machine.read_text() == text


def test_an_unknown_key_beside_a_known_one_is_left_out(unit):
    assert unit.boot().set({"NO_SUCH": "1", "ACTIVE": "1"}) == {"ACTIVE": 1}


def test_a_full_disk_leaves_memory_and_file_as_they_were(unit, monkeypatch):
    loaded = unit.boot()

    def full(*_, **__):
        raise OSError(28, "ENOSPC")

    monkeypatch.setattr(config, "open", full, raising=False)
    with pytest.raises(OSError, match="ENOSPC"):
        loaded.set({"ACTIVE": "1"})
    assert loaded["ACTIVE"] == 0
    assert unit.stored()["ACTIVE"] == 0


def test_a_full_disk_does_not_stop_the_boot(unit, monkeypatch):
    def full(path, mode="r", **more):
        if "w" in mode:
            raise OSError(28, "ENOSPC")
        return Path(path).open(mode, **more)

    unit.machine.write_text(json.dumps({"CT1_NAME": "oven", "ACTIVE": 7}))
    monkeypatch.setattr(config, "open", full, raising=False)
    assert unit.boot()["CT1_NAME"] == "oven"


def test_a_reset_keeps_the_active_application_and_the_factory_file(unit):
    unit.machine.write_text(json.dumps({"APP": 2, "CT1_NAME": "oven", "WIFI": STA}))
    unit.factory_file(CT1_IGAIN=42801)
    unit.boot().reset()
    assert unit.stored() == schema.defaults() | {"APP": 2}
    assert unit.boot()["CT1_IGAIN"] == 42801


def test_a_wifi_reset_touches_the_wifi_object_alone(unit):
    unit.machine.write_text(json.dumps({"CT1_NAME": "oven", "WIFI": STA}))
    unit.boot().reset_wifi()
    assert unit.stored() == schema.defaults() | {"CT1_NAME": "oven"}


def test_the_defaults_are_never_changed_by_a_unit(unit):
    loaded = unit.boot()
    loaded.set({"CT1_NAME": "oven"})
    loaded["WIFI"]["SSID"] = "other"
    assert schema.defaults()["CT1_NAME"] == ""
    assert schema.defaults()["WIFI"]["SSID"] == "YDEV"


def test_saving_the_factory_file_writes_exactly_the_sixteen_keys(unit):
    loaded = unit.boot()
    loaded.set({"CT3_IOFFSET": "65535"})
    loaded.save_factory()
    stored = json.loads(unit.factory.read_text())
    assert set(stored) == set(schema.factory_keys())
    assert stored["CT3_IOFFSET"] == 65535
    assert loaded.calibrated
    assert unit.factory.read_text().startswith('{"')


# ---- power cuts ----


def test_a_power_cut_during_a_request_leaves_the_old_or_the_new_configuration(unit, monkeypatch):
    old = schema.defaults() | {"WIFI": STA}
    new = old | {"CT1_NAME": "oven"}

    def prepare():
        unit.machine.write_text(json.dumps(old))
        return unit.boot()

    seen = []
    for _ in cut_after_each_operation(monkeypatch, prepare, lambda unit: unit.set({"CT1_NAME": "oven"})):
        seen.append(unit.boot().values)
        assert not unit.machine.with_name("this.machine.cfg.tmp").exists()
    assert all(values in (old, new) for values in seen)
    assert len(seen) >= 4
    assert (seen[0], seen[-1]) == (old, new)


def test_a_power_cut_while_a_bad_file_is_put_right_never_loses_the_credentials(unit, monkeypatch):
    def prepare():
        unit.machine.write_text(json.dumps({"WIFI": STA, "ACTIVE": 9}))
        return config.Config(str(unit.machine), str(unit.factory))

    for _ in cut_after_each_operation(monkeypatch, prepare, lambda unit: unit.load()):
        assert unit.boot()["WIFI"] == STA


def test_a_power_cut_while_the_factory_file_is_saved_leaves_the_old_or_the_new_one(unit, monkeypatch):
    gains = set()

    def prepare():
        unit.factory_file(CT1_IGAIN=40000)
        loaded = unit.boot()
        loaded.set({"CT1_IGAIN": "42801"})
        return loaded

    for _ in cut_after_each_operation(monkeypatch, prepare, lambda unit: unit.save_factory()):
        loaded = unit.boot()
        assert loaded.calibrated
        gains.add(loaded["CT1_IGAIN"])
    assert gains == {40000, 42801}


# ---- secrets ----


def test_the_shown_configuration_holds_no_secret(unit):
    unit.machine.write_text(json.dumps({"WIFI": STA, "MQTT_PASSWORD": SECRET}))
    loaded = unit.boot()
    shown = loaded.shown()
    assert SECRET not in json.dumps(shown)
    assert shown["WIFI"]["PASSWD"] == shown["MQTT_PASSWORD"] == schema.MASK
    assert loaded["WIFI"]["PASSWD"] == loaded["MQTT_PASSWORD"] == SECRET


def test_an_empty_secret_is_shown_as_empty(unit):
    assert unit.boot().shown()["MQTT_PASSWORD"] == ""


def test_a_mask_that_comes_back_leaves_the_stored_secret(unit):
    unit.machine.write_text(json.dumps({"MQTT_PASSWORD": SECRET}))
    loaded = unit.boot()
    assert loaded.set({"MQTT_PASSWORD": schema.MASK, "ACTIVE": "1"}) == {
        "MQTT_PASSWORD": schema.MASK,
        "ACTIVE": 1,
    }
    assert unit.stored()["MQTT_PASSWORD"] == SECRET


def test_the_echo_of_a_new_secret_is_masked(unit):
    assert SECRET not in json.dumps(unit.boot().set({"MQTT_PASSWORD": SECRET}))


def test_an_uploaded_configuration_with_masks_keeps_the_stored_secrets(unit):
    unit.machine.write_text(json.dumps({"WIFI": STA, "MQTT_PASSWORD": SECRET}))
    loaded = unit.boot()
    shown = loaded.shown()
    shown["CT1_NAME"] = "oven"
    loaded.replace(json.dumps(shown))
    assert unit.stored()["WIFI"] == STA
    assert unit.stored()["MQTT_PASSWORD"] == SECRET
    assert unit.stored()["CT1_NAME"] == "oven"


@pytest.mark.parametrize("text", ["", "[]", '{"CT1_IGAIN": 0}', '{"WIFI": {"MODE": 1}}'])
def test_an_uploaded_configuration_that_cannot_be_used_changes_nothing(unit, text):
    loaded = unit.boot()
    before = dict(loaded.values)
    with pytest.raises(ValueError, match=r"\w"):
        loaded.replace(text)
    assert loaded.values == before == unit.stored()


@pytest.mark.parametrize("path", ["/this.machine.cfg", "/copy.json", "/app1/x", "/this.machine.cfg.tmp"])
def test_a_file_that_holds_a_configuration_leaves_the_unit_masked(unit, path):
    text = json.dumps({"WIFI": STA, "MQTT_PASSWORD": SECRET})
    sent = files.masked_file(path, text)
    assert SECRET not in sent
    assert json.loads(sent)["WIFI"]["SSID"] == "shop"


@pytest.mark.parametrize("path", ["/this.machine.cfg.bad", "/other"])
def test_a_torn_configuration_does_not_leave_the_unit(path):
    torn = json.dumps({"WIFI": STA})[:-3]
    with pytest.raises(ValueError, match="JSON"):
        files.masked_file(path, torn)


def test_any_other_text_leaves_the_unit_as_it_is():
    assert files.masked_file("/bootlog.txt", "boot app1\n") == "boot app1\n"


@given(st.sampled_from([row for row in schema.ROWS if row[4] & schema.SETTABLE]), st.text(max_size=80))
def test_a_check_raises_or_returns_a_value_that_passes_again(row, text):
    try:
        value = schema.check(row, text)
    except ValueError:
        return
    assert schema.check(row, value) == value
    assert type(value) is type(row[1])
    assert json.loads(json.dumps(value)) == value


def test_equal_configurations_are_equal_files_whatever_was_set_in_between(unit):
    loaded = unit.boot()
    before = unit.machine.read_bytes()
    loaded.set({"CT1_NAME": 'it\'s "mine"\\,=', "ACTIVE": "1", "ZERO_POWER_GATE_WATTS": "0.25"})
    assert json.loads(unit.machine.read_text()) == loaded.values
    loaded.set({"ZERO_POWER_GATE_WATTS": "0.5", "CT1_NAME": "", "ACTIVE": "0"})
    assert unit.machine.read_bytes() == before


def test_an_uploaded_configuration_does_not_change_the_active_application(unit):
    loaded = unit.boot()
    loaded.replace(json.dumps({"APP": 2, "CT1_NAME": "oven"}))
    assert (unit.stored()["APP"], unit.stored()["CT1_NAME"]) == (1, "oven")
