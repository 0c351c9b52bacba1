"""What is wrong with a station file is said with file, line, key and what is allowed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mfg.errors import UsageError
from mfg.limits.loader import POINTS
from mfg.station import POINT_NAMES, Endpoint, LoadPoint, WifiCredentials, load_station

SHIPPED = Path(__file__).parents[2] / "station.yaml"


def write(folder: Path, text: str) -> Path:
    path = folder / "bench.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def changed(folder: Path, old: str, new: str) -> Path:
    """Write the shipped station file with one text replaced."""
    text = SHIPPED.read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    return write(folder, text.replace(old, new))


def line_of(path: Path, part: str) -> int:
    """Return the number of the only line that holds a text."""
    numbers = [n for n, line in enumerate(path.read_text().splitlines(), 1) if part in line]
    assert len(numbers) == 1
    return numbers[0]


def refusal(path: Path) -> str:
    """Load a file that must be refused; return the message."""
    with pytest.raises(UsageError) as caught:
        load_station(path)
    return str(caught.value)


class TestTheShippedFile:
    def test_is_the_emulated_station(self):
        station = load_station(SHIPPED)
        assert station.emulated
        assert station.conductor.turns == 6
        assert [slot.number for slot in station.slots] == [1]
        assert re.fullmatch("[0-9a-f]{64}", station.sha256)

    def test_verifies_at_1_6_and_54_amperes_through_six_turns(self):
        station = load_station(SHIPPED)
        currents_a = [point.current_a * station.conductor.turns for point in station.load_points]
        assert currents_a == pytest.approx([54.0, 6.0, 1.0], rel=1e-3)
        assert station.load_points[0] == LoadPoint("high", 9.0, 10.0)
        assert all(point.range_a >= point.current_a for point in station.load_points)

    def test_says_what_the_bench_adds_to_an_uncertainty(self):
        uncertainty = load_station(SHIPPED).uncertainty
        assert (uncertainty.turns_position_pct, uncertainty.pick_up_a) == (0.2, 0.0005)

    def test_paths_start_at_its_folder(self):
        station = load_station(SHIPPED)
        assert station.records_folder == SHIPPED.parent / "records"
        assert station.slot(1).serial_port.path == str(SHIPPED.parent / ".bench/unit1/ttyACM0")

    def test_only_the_address_map_knows_where_an_address_leads(self):
        slot = load_station(SHIPPED).slot(1)
        assert str(slot.route("10.0.0.2").http) == "127.0.0.1:18080"
        assert str(slot.route("192.168.1.7").http) == "192.168.1.7:80"
        assert slot.route("192.168.1.7").discovery == Endpoint("192.168.1.7", 29340)

    def test_a_slot_that_it_has_not_is_refused_with_those_it_has(self):
        with pytest.raises(UsageError, match=r"has no slot 7; it has 1\."):
            load_station(SHIPPED).slot(7)


def test_load_points_have_the_names_that_limits_have():
    assert POINT_NAMES == POINTS


class TestOptionalParts:
    def test_a_conductor_has_a_resistive_load_and_no_soak_unless_it_says_so(self, tmp_path):
        text = re.sub(r"  (?:load_angle_deg|soak_s): \d+\n", "", SHIPPED.read_text())
        conductor = load_station(write(tmp_path, text)).conductor
        assert (conductor.load_angle_deg, conductor.soak_s) == (0.0, 0.0)

    def test_an_angle_may_lead(self, tmp_path):
        path = changed(tmp_path, "  load_angle_deg: 0\n", "  load_angle_deg: -60\n")
        assert load_station(path).conductor.load_angle_deg == -60.0

    def test_an_adaptor_may_have_a_serial_number(self, tmp_path):
        assert load_station(SHIPPED).adaptor_serial == ""
        path = changed(tmp_path, "  adaptor: ", "  adaptor_serial: A-0042\n  adaptor: ")
        assert load_station(path).adaptor_serial == "A-0042"

    def test_the_stations_key_lies_beside_the_records_unless_it_says_where(self, tmp_path):
        assert load_station(SHIPPED).key_folder == SHIPPED.parent / "keys"
        path = changed(tmp_path, "records: {folder: records}", "records: {folder: a/b, key_folder: safe}")
        assert load_station(path).key_folder == tmp_path / "safe"
        path = changed(tmp_path, "records: {folder: records}", "records: {folder: a/b}")
        assert load_station(path).key_folder == tmp_path / "a" / "keys"

    @pytest.mark.parametrize(
        ("old", "new", "key"),
        [
            ("records: {folder: records}", "records: {folder: r, key_folder: r/k}", "records.key_folder"),
            ("records: {folder: records}", "records: {folder: ., key_folder: ../k}", "wifi.credentials_file"),
        ],
    )
    def test_no_secret_lies_among_the_records(self, tmp_path, old, new, key):
        with pytest.raises(UsageError, match=f"{key} is .* which lies among the records"):
            load_station(changed(tmp_path, old, new))

    def test_a_station_without_an_emulated_bench_is_a_real_one(self, tmp_path):
        text = SHIPPED.read_text().split("emulated_bench:")[0]
        assert not load_station(write(tmp_path, text)).emulated

    def test_without_its_optional_keys_the_defaults_hold(self, tmp_path):
        text = SHIPPED.read_text().split("emulated_bench:")[0]
        text = re.sub(r"(?m)^(wifi|operator):.*\n", "", text)
        text = re.sub(r"thermometer:\n.*\n.*\n", "", text)
        station = load_station(write(tmp_path, text))
        assert station.thermometer is None
        assert station.operator_front_end == "terminal"
        assert station.wifi_credentials == Path()

    def test_a_windows_port_is_no_path(self, tmp_path):
        path = changed(tmp_path, "path: .bench/unit1/ttyACM0", "path: COM3")
        assert load_station(path).slot(1).serial_port.path == "COM3"

    def test_a_serial_number_of_digits_stays_as_it_is_written(self, tmp_path):
        path = changed(tmp_path, "{path: .bench/unit1/ttyACM0}", "{usb_serial_number: 0012}")
        assert load_station(path).slot(1).serial_port.usb_serial_number == "0012"

    def test_the_plant_of_an_emulated_bench_is_found_beside_the_file(self, tmp_path):
        path = changed(tmp_path, "  seed: 1\n", "  seed: 1\n  plant: dark-led.json\n")
        bench = load_station(path).emulated_bench
        assert bench is not None
        assert bench.plant == tmp_path / "dark-led.json"


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        (
            "  turns: 6",
            "  turns: 6\n  colour: red",
            "conductor.colour",
            "is unknown; allowed here: turns, dir",
        ),
        ("wifi: {", "wlan: {", "wlan", "is unknown; allowed here: station, slots"),
        ("  turns: 6", "  turns: 6\n  turns: 5", "conductor.turns", "is there twice"),
        (
            "  turns: 6",
            "  turns: six",
            "conductor.turns",
            "is 'six'; it must be a whole number from 1 to 100",
        ),
        ("  turns: 6", "  turns: true", "conductor.turns", "is True; it must be a whole number"),
        ("  turns: 6", "  turns: 6.0", "conductor.turns", "is 6.0; it must be a whole number"),
        ("  turns: 6", "  turns: 0", "conductor.turns", "is 0; it must be a whole number from 1 to 100"),
        ("  turns: 6", "  turns: 101", "conductor.turns", "is 101; it must be a whole number from 1 to 100"),
        ("  turns: 6", "  turns: 2026-02-31", "conductor.turns", "cannot be read; it must be a whole number"),
        ("  turns: 6", "  turns: !thing 6", "conductor.turns", "cannot be read; it must be a whole number"),
        (
            "voltage_range_v: 300",
            "voltage_range_v: .nan",
            "reference_meter.voltage_range_v",
            "it must be a number",
        ),
        (
            "voltage_range_v: 300",
            "voltage_range_v: .inf",
            "reference_meter.voltage_range_v",
            "from 1.0 to 1000",
        ),
        (
            "frequency_hz: 50",
            "frequency_hz: 55",
            "station.line_frequency_hz",
            "is 55; it must be one of 50, 60",
        ),
        ("direction: export", "direction: out", "conductor.direction", "it must be one of export, import"),
        (
            "has_identification: true",
            "has_identification: 1",
            "conductor.has_identification",
            "true or false",
        ),
        ("id: emulated-1", "id: [a]", "station.id", "is a list; it must be a text"),
        ("id: emulated-1", 'id: " "', "station.id", "it must be a text that is not empty"),
        ("id: emulated-1", "id: yes", "station.id", "is True; it must be a text"),
        ("[.bench/unit1/media]", "elsewhere", "slots[0].drive_roots", "must be a list"),
        ("[.bench/unit1/media]", "[here, 3.5, [x]]", "slots[0].drive_roots[2]", "it must be a text"),
        ("[18071]", "[18071, 70000]", "emulated_bench.unit_control_ports[1]", "from 1 to 65535"),
        (
            'http: "127.0.0.1:18080"',
            "http: nowhere",
            "slots[0].address_map.10.0.0.2.http",
            "must be host:port",
        ),
        ('http: "127.0.0.1:18080"', 'http: "a:0"', "slots[0].address_map.10.0.0.2.http", "must be host:port"),
        ('"GWInstek,GPM-8310,.*"', '"GWInstek["', "reference_meter.identity", "a regular expression"),
        ("records: {folder: records}", "records: here", "records", "must hold the keys folder"),
        ("load_angle_deg: 0\n", "load_angle_deg: 61\n", "conductor.load_angle_deg", "from -60.0 to 60.0"),
        ("  soak_s: ", "  soak_s: -", "conductor.soak_s", "from 0.0 to 1800.0"),
        (
            "{name: mid, ",
            "{name: middle, ",
            "load_points[1].name",
            "is 'middle'; it must be one of high, mid, low",
        ),
        ("current_a: 1.0,", "current_a: 0,", "load_points[1].current_a", "from 0.01 to 100"),
        ("range_a: 0.2}", "range_a: 0.0}", "load_points[2].range_a", "from 0.001 to 100"),
        ("crosstalk_pct: 0.05", "crosstalk_pct: 6", "uncertainty.crosstalk_pct", "from 0.0 to 5.0"),
        ("pick_up_a: 0.0005", "pick_up_a: 0.2", "uncertainty.pick_up_a", "from 0.0 to 0.1"),
        (
            "pick_up_a: 0.0005",
            "pick_up_v: 0.0005",
            "uncertainty.pick_up_v",
            "is unknown; allowed here: turns_p",
        ),
    ],
)
def test_a_wrong_key_is_named_with_its_line_and_what_is_allowed(tmp_path, old, new, key, says):
    path = changed(tmp_path, old, new)
    message = refusal(path)
    number = line_of(path, new.splitlines()[-1])
    assert message.startswith(f"{path}:{number}: key '{key}' ")
    assert says in message


@pytest.mark.parametrize(
    ("old", "key", "says"),
    [
        ("  turns: 6\n", "conductor.turns", "is missing; it must be a whole number from 1 to 100"),
        ("records: {folder: records}\n", "records", "is missing; it must be a table"),
        ("  adaptor_state_pct: 0.2\n", "uncertainty.adaptor_state_pct", "is missing; it must be a number"),
        ("current_a: 9.0, ", "load_points[0].current_a", "is missing; it must be a number from 0.01"),
        ("    supply_channel: 1\n", "slots[0].supply_channel", "is missing; it must be a whole number"),
        ('  adaptor: "emulated 12 VAC adaptor"\n', "station.adaptor", "is missing; it must be a text"),
        (
            "  has_identification: true\n",
            "conductor.has_identification",
            "is missing; it must be true or false",
        ),
        (
            "  unit_control_ports: [18071]\n",
            "emulated_bench.unit_control_ports",
            "is missing; it must be a list",
        ),
    ],
)
def test_a_missing_key_is_named_with_what_it_must_be(tmp_path, old, key, says):
    message = refusal(changed(tmp_path, old, ""))
    assert re.match(rf"{re.escape(str(tmp_path))}/bench\.yaml:\d+: key '{re.escape(key)}' ", message)
    assert says in message


def test_an_address_that_is_mapped_twice_is_refused(tmp_path):
    entry = '      10.0.0.2: {http: "127.0.0.1:18080", discovery: "127.0.0.1:18081"}\n'
    message = refusal(changed(tmp_path, entry, entry + entry.replace("18080", "18090")))
    assert "key 'slots[0].address_map.10.0.0.2' is there twice" in message


def test_a_table_that_is_none_is_refused(tmp_path):
    entry = '\n      10.0.0.2: {http: "127.0.0.1:18080", discovery: "127.0.0.1:18081"}\n'
    assert "must be a table of names and values" in refusal(changed(tmp_path, entry, " everywhere\n"))


class TestFilesThatAreNoStationFile:
    @pytest.mark.parametrize("text", ["", "# nothing but a remark\n", "---\n"])
    def test_an_empty_file_is_refused_with_what_it_must_hold(self, tmp_path, text):
        message = refusal(write(tmp_path, text))
        assert "station, slots, reference_meter" in message
        assert ("is empty" in message) == (text != "---\n")

    @pytest.mark.parametrize("text", ["a: [1\n", "a: b: c\n", "\t- x\n", "one: 1\n---\ntwo: 2\n", "a: \0\n"])
    def test_what_is_not_yaml_is_refused_with_the_place(self, tmp_path, text):
        message = refusal(write(tmp_path, text))
        assert message.startswith(f"{tmp_path / 'bench.yaml'}: is not YAML: ")

    @pytest.mark.parametrize("text", ["- a\n", "just words\n"])
    def test_what_is_no_table_is_refused_with_the_keys(self, tmp_path, text):
        assert "must hold the keys station, slots" in refusal(write(tmp_path, text))

    def test_a_file_that_is_not_there_is_refused_with_the_option(self, tmp_path):
        message = refusal(tmp_path / "none.yaml")
        assert "none.yaml: cannot be read (No such file" in message
        assert "--station" in message

    def test_a_file_that_is_not_utf_8_is_refused(self, tmp_path):
        path = tmp_path / "bench.yaml"
        path.write_bytes(b"station: \xff\xfe\n")
        assert "is not UTF-8 text" in refusal(path)

    def test_a_list_that_holds_itself_is_refused(self, tmp_path):
        assert "is a list; it must be a text" in refusal(
            changed(tmp_path, "[.bench/unit1/media]", "[&a [*a]]")
        )


class TestLoadPoints:
    POINT = "  - {name: high, current_a: 9.0, range_a: 10}\n"

    def test_one_is_enough(self, tmp_path):
        text = re.sub(r"  - \{name: (?:mid|low),.*\n", "", SHIPPED.read_text())
        assert [point.name for point in load_station(write(tmp_path, text)).load_points] == ["high"]

    @pytest.mark.parametrize(
        ("old", "new", "names"),
        [
            (POINT, "", r"['mid', 'low']"),
            (POINT, POINT + POINT, r"['high', 'high', 'mid', 'low']"),
            ("name: mid", "name: low", r"['high', 'low', 'low']"),
        ],
    )
    def test_begin_with_the_one_of_the_adjustment_and_are_there_once(self, tmp_path, old, new, names):
        message = refusal(changed(tmp_path, old, new))
        assert f"'load_points' must begin with 'high' and name each point once, not {names}" in message

    def test_must_be_there(self, tmp_path):
        text = re.sub(r"load_points:\n(?:  - .*\n)+", "load_points: []\n", SHIPPED.read_text())
        assert "must begin with 'high' and name each point once, not []" in refusal(write(tmp_path, text))


class TestWhatHangsTogether:
    def test_no_slot_is_refused(self, tmp_path):
        text = re.sub(r"slots:\n(?:  .*\n)+", "slots: []\n", SHIPPED.read_text())
        assert "'slots' must hold at least one slot" in refusal(write(tmp_path, text))

    def two_slots(self, number: int, channel: int) -> str:
        one = re.search(r"  - number: 1\n(?:    .*\n|      .*\n)+", SHIPPED.read_text())
        assert one is not None
        two = one[0].replace("number: 1", f"number: {number}").replace("channel: 1", f"channel: {channel}")
        text = SHIPPED.read_text().replace(one[0], one[0] + two)
        return text.replace("[18071]", "[18071, 18072]")

    def test_two_slots_are_two_slots(self, tmp_path):
        station = load_station(write(tmp_path, self.two_slots(2, 12)))
        assert [slot.number for slot in station.slots] == [1, 2]

    def test_two_slots_of_one_number_are_refused(self, tmp_path):
        assert "each number once, not [1, 1]" in refusal(write(tmp_path, self.two_slots(1, 12)))

    @pytest.mark.parametrize("channel", [1, 2, 3])
    def test_one_channel_for_two_purposes_is_refused(self, tmp_path, channel):
        assert "must differ" in refusal(write(tmp_path, self.two_slots(2, channel)))

    def test_a_slot_needs_one_control_port_of_the_emulated_bench_each(self, tmp_path):
        message = refusal(changed(tmp_path, "[18071]", "[18071, 18072]"))
        assert "needs one port per slot (1)" in message

    def test_a_serial_port_that_cannot_be_found_is_refused(self, tmp_path):
        message = refusal(changed(tmp_path, "{path: .bench/unit1/ttyACM0}", "{path: ''}"))
        assert "slot 1: 'serial_port' needs path, usb_serial_number or usb_location" in message


def test_a_passphrase_never_shows_in_a_representation():
    assert "secret" not in repr(WifiCredentials("test-network", "secret-phrase"))
    assert "secret" not in str(WifiCredentials("test-network", "secret-phrase"))
