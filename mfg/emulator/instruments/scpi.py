"""The engine of an SCPI instrument: command tree, status model, error queue (IEEE 488.2, SCPI-99).

An instrument registers its commands with their definitions; `execute` takes one program message and
gives the response message. Nothing here knows a socket: see server.py.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from mfg.emulator.instruments.syntax import (
    ERROR_TEXTS,
    Call,
    HeaderSpec,
    ScpiError,
    Unit,
    split_header,
    split_outside_quotes,
)

ERROR_QUEUE_DEPTH = 16
REGISTER_MAX = 0x7FFF  # SCPI-99: bit 15 is never used

ESR_OPERATION_COMPLETE = 0x01
ESR_QUERY_ERROR = 0x04
ESR_DEVICE_ERROR = 0x08
ESR_EXECUTION_ERROR = 0x10
ESR_COMMAND_ERROR = 0x20
ESR_POWER_ON = 0x80

STB_ERROR_QUEUE = 0x04
STB_QUESTIONABLE = 0x08
STB_MESSAGE_AVAILABLE = 0x10
STB_EVENT = 0x20
STB_MASTER = 0x40
STB_OPERATION = 0x80

Action = Callable[[Call], "Awaitable[None] | None"]
Query = Callable[[Call], "Awaitable[str] | str"]


class Clock(Protocol):
    """What the instruments need of mfg.clock.BenchClock."""

    def now_s(self) -> float:
        """Return the bench time, in s."""

    def wall_s(self, duration_s: float) -> float:
        """Return the wall time, in s, of a bench duration."""


@dataclass(frozen=True)
class Link:
    """How the instrument's connection behaves now."""

    silent: bool = False  # nothing arrives at the instrument, nothing comes back
    drops: bool = False  # closes the connection on the next message
    delay_s: float = 0.0  # bench time by which every reply is late


@dataclass(frozen=True)
class Command:
    """One command in its setting or its query form."""

    header: HeaderSpec
    handler: Callable[[Call], Awaitable[str | None] | str | None]
    parameters: tuple[int, int]  # fewest and most
    echoes_header: bool


class ErrorQueue:
    """First in, first out; when it is full the newest entry says so and later ones are lost."""

    def __init__(self, depth: int = ERROR_QUEUE_DEPTH) -> None:
        self._depth = depth
        self._entries: deque[tuple[int, str]] = deque()

    def __len__(self) -> int:
        return len(self._entries)

    def push(self, code: int, info: str = "") -> None:
        """Add an error with the standard's text and what it was about."""
        if len(self._entries) >= self._depth:
            self._entries[-1] = (-350, ERROR_TEXTS[-350])
            return
        text = ERROR_TEXTS.get(code, ERROR_TEXTS[-300])
        self._entries.append((code, f"{text};{info}" if info else text))

    def pop(self) -> tuple[int, str]:
        """Take the oldest entry; code 0 when there is none."""
        return self._entries.popleft() if self._entries else (0, ERROR_TEXTS[0])

    def clear(self) -> None:
        """Forget all entries."""
        self._entries.clear()


@dataclass
class StatusRegister:
    """Condition, transition filters, event and enable of one SCPI status structure."""

    condition: int = 0
    event: int = 0
    enable: int = 0
    positive: int = REGISTER_MAX
    negative: int = 0

    def set_condition(self, condition: int) -> None:
        """Change the condition; the edges that the filters let through become events."""
        rose = condition & ~self.condition
        fell = self.condition & ~condition
        self.event |= (rose & self.positive) | (fell & self.negative)
        self.condition = condition

    def read_event(self) -> int:
        """Return the events and clear them."""
        event, self.event = self.event, 0
        return event

    def preset(self) -> None:
        """Set the filters and the enable register as STATus:PRESet does."""
        self.enable, self.positive, self.negative = 0, REGISTER_MAX, 0

    def summary(self) -> bool:
        """Return whether an enabled event is set."""
        return bool(self.event & self.enable)


class Instrument:
    """An instrument with the common commands of IEEE 488.2.

    Subclasses register more commands, name their error query and may echo headers.
    """

    identity = ""
    terminator = "\n"
    interruptible = False  # a message that arrives while a query is being answered discards the answer

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.errors = ErrorQueue()
        self._event_status = ESR_POWER_ON
        self._event_enable = 0
        self._service_enable = 0
        self._responses: list[str] = []
        self._commands: dict[tuple[str, ...], dict[bool, tuple[Command, tuple[int, ...]]]] = {}
        self._common: dict[tuple[str, bool], Command] = {}
        self._register_common()

    # ---- what subclasses change ----

    def reset(self) -> None:
        """Set the state that *RST gives; never touches the error queue or the enable registers."""

    def clear_events(self) -> None:
        """Clear the event registers beyond the standard one, for *CLS."""

    def status_bits(self) -> int:
        """Return the bits of the status byte that this kind of instrument adds."""
        return 0

    def before_message(self) -> None:
        """Bring the instrument's state to the present, before each message."""

    def idn(self) -> str:
        """Return the reply to *IDN?."""
        return self.identity

    def link(self) -> Link:
        """Return how the connection behaves now."""
        return Link()

    def decorate(self, command: Command, call: Call, response: str) -> str:
        """Return the response with the header in front, where the instrument echoes headers."""
        return response

    # ---- registration ----

    def add(
        self,
        definition: str,
        action: Action | None = None,
        query: Query | None = None,
        parameters: tuple[int, int] = (1, 1),
        query_parameters: tuple[int, int] = (0, 0),
        echoes_header: bool = True,
    ) -> None:
        """Register a command.

        Args:
            definition: Header in SCPI notation, such as `:OUTPut<n>[:STATe]`.
            action: Handler of the setting form.
            query: Handler of the query form.
            parameters: Fewest and most parameters of the setting form.
            query_parameters: The same for the query form.
            echoes_header: Whether `decorate` may put the header in front of the response.
        """
        header = HeaderSpec.parse(definition)
        for is_query, handler, count in ((False, action, parameters), (True, query, query_parameters)):
            if handler is None:
                continue
            command = Command(header, handler, count, echoes_header)
            for words, positions in header.spellings():
                self._commands.setdefault(words, {})[is_query] = (command, positions)

    def _register_common(self) -> None:
        def action(name: str, handler: Action, count: int = 0) -> None:
            self._common[name, False] = Command(HeaderSpec(()), handler, (count, count), False)

        def query(name: str, handler: Query) -> None:
            self._common[name, True] = Command(HeaderSpec(()), handler, (0, 0), False)

        query("*IDN", lambda call: self.idn())
        action("*RST", lambda call: self.reset())
        action("*CLS", lambda call: self.clear_status())
        action("*OPC", lambda call: self._set_event_status(ESR_OPERATION_COMPLETE))
        query("*OPC", lambda call: "1")
        action("*WAI", lambda call: None)  # no command overlaps another
        query("*TST", lambda call: "0")
        query("*ESR", lambda call: str(self._read_event_status()))
        action("*ESE", self._set_event_enable, 1)
        query("*ESE", lambda call: str(self._event_enable))
        action("*SRE", self._set_service_enable, 1)
        query("*SRE", lambda call: str(self._service_enable))
        query("*STB", lambda call: str(self.status_byte()))

    # ---- status ----

    def clear_status(self) -> None:
        """Clear the event registers, the error queue and pending responses; enables stay."""
        self._event_status = 0
        self.errors.clear()
        self._responses.clear()
        self.clear_events()

    def push_error(self, code: int, info: str = "") -> None:
        """Queue an error and set the bit of its class in the standard event status register."""
        classes = {1: ESR_COMMAND_ERROR, 2: ESR_EXECUTION_ERROR, 4: ESR_QUERY_ERROR}
        self._event_status |= classes.get(-code // 100, ESR_DEVICE_ERROR)
        self.errors.push(code, info)

    def status_byte(self) -> int:
        """Return the status byte with the master summary bit."""
        byte = self.status_bits()
        byte |= STB_ERROR_QUEUE if len(self.errors) else 0
        byte |= STB_MESSAGE_AVAILABLE if self._responses else 0
        byte |= STB_EVENT if self._event_status & self._event_enable else 0
        return byte | (STB_MASTER if byte & self._service_enable else 0)

    def _set_event_status(self, bits: int) -> None:
        self._event_status |= bits

    def _read_event_status(self) -> int:
        bits, self._event_status = self._event_status, 0
        return bits

    def _set_event_enable(self, call: Call) -> None:
        self._event_enable = call.integer(0, 255)

    def _set_service_enable(self, call: Call) -> None:
        self._service_enable = call.integer(0, 255) & ~STB_MASTER

    # ---- execution ----

    async def execute(self, message: str) -> str | None:
        """Carry out one program message.

        Args:
            message: The units, joined by `;`, without the terminator.

        Returns:
            The responses joined by `;`, or None when nothing was asked.
        """
        responses: list[str] = []
        self._responses = responses
        self.before_message()
        try:
            units = split_outside_quotes(message, ";")
        except ScpiError as error:
            self.push_error(error.code, error.info)
            return None
        path = ""
        for text in filter(None, units):
            try:
                unit = Unit.parse(text)
                header = _full_header(unit.header, path)
                path = path if header.startswith("*") else header.rpartition(":")[0]
                response = await self._run(header, unit)
            except ScpiError as error:
                self.push_error(error.code, error.info)
                continue
            self._responses = responses
            if response is not None:
                responses.append(response)
        self._responses = []
        return ";".join(responses) if responses else None

    async def _run(self, header: str, unit: Unit) -> str | None:
        command, suffixes = self._find(header, unit.is_query)
        fewest, most = command.parameters
        if len(unit.parameters) < fewest:
            raise ScpiError(-109, header)
        if len(unit.parameters) > most:
            raise ScpiError(-108, unit.parameters[most])
        call = Call(suffixes, unit.parameters)
        result = command.handler(call)
        response = await result if inspect.isawaitable(result) else result
        if response is None:
            return None
        return self.decorate(command, call, response) if command.echoes_header else response

    def _find(self, header: str, is_query: bool) -> tuple[Command, tuple[int, ...]]:
        if header.startswith("*"):
            common = self._common.get((header, is_query))
            if common is None:
                raise ScpiError(-113, header)
            return common, ()
        words, numbers = split_header(header)
        found = self._commands.get(words, {}).get(is_query)
        if found is None:
            raise ScpiError(-113, header)
        command, positions = found
        given = dict(zip(positions, numbers, strict=True))
        suffixes: list[int] = []
        for index, node in enumerate(command.header.nodes):
            number = given.get(index)
            if node.numbered:
                suffixes.append(1 if number is None else number)
            elif number is not None:
                raise ScpiError(-114, header)
        return command, tuple(suffixes)


class ScpiInstrument(Instrument):
    """An instrument with the required commands of SCPI-99 on top of the common ones."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.questionable = StatusRegister()
        self.operation = StatusRegister()
        self.add(":SYSTem:ERRor[:NEXT]", query=lambda call: self._next_error())
        self.add(":SYSTem:ERRor:COUNt", query=lambda call: str(len(self.errors)))
        self.add(":SYSTem:VERSion", query=lambda call: "1999.0")
        self.add(":STATus:PRESet", lambda call: self._preset(), parameters=(0, 0))
        self._add_register(":STATus:QUEStionable", self.questionable)
        self._add_register(":STATus:OPERation", self.operation)

    def _add_register(self, path: str, register: StatusRegister) -> None:
        def setting(name: str) -> Action:
            return lambda call: setattr(register, name, call.integer(0, REGISTER_MAX))

        def query(name: str) -> Query:
            return lambda call: str(getattr(register, name))

        self.add(f"{path}[:EVENt]", query=lambda call: str(register.read_event()))
        self.add(f"{path}:CONDition", query=query("condition"))
        self.add(f"{path}:ENABle", setting("enable"), query("enable"))
        self.add(f"{path}:PTRansition", setting("positive"), query("positive"))
        self.add(f"{path}:NTRansition", setting("negative"), query("negative"))

    def _next_error(self) -> str:
        code, text = self.errors.pop()
        escaped = text.replace('"', '""')
        return f'{code:+d},"{escaped}"'

    def _preset(self) -> None:
        self.questionable.preset()
        self.operation.preset()

    def clear_events(self) -> None:
        """Clear the events of the two SCPI registers."""
        self.questionable.read_event()
        self.operation.read_event()

    def status_bits(self) -> int:
        """Return the summaries of the two SCPI registers."""
        return (STB_QUESTIONABLE if self.questionable.summary() else 0) | (
            STB_OPERATION if self.operation.summary() else 0
        )


def _full_header(header: str, path: str) -> str:
    """Apply the path memory of SCPI: a header without a leading colon continues the last one's path."""
    if header.startswith(("*", ":")):
        return header
    return f"{path}:{header}"
