"""The emulated operator: answers from labels, lights and pixels only."""

import base64
import itertools
import json
import socket
import threading
import time

import pytest
from test_glyphs import WHITE, Picture

from mfg.clock import BenchClock
from mfg.emulator import operator as operator_module
from mfg.emulator.config import BenchConfig, UnitConfig
from mfg.emulator.events import Event, append_event
from mfg.emulator.operator import Operator, operator_server
from mfg.emulator.st7789 import dark_frame, mirrored
from mfg.errors import StationError

FACTOR = 100.0  # of the bench clock: a second takes 10 ms
DISPLAY_QUESTION = (
    'Does the display show the address "10.0.0.2" and a voltage of about 232 V, upright and readable?'
)


class Unit:
    """Stands in for a unit's process: answers its control link and remembers what was asked of it."""

    def __init__(self):
        self.clock = BenchClock(0.0, FACTOR)
        self.calls = []
        self.edges = []
        self.frame = dark_frame()
        self.state = "run"
        self.broken = False

    def call(self, op, timeout_s=5.0, **args):
        if self.broken:
            raise StationError("The emulated bench does not answer.")
        self.calls.append((self.clock.now_s(), op, args))
        if op == "led_edges":
            return {"edges": [edge for edge in list(self.edges) if edge[0] >= args["since_s"]]}
        if op == "frame":
            frame = self.frame
            return {
                "width": frame.width,
                "height": frame.height,
                "powered": frame.powered,
                "rgb565_base64": base64.b64encode(frame.rgb565).decode(),
            }
        if op == "state":
            return {"state": self.state}
        return {}

    def acts(self):
        """Return what was done to the unit, without the looking."""
        return [(op, args) for _, op, args in self.calls if op in ("button", "bootsel", "power")]

    def light(self, gpio, level):
        self.edges.append((self.clock.now_s(), gpio, level))

    def flash(self, gpio, count, period_s=5.0):
        self.clock.sleep_s(5.0)  # the operator was asked before
        for _ in range(count):
            for level in (1, 0):
                self.light(gpio, level)
                self.clock.sleep_s(period_s / 2)


@pytest.fixture
def unit(monkeypatch):
    unit = Unit()
    monkeypatch.setattr(operator_module, "ControlClient", lambda port: unit)
    return unit


@pytest.fixture
def operator(unit):
    return Operator(BenchConfig(clock=f"0.0x{FACTOR}", units=(UnitConfig(control_port=1),)))


def ask(operator, kind, text="", choices=None):
    reply = operator.answer({"unit": 1, "kind": kind, "text": text, "choices": choices})
    assert "error" not in reply, reply
    return reply["answer"]


def screen(address="10.0.0.2", volts="232.4 V"):
    picture = Picture()
    picture.text("CT1    0.000 kW", 0, 0, 2)
    picture.text(volts, 0, 200, 2)
    return picture.text(address, 0, 300, 2).frame()


# ---- scan -------------------------------------------------------------------------------------------


def test_the_labels_on_the_case_are_read(operator):
    assert ask(operator, "scan", "Scan the assembly bar code.") == "ASY0398V03.2"
    assert ask(operator, "scan", "Scan the serial number bar code.") == "SN00001823"


def test_an_answer_takes_as_long_as_a_person_needs(operator, unit):
    started_s = unit.clock.now_s()
    ask(operator, "scan", "Scan the serial number.")
    assert unit.clock.now_s() - started_s >= 0.8


def test_a_label_nobody_knows_is_an_error(operator):
    assert "error" in operator.answer(
        {"unit": 1, "kind": "scan", "text": "Scan the pallet.", "choices": None}
    )


# ---- confirm ----------------------------------------------------------------------------------------


def test_a_display_that_shows_what_is_asked_for_is_confirmed(operator, unit):
    unit.frame = screen()
    assert ask(operator, "confirm", DISPLAY_QUESTION) == "yes"


@pytest.mark.parametrize(
    "frame",
    [
        dark_frame(),
        Picture(WHITE).frame(),
        mirrored(screen()),
        screen(address="10.0.0.23"),
        screen(address="110.0.0.2"),
        screen(volts="238.0 V"),
        screen(volts="232 V"),
    ],
    ids=["dark", "blank", "mirrored", "longer address", "other address", "other voltage", "no decimal"],
)
def test_a_display_that_does_not_show_it_is_not_confirmed(operator, unit, frame):
    unit.frame = frame
    assert ask(operator, "confirm", DISPLAY_QUESTION) == "no"


def test_the_voltage_may_stand_in_quotes(operator, unit):
    unit.frame = screen()
    assert ask(operator, "confirm", 'Does the display show "about 230 V"?') == "yes"
    assert ask(operator, "confirm", 'Does the display show "about 240 V"?') == "no"


def test_a_picture_that_comes_a_moment_later_is_seen(operator, unit):
    shown = [dark_frame(), dark_frame(), screen()]
    looks = itertools.count()
    look = unit.call

    def call(op, **args):
        if op == "frame":
            unit.frame = shown[min(next(looks), 2)]
        return look(op, **args)

    unit.call = call
    operator._clock = BenchClock(0.0, 5.0)  # leaves time for three looks
    assert ask(operator, "confirm", DISPLAY_QUESTION) == "yes"


def test_a_question_about_nothing_to_see_is_agreed_to(operator):
    question = 'The unit "SN00001823" is calibrated. Erase it?'
    assert ask(operator, "confirm", question, ["Yes", "No"]) == "Yes"


# ---- count ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("gpio", "count", "answer"), [(16, 4, "green 4"), (15, 2, "blue 2")])
def test_flashes_are_counted_until_they_pause(operator, unit, gpio, count, answer):
    flashing = threading.Thread(target=unit.flash, args=(gpio, count))
    flashing.start()
    assert ask(operator, "count", "Watch the LEDs.") == answer
    flashing.join()


def test_nothing_lit_is_none_0(operator):
    started = time.monotonic()
    assert ask(operator, "count", "Watch the LEDs.") == "none 0"
    assert time.monotonic() - started < 3.0


def test_a_light_that_goes_on_to_stay_is_no_flash(operator, unit):
    def flash_and_stay():
        unit.flash(16, 3)
        unit.light(16, 1)

    flashing = threading.Thread(target=flash_and_stay)
    flashing.start()
    assert ask(operator, "count", "Watch the LEDs.") == "green 3"
    flashing.join()


def test_flashes_before_the_question_do_not_count(operator, unit):
    unit.edges = [(unit.clock.now_s() - 5 + index * 0.3, 16, 1 - index % 2) for index in range(6)]
    flashing = threading.Thread(target=unit.flash, args=(15, 2))
    flashing.start()
    assert ask(operator, "count", "Watch the LEDs.") == "blue 2"
    flashing.join()


# ---- do ---------------------------------------------------------------------------------------------


def test_the_switch_is_pressed_briefly(operator, unit):
    assert ask(operator, "do", "Press the WiFi switch briefly, less than a second. Never hold it.") == "ok"
    assert unit.acts() == [("button", {"pressed": True}), ("button", {"pressed": False})]
    pressed_s, released_s = (t_s for t_s, op, _ in unit.calls if op == "button")
    assert 0.6 <= released_s - pressed_s < 5.0


def test_the_switch_is_held_for_as_long_as_the_text_says(operator, unit):
    ask(operator, "do", "Hold the WiFi switch for 6 seconds.")
    pressed_s, released_s = (t_s for t_s, op, _ in unit.calls if op == "button")
    assert released_s - pressed_s >= 6.0


def test_bootsel_is_held_until_the_unit_is_in_bootsel(operator, unit):
    assert ask(operator, "do", "Press the BOOTSEL button (hole beside the letter C) and hold it.") == "ok"
    assert unit.acts() == [("bootsel", {"held": True})]
    unit.state = "bootsel"
    deadline = time.monotonic() + 5.0
    while len(unit.acts()) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert unit.acts()[1:] == [("bootsel", {"held": False})]


def test_bootsel_is_released_when_told_to(operator, unit):
    ask(operator, "do", "Release the BOOTSEL button.")
    assert unit.acts() == [("bootsel", {"held": False})]


def test_bootsel_and_supply_are_one_act_when_the_operator_does_both(operator, unit):
    unit.state = "bootsel"
    ask(operator, "do", "Hold BOOTSEL, switch the supply off and on, then release BOOTSEL.")
    assert unit.acts() == [
        ("bootsel", {"held": True}),
        ("power", {"on": False}),
        ("power", {"on": True}),
        ("bootsel", {"held": False}),
    ]


def test_the_supply_is_cycled_when_told_to(operator, unit):
    ask(operator, "do", "Switch the supply off and on again.")
    assert unit.acts() == [("power", {"on": False}), ("power", {"on": True})]


def test_fitting_and_connecting_need_no_act_on_the_unit(operator, unit):
    assert ask(operator, "do", "Clamp the six CTs onto the conductor and connect the USB cable.") == "ok"
    assert unit.acts() == []


# ---- prompts that cannot be answered, and the link --------------------------------------------------


def test_a_unit_that_does_not_answer_is_an_error(operator, unit):
    unit.broken = True
    assert "does not answer" in operator.answer({"unit": 1, "kind": "count", "text": ""})["error"]


@pytest.mark.parametrize("request_", [{}, {"unit": 1, "kind": "sing", "text": ""}, {"unit": 9, "kind": "do"}])
def test_a_prompt_nobody_can_answer_is_an_error(operator, request_):
    assert "error" in operator.answer(request_)


def test_prompts_arrive_as_json_lines(unit):
    config = BenchConfig(clock=f"0.0x{FACTOR}", units=(UnitConfig(control_port=1),), operator_port=0)
    with operator_server(config) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        with socket.create_connection(server.server_address, timeout=5.0) as link:
            lines = link.makefile("rb")
            replies = []
            for line in (
                b'{"op": "state"}\n',
                b"nonsense\n",
                b"[]\n",
                b'{"unit": 1, "kind": "scan", "text": "serial"}\n',
            ):
                link.sendall(line)
                replies.append(json.loads(lines.readline()))
        server.shutdown()
        thread.join()
    assert replies[0] == {"state": "run"}
    assert "error" in replies[1]
    assert "error" in replies[2]
    assert replies[3] == {"answer": "SN00001823"}


# ---- move -------------------------------------------------------------------------------------------


def put(port, name="adjust"):
    return f"Put the CT of port {port} of the unit in slot 1 around the conductor ({name}, 2 of 6)."


@pytest.fixture
def mover(tmp_path):
    config = BenchConfig(folder=str(tmp_path), clock=f"0.0x{FACTOR}", units=(UnitConfig(control_port=1),))
    return Operator(config)


def moves(folder):
    lines = (folder / "plant-events.jsonl").read_text().splitlines()
    return [event["value"] for event in map(json.loads, lines) if event["what"] == "ct"]


def slip(folder, value):
    append_event(folder, Event(0.0, "slip", value, 1))


def test_the_ct_that_is_asked_for_is_put_around_the_conductor(mover, tmp_path):
    assert [ask(mover, "move", put(port)) for port in (1, 3)] == ["", ""]
    assert moves(tmp_path) == [1, 3]


def test_a_wrong_ct_is_taken_once(mover, tmp_path):
    slip(tmp_path, "wrong_ct")
    assert [ask(mover, "move", put(port)) for port in (1, 3, 3)] == ["", "", ""]
    assert moves(tmp_path) == [1, 2, 3]


def test_a_slip_waits_for_the_words_that_stand_behind_it(mover, tmp_path):
    slip(tmp_path, "wrong_ct verify")
    for name in ("adjust", "verify"):
        assert [ask(mover, "move", put(port, name)) for port in (1, 3)] == ["", ""]
    assert moves(tmp_path) == [1, 3, 1, 2]


def test_an_operator_who_goes_back_moves_nothing(mover, tmp_path):
    slip(tmp_path, "goes_back")
    assert [ask(mover, "move", put(port)) for port in (1, 2, 1)] == ["", "B", ""]
    assert moves(tmp_path) == [1, 1]


def test_a_move_that_names_no_ct_is_an_error(mover):
    assert "error" in mover.answer({"unit": 1, "kind": "move", "text": "Put it there.", "choices": None})
