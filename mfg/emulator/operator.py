"""The emulated operator: a process that gets a prompt and answers it with eyes and fingers only.

It sees the labels on the case, the lights and the display, and it can press, hold and switch. It is
never told what the right answer is. It serves JSON lines on the operator's loopback port:

    {"unit": 1, "kind": "count", "text": "An LED will flash ...", "choices": null}
    {"answer": "green 4"}

Kinds: "scan" (reads a label), "do" (acts), "move" (puts a CT around the conductor, or goes back with B),
"count" (watches until the flashing is over), "meter" (reads the display of the hand-held meter), "confirm"
(yes or no). What a confirmation is about stands in its text: "..." in double quotes must be readable on the
display, about 232 V must stand there as a number with one decimal.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
import socketserver
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from mfg.clock import BenchClock
from mfg.emulator.config import BenchConfig, UnitConfig
from mfg.emulator.control import LOOPBACK, ControlClient
from mfg.emulator.ct6_board import GPIO_BLUE_LED, GPIO_GREEN_LED
from mfg.emulator.events import Event, EventLog, append_event
from mfg.emulator.glyphs import read_text
from mfg.emulator.instruments.hand_meter import display
from mfg.emulator.plant import Plant
from mfg.emulator.st7789 import Frame
from mfg.errors import MfgError, UsageError

POLL_S = 0.05
FLASHING_OVER_S = 1.2  # without an edge
FIRST_FLASH_S = 8.0
WATCH_S = 30.0  # at most, while it goes on flashing
LONGEST_FLASH_S = 2.0  # what stays lit longer is not a flash
# The requests behind the flashes do not get faster with the bench clock: wall time of the longest.
REQUEST_WALL_S = 0.4
PRESS_S = 0.6
SUPPLY_OFF_S = 1.0
HOLD_BOOTSEL_S = 30.0  # at most, while waiting for the unit to appear in BOOTSEL
BOOTSEL_SEEN_S = 5.0
LOOK_S = 1.5  # a display refreshes about once a second
LOOK_WALL_S = 0.5  # drawing does not get faster with the bench clock either; a restart takes twice as long
VOLTAGE_TOLERANCE_V = 5.0
LINE_LIMIT_BYTES = 65536

QUOTED = re.compile(r'"([^"]+)"')
ABOUT_VOLTS = re.compile(r"about\s+(\d+(?:\.\d+)?)\s*V\b", re.IGNORECASE)
ONE_DECIMAL = re.compile(r"(?<![\d.])(\d+\.\d)(?![\d.])")
HOLD_SECONDS = re.compile(r"\bhold\b[^.]{0,40}\bfor (\d+(?:\.\d+)?)\s*(?:s|seconds?)\b", re.IGNORECASE)
CT_OF_PORT = re.compile(r"\bCT of port (\d)")
ABOUT_DISPLAY = re.compile(r"\b(display|screen)\b", re.IGNORECASE)
WATCH_ALONE = re.compile(r"\bwatch the (green|blue) LED alone\b", re.IGNORECASE)
WRONG_CT, GOES_BACK = "wrong_ct", "goes_back"  # slips, see events.py
COLOURS = {GPIO_GREEN_LED: "green", GPIO_BLUE_LED: "blue"}


class Operator:
    """One pair of eyes and hands for all units of the bench; answers from several threads."""

    def __init__(self, config: BenchConfig) -> None:
        self._config = config
        self._clock = BenchClock.parse(config.clock)
        self._units = {unit.number: unit for unit in config.units}
        self._kinds: dict[str, Callable[[UnitConfig, str], str]] = {
            "scan": self._scan,
            "do": self._do,
            "move": self._move,
            "count": self._count,
            "confirm": self._confirm,
            "meter": self._meter,
        }

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer one prompt.

        Args:
            request: "unit", "kind", "text" and "choices" (a list or null) of the prompt; or
                {"op": "state"}, which is answered at once.

        Returns:
            {"answer": ...}, or {"error": ...} for a prompt that cannot be answered.
        """
        if request.get("op") == "state":
            return {"state": "run"}
        try:
            kind, unit = request["kind"], self._units[int(request["unit"])]
            answerer = self._kinds[kind]
            answer = answerer(unit, str(request["text"]))
            return {"answer": _chosen(answer, request.get("choices"))}
        except KeyError as error:
            return {"error": f"The prompt lacks {error}, or names something that does not exist."}
        except (MfgError, ValueError) as error:
            return {"error": f"{type(error).__name__}: {error}"}

    # ---- kinds ----------------------------------------------------------------------------------

    def _scan(self, unit: UnitConfig, text: str) -> str:
        self._think()
        words = text.lower()
        if "assembly" in words:
            return unit.label_assembly
        if "serial" in words:
            return unit.label_serial
        raise UsageError(f"The operator finds no label called for by {text!r}.")

    def _do(self, unit: UnitConfig, text: str) -> str:
        self._think()
        words = text.lower()
        link = ControlClient(unit.control_port)
        if "bootsel" in words and not re.search(r"\b(hold|press)\b", words):
            link.call("bootsel", held=False)
        elif "bootsel" in words:
            self._hold_bootsel(link, by_station="station" in words, words=words)
        elif "press" in words or ("hold" in words and "switch" in words):
            self._press(link, words)
        elif re.search(r"\b(supply|power|adaptor)\b", words) and re.search(r"\b(off|cycle)\b", words):
            self._cycle_supply(link)
        return "ok"

    def _move(self, unit: UnitConfig, text: str) -> str:
        """Put a CT around the conductor, out of the one before.

        A slip that is due is made once, at any CT but CT1, when the text has the words that stand behind it.
        """
        self._think()
        asked = CT_OF_PORT.search(text)
        if asked is None:
            raise UsageError(f"The operator finds no CT called for by {text!r}.")
        port, folder, now_s = int(asked.group(1)), Path(self._config.folder), self._clock.now_s()
        slip, _space, when = self._slip(folder, now_s, unit.number).partition(" ")
        if port == 1 or when not in text:
            slip = ""
        if slip:
            append_event(folder, Event(now_s, "slip", "", unit.number))
        if slip == GOES_BACK:
            return "B"
        append_event(folder, Event(now_s, "ct", port - (slip == WRONG_CT), unit.number))
        return ""

    @staticmethod
    def _slip(folder: Path, t_s: float, unit: int) -> str:
        events = EventLog(folder)
        try:
            events.sync()
            return str(events.at("slip", t_s, unit, ""))
        finally:
            events.close()

    def _count(self, unit: UnitConfig, text: str) -> str:
        alone = WATCH_ALONE.search(text)  # where to look; what is said is what was seen
        watched = {gpio: colour for gpio, colour in COLOURS.items() if alone is None or alone[1] == colour}
        link = ControlClient(unit.control_port)
        since_s = self._clock.now_s()
        edges = self._watch(link, since_s, watched)
        longest_s = self._at_least(LONGEST_FLASH_S)
        counts = {colour: _flashes(edges, gpio, longest_s) for gpio, colour in watched.items()}
        self._think()
        lit = [colour for colour, count in counts.items() if count]
        if not lit:
            return "none 0"
        return f"{lit[0]} {counts[lit[0]]}" if len(lit) == 1 else f"both {max(counts.values())}"

    def _confirm(self, unit: UnitConfig, text: str) -> str:
        self._think()
        wanted = [part for part in QUOTED.findall(text) if not ABOUT_VOLTS.fullmatch(part.strip())]
        volts = [float(number) for number in ABOUT_VOLTS.findall(text)]
        if not (volts or ABOUT_DISPLAY.search(text)):
            return "yes"  # Nothing to look at: the line goes on.
        link = ControlClient(unit.control_port)
        deadline = self._clock.deadline(self._at_least(LOOK_S, LOOK_WALL_S))
        while True:
            if _display_shows(self._look(link), wanted, volts):
                return "yes"
            if deadline.expired():
                return "no"
            self._clock.sleep_s(LOOK_S / 3)

    def _meter(self, unit: UnitConfig, text: str) -> str:
        del unit, text
        self._clock.sleep_s(self._config.operator_answer_s / 2)
        events = EventLog(Path(self._config.folder))
        try:
            seen = display(self._config, Plant(self._config, events), self._clock.now_s())
        finally:
            events.close()
        self._clock.sleep_s(self._config.operator_answer_s / 2)
        return seen

    # ---- eyes -----------------------------------------------------------------------------------

    def _look(self, link: ControlClient) -> list[str]:
        reply = link.call("frame")
        pixels = base64.b64decode(reply["rgb565_base64"])
        return read_text(Frame(reply["width"], reply["height"], bool(reply["powered"]), pixels))

    def _watch(
        self, link: ControlClient, since_s: float, watched: Collection[int]
    ) -> list[tuple[float, int, int]]:
        """Watch some lights until they flashed and paused, or nothing came."""
        over_s = self._at_least(FLASHING_OVER_S)
        while True:
            edges = [edge for edge in self._edges(link, since_s) if edge[1] in watched]
            now_s = self._clock.now_s()
            watched_s = now_s - since_s
            flashed = any(level for _, _, level in edges)
            if flashed and (now_s - edges[-1][0] > over_s or watched_s > self._at_least(WATCH_S)):
                return edges
            if not flashed and watched_s > self._at_least(FIRST_FLASH_S):
                return edges
            self._clock.sleep_s(POLL_S)

    def _at_least(self, duration_s: float, wall_s: float = REQUEST_WALL_S) -> float:
        """Return a duration in which some wall time fits, too: that of a request."""
        return max(duration_s, wall_s * self._clock.factor)

    @staticmethod
    def _edges(link: ControlClient, since_s: float) -> list[tuple[float, int, int]]:
        reply = link.call("led_edges", since_s=since_s)
        return [(float(t_s), int(gpio), int(level)) for t_s, gpio, level in reply["edges"]]

    # ---- fingers --------------------------------------------------------------------------------

    def _think(self) -> None:
        self._clock.sleep_s(self._config.operator_answer_s)

    def _press(self, link: ControlClient, words: str) -> None:
        seconds = HOLD_SECONDS.search(words)
        link.call("button", pressed=True)
        try:
            self._clock.sleep_s(float(seconds.group(1)) if seconds else PRESS_S)
        finally:
            link.call("button", pressed=False)

    def _cycle_supply(self, link: ControlClient) -> None:
        link.call("power", on=False)
        self._clock.sleep_s(SUPPLY_OFF_S)
        link.call("power", on=True)

    def _hold_bootsel(self, link: ControlClient, by_station: bool, words: str) -> None:
        """Hold BOOTSEL while the supply comes on.

        When the station switches the supply, the answer is needed first: a thread goes on holding
        until the unit is in BOOTSEL.
        """
        link.call("bootsel", held=True)
        if re.search(r"\b(supply|power|adaptor)\b", words) and not by_station:
            try:
                self._cycle_supply(link)
                self._clock.wait_until(lambda: _in_bootsel(link), BOOTSEL_SEEN_S, POLL_S)
            finally:
                link.call("bootsel", held=False)
            return
        threading.Thread(target=self._release_bootsel, args=(link,), daemon=True).start()

    def _release_bootsel(self, link: ControlClient) -> None:
        try:
            self._clock.wait_until(lambda: not _in_bootsel(link), SUPPLY_OFF_S, POLL_S)
            self._clock.wait_until(lambda: _in_bootsel(link), HOLD_BOOTSEL_S, POLL_S)
            link.call("bootsel", held=False)
        except MfgError:
            return  # The unit's process is gone, and its button with it.


def _in_bootsel(link: ControlClient) -> bool:
    return bool(link.call("state")["state"] == "bootsel")


def _flashes(edges: list[tuple[float, int, int]], gpio: int, longest_s: float) -> int:
    """Return how often a light went on and soon off again."""
    own = [(t_s, level) for t_s, number, level in edges if number == gpio]
    return sum(
        level == 1 and next_level == 0 and next_s - t_s <= longest_s
        for (t_s, level), (next_s, next_level) in itertools.pairwise(own)
    )


def _display_shows(lines: list[str], wanted: list[str], volts: list[float]) -> bool:
    """Return whether everything asked for is on the display; an unreadable one shows nothing."""
    if not lines:
        return False
    squeezed = ["".join(line.split()) for line in lines]
    everything = "".join(squeezed)  # a long address may go on in the next line
    numbers = [float(number) for line in lines for number in ONE_DECIMAL.findall(line)]
    return all(_on_display(part, squeezed, everything) for part in wanted) and all(
        any(abs(number - about) <= VOLTAGE_TOLERANCE_V for number in numbers) for about in volts
    )


def _on_display(part: str, squeezed: list[str], everything: str) -> bool:
    """Return whether a text is on the display, not as a part of a longer number."""
    needle = "".join(part.split())
    whole = re.compile(rf"(?<![\d.]){re.escape(needle)}(?!\.?\d)")
    return any(whole.search(text) for text in (*squeezed, everything))


def _chosen(answer: str, choices: list[str] | None) -> str:
    """Return the choice that says the same; the answer itself where the prompt offers none."""
    for choice in choices or []:
        if choice.strip().lower() == answer.lower():
            return choice
    return answer


def run_operator(config: BenchConfig) -> None:
    """Answer prompts on the operator's port until the process is ended."""
    with operator_server(config) as server:
        server.serve_forever(poll_interval=0.2)


def operator_server(config: BenchConfig) -> socketserver.ThreadingTCPServer:
    """Return the operator's server, bound to its port and not yet serving."""
    operator = Operator(config)

    class PromptHandler(socketserver.StreamRequestHandler):
        """Answers one prompt per line."""

        def handle(self) -> None:
            while (line := self.rfile.readline(LINE_LIMIT_BYTES)).endswith(b"\n"):
                self.wfile.write(json.dumps(_reply(operator, line)).encode() + b"\n")

    class Server(socketserver.ThreadingTCPServer):
        """Serves each connection in a thread that ends with the process."""

        allow_reuse_address = True
        daemon_threads = True

    return Server((LOOPBACK, config.operator_port), PromptHandler)


def _reply(operator: Operator, line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
    except ValueError as error:
        return {"error": f"The prompt is not JSON: {error}"}
    if not isinstance(request, dict):
        return {"error": "A prompt is an object."}
    return operator.answer(request)
