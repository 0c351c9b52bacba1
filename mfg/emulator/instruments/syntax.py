"""The text of SCPI: program messages, headers and parameters (IEEE 488.2 chapter 7, SCPI-99 volume 1)."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

MNEMONIC_LIMIT = 12  # IEEE 488.2, 7.6.1.4.1

# SCPI-99 volume 2, 21.8; the texts are part of the standard.
ERROR_TEXTS = {
    0: "No error",
    -101: "Invalid character",
    -102: "Syntax error",
    -104: "Data type error",
    -108: "Parameter not allowed",
    -109: "Missing parameter",
    -112: "Program mnemonic too long",
    -113: "Undefined header",
    -114: "Header suffix out of range",
    -131: "Invalid suffix",
    -138: "Suffix not allowed",
    -151: "Invalid string data",
    -222: "Data out of range",
    -224: "Illegal parameter value",
    -300: "Device-specific error",
    -350: "Queue overflow",
    -363: "Input buffer overrun",
    -365: "Time out error",
    -410: "Query INTERRUPTED",
}

_HEADER = re.compile(r"(\*[A-Za-z]+|:?[A-Za-z][A-Za-z0-9_]*(?::[A-Za-z][A-Za-z0-9_]*)*)(\??)(?=\s|$)")
_NODE_SPEC = re.compile(r"(\[)?:?([A-Za-z]+)(<n>)?(\])?")
_NODE = re.compile(r"([A-Za-z_]+)(\d*)")
_DECIMAL = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:E[+-]?\d+)?)\s*([A-Z]*)", re.IGNORECASE)
_NON_DECIMAL = re.compile(r"#(?:H([0-9A-F]+)|Q([0-7]+)|B([01]+))", re.IGNORECASE)
_STRING = re.compile(r"\"((?:[^\"]|\"\")*)\"|'((?:[^']|'')*)'")
_MULTIPLIERS = {
    "": 1.0,
    "T": 1e12,
    "G": 1e9,
    "MA": 1e6,
    "K": 1e3,
    "M": 1e-3,
    "U": 1e-6,
    "N": 1e-9,
    "P": 1e-12,
}


class ScpiError(Exception):
    """A program message that the instrument refuses; becomes an entry of its error queue."""

    def __init__(self, code: int, info: str = "") -> None:
        super().__init__(f"{code} {info}")
        self.code = code
        self.info = info


def split_outside_quotes(text: str, separator: str) -> list[str]:
    """Split at `separator`, except inside strings and parentheses; blanks around the parts go.

    Raises:
        ScpiError: A string does not end.
    """
    parts = [""]
    quote = ""
    depth = 0
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        else:
            depth += {"(": 1, ")": -1}.get(character, 0)
            if character == separator and depth <= 0:
                parts.append("")
                continue
        parts[-1] += character
    if quote:
        raise ScpiError(-151, text[-20:])
    return [part.strip() for part in parts]


@dataclass(frozen=True)
class Unit:
    """One program message unit: a header as it was sent, whether it asks, its parameters."""

    header: str
    is_query: bool
    parameters: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Unit:
        """Read `HEADER[?] [parameter[,parameter]...]`.

        Raises:
            ScpiError: The header is malformed.
        """
        match = _HEADER.match(text)
        if not match:
            raise ScpiError(-102, text[:20])
        rest = text[match.end() :].strip()
        parameters = tuple(split_outside_quotes(rest, ",")) if rest else ()
        if "" in parameters:
            raise ScpiError(-102, rest[:20])
        return cls(match[1].upper(), bool(match[2]), parameters)


@dataclass(frozen=True)
class Mnemonic:
    """One word of a command's definition, such as `VOLTage`: exactly its short or its long form."""

    short: str
    long: str
    numbered: bool = False
    optional: bool = False

    @classmethod
    def parse(cls, word: str, numbered: bool = False, optional: bool = False) -> Mnemonic:
        """Read a word in the notation of SCPI: capitals are the short form."""
        short = "".join(character for character in word if not character.islower())
        return cls(short, word.upper(), numbered, optional)

    def forms(self) -> set[str]:
        """Return the spellings that are accepted, in capitals."""
        return {self.short, self.long}


@dataclass(frozen=True)
class HeaderSpec:
    """A command's definition, such as `:OUTPut<n>[:STATe]`."""

    nodes: tuple[Mnemonic, ...]

    @classmethod
    def parse(cls, text: str) -> HeaderSpec:
        """Read a definition; `[...]` marks an optional node, `<n>` a numeric suffix."""
        return cls(
            tuple(
                Mnemonic.parse(word, bool(numbered), bool(optional))
                for optional, word, numbered, _ in _NODE_SPEC.findall(text)
            )
        )

    def spellings(self) -> Iterator[tuple[tuple[str, ...], tuple[int, ...]]]:
        """Yield every way to write the header, with the positions of the nodes that are present."""
        presence = [(True, False) if node.optional else (True,) for node in self.nodes]
        for present in itertools.product(*presence):
            positions = tuple(index for index, here in enumerate(present) if here)
            if positions:
                for words in itertools.product(*(self.nodes[index].forms() for index in positions)):
                    yield words, positions

    def text(self, long: bool, suffixes: Sequence[int]) -> str:
        """Write the whole header, as an instrument does that echoes it."""
        numbers = iter(suffixes)
        words = [
            (node.long if long else node.short) + (str(next(numbers)) if node.numbered else "")
            for node in self.nodes
        ]
        return ":" + ":".join(words)


def split_header(header: str) -> tuple[tuple[str, ...], tuple[int | None, ...]]:
    """Separate the words of a header from their numeric suffixes.

    Raises:
        ScpiError: A word is longer than IEEE 488.2 allows, or has digits inside.
    """
    words: list[str] = []
    suffixes: list[int | None] = []
    for node in header.lstrip(":").split(":"):
        match = _NODE.fullmatch(node)
        if not match:
            raise ScpiError(-102, node)
        if len(match[1]) > MNEMONIC_LIMIT:
            raise ScpiError(-112, match[1])
        words.append(match[1])
        suffixes.append(int(match[2]) if match[2] else None)
    return tuple(words), tuple(suffixes)


def parse_number(text: str, unit: str = "") -> float:
    """Read a number with an optional unit and multiplier.

    Args:
        text: NRf, `#H`, `#Q` or `#B` number, then multiplier and unit: `300V`, `10MA`, `250 ms`.
        unit: The unit that the parameter may carry; empty when it may carry none. `MA` is milli with
            the unit `A`; in front of any other unit `MA` is mega. `MHZ` and `MOHM` are mega (SCPI-99).

    Raises:
        ScpiError: Not a number, or another unit.
    """
    if match := _NON_DECIMAL.fullmatch(text):
        return float(int(match[1], 16) if match[1] else int(match[2], 8) if match[2] else int(match[3], 2))
    match = _DECIMAL.fullmatch(text)
    if not match:
        raise ScpiError(-104, text)
    value, suffix = float(match[1]), match[2].upper()
    if not suffix:
        return value
    if not unit:
        raise ScpiError(-138, suffix)
    multiplier = suffix.removesuffix(unit)
    if multiplier == suffix or multiplier not in _MULTIPLIERS:
        raise ScpiError(-131, suffix)
    if multiplier == "M" and unit in {"HZ", "OHM"}:
        return value * 1e6
    return value * _MULTIPLIERS[multiplier]


@dataclass
class Call:
    """What a command's handler gets: the header's numeric suffixes and the parameters, taken in order."""

    suffixes: tuple[int, ...]
    parameters: tuple[str, ...]
    _taken: int = field(default=0)

    def more(self) -> bool:
        """Return whether a parameter is left."""
        return self._taken < len(self.parameters)

    def _next(self) -> str:
        if not self.more():
            raise ScpiError(-109)
        self._taken += 1
        return self.parameters[self._taken - 1]

    def suffix(self, low: int, high: int, position: int = 0) -> int:
        """Return a numeric suffix of the header after checking its range."""
        value = self.suffixes[position]
        if not low <= value <= high:
            raise ScpiError(-114, str(value))
        return value

    def number(self, low: float, high: float, unit: str = "", default: float | None = None) -> float:
        """Take a number, or MINimum, MAXimum, DEFault.

        Raises:
            ScpiError: No parameter, not a number, another unit, or outside `low` to `high`.
        """
        text = self._next()
        word = text.upper()
        if word in {"MIN", "MINIMUM"}:
            return low
        if word in {"MAX", "MAXIMUM"}:
            return high
        if word in {"DEF", "DEFAULT"} and default is not None:
            return default
        value = parse_number(text, unit)
        if not low <= value <= high:
            raise ScpiError(-222, text)
        return value

    def integer(self, low: int, high: int, default: int | None = None) -> int:
        """Take a number and round it to the nearest integer, as IEEE 488.2 has it for registers."""
        return round(self.number(low, high, "", default))

    def boolean(self) -> bool:
        """Take ON, OFF or a number, of which every one that rounds to other than 0 is ON."""
        text = self._next()
        word = text.upper()
        if word in {"ON", "OFF"}:
            return word == "ON"
        if word[:1].isalpha():
            raise ScpiError(-224, text)
        return round(parse_number(text)) != 0

    def choice(self, allowed: Mapping[str, str]) -> str:
        """Take a word and return the value of the definition (`VOLTage`) that it spells."""
        text = self._next()
        for word, value in allowed.items():
            if text.upper() in Mnemonic.parse(word).forms():
                return value
        raise ScpiError(-224, text)

    def string(self) -> str:
        """Take a string in single or double quotes."""
        text = self._next()
        match = _STRING.fullmatch(text)
        if not match:
            raise ScpiError(-104, text)
        return match[2].replace("''", "'") if match[1] is None else match[1].replace('""', '"')
