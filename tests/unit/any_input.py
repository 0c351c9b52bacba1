"""Input for the property tests of every parser: valid documents with something wrong in them, and noise.

A parser under test is called through `read_or_refuse`, which holds what all of them promise: what is refused
is refused by an error of the right kind, and its message says what was wrong and is fit for a terminal.

To test another parser: take `json_documents`, `settings_documents` or `broken_bytes` of a document that the
parser accepts, and name the kinds of errors that may leave it.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st

Result = TypeVar("Result")

MESSAGE_LIMIT = 2500
MANY_DIGITS = "9" * 5000

EVIL_TEXTS = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(2)>",
    "</title></style><b>",
    "{{ 7*7 }}",
    "javascript:alert(1)",
    "../../../etc/passwd",
    "/etc/passwd",
    "..",
    "C:\\Windows\\system32",
    "a\x00b",
    "a\r\nb",
    "\x1b[2J\x1b]0;title\x07",
    "\u202egnp.exe",
    "\ufeff",
    "\u0664\u0662",
    "\u00b2",
    "%s%n{0}",
    "Robert'); DROP TABLE runs;--",
    "x" * 20_000,
    "nan",
    "inf",
    "",
    " ",
)
_JSON_TEXTS = tuple(json.dumps(text) for text in EVIL_TEXTS)
_NUMBERS = (
    "0",
    "-0",
    "-1",
    "1",
    "65536",
    "0.5",
    "1.5e300",
    "-1e308",
    "5e-324",
    "1e16",
    "18446744073709551616",
)
JSON_LITERALS = (
    *_JSON_TEXTS,
    *_NUMBERS,
    "1e999",
    "-1e999",
    "1" + "0" * 90,
    MANY_DIGITS,
    f"-{MANY_DIGITS}",
    f"{MANY_DIGITS}.5e-5000",
    "NaN",
    "Infinity",
    "-Infinity",
    "true",
    "false",
    "null",
    "[]",
    "{}",
    "[1]",
    '{"a": 1, "a": 2}',
    '"\\ud800"',
    '"\\udc00 half"',
    '"\\u0000"',
    "[" * 20 + "]" * 20,
    "[" * 600 + "]" * 600,
    "[" * 960 + "]" * 960,
    "[" * 5000 + "]" * 5000,
    '{"a":' * 3000,
    "'text'",
    "# remark",
    "0x10",
    "01",
    "+1",
)
YAML_LITERALS = (
    *_JSON_TEXTS,
    *_NUMBERS,
    "1" + "0" * 400,
    MANY_DIGITS,
    "0x" + "f" * 5000,
    ".inf",
    "-.inf",
    ".nan",
    "true",
    "~",
    "",
    "[]",
    "{}",
    "[1, [2]]",
    "{a: b}",
    "{a: 1, a: 2}",
    '"\\ud800"',
    '"\\0"',
    '"\\U00110000"',
    "[" * 300 + "]" * 300,
    "- " * 3000 + "x",
    "&a [*a]",
    "&a {x: *a}",
    "*nothing",
    "? [a, b]\n: c",
    "!!int ''",
    "!!int '-'",
    "!!float ''",
    "!!bool x",
    "!!timestamp x",
    "!!binary '\u00e9'",
    "!!set {a}",
    "!!python/object/apply:os.system ['true']",
    "!unknown x",
    "1:2:3",
    "2026-02-31",
    "2026-11-20",
    "<<: {a: 1}",
    "%YAML 1." + MANY_DIGITS,
    "---\na: 1",
    "(" * 2000,
    "a{99999999999}",
    "(unclosed",
    "|\n    text",
    "@x",
    "\t",
)
TOML_LITERALS = (
    *_JSON_TEXTS,
    *_NUMBERS,
    MANY_DIGITS,
    "0x" + "f" * 5000,
    "1e999",
    "nan",
    "-nan",
    "inf",
    "-inf",
    "true",
    "",
    "[]",
    "{}",
    "[1, [2]]",
    "{a = 1}",
    "{a = 1, a = 2}",
    '"\\ud800"',
    '"\\u0000"',
    "[" * 3000,
    "[" * 300 + "]" * 300,
    "{a = " * 400,
    "2026-02-31",
    "2026-11-20",
    "2026-11-20T12:00:00Z",
    "07:32:00",
    "'(' ",
    "'" + "(" * 2000 + "'",
    "'a{99999999999}'",
    "'(unclosed'",
    "'''\ntext'''",
)
_RAW = re.compile(r'"@raw(\d+)@"')
_TEXT_PIECES = ("\0", "\ufeff", "\ud800", '"', "'", "{", "[", "]}", ",", "\r\n", "<", "&")
_PIECES = (
    *(piece.encode("utf-8", "surrogatepass") for piece in _TEXT_PIECES),
    b"\n",
    b"9" * 40,
    b"\xff\xfe",
    b"\x80",
    b"\xc3",
    b"\x1a",
)


def one_in(share: int) -> settings:
    """Return settings with a share of the examples that the profile asks for, for what takes its time."""
    return settings(max_examples=max(settings.default.max_examples // share, 5))


def read_or_refuse(
    read: Callable[[], Result], *kinds: type[Exception], place: str = "", longest: int = MESSAGE_LIMIT
) -> Result | None:
    """Read, or be refused in the way that every parser promises.

    Args:
        read: Calls the parser.
        kinds: What it may raise; anything else goes through and fails the test.
        place: What the message of a refusal must hold.
        longest: How many characters a message may have.

    Returns:
        What was read; None when it was refused.
    """
    try:
        return read()
    except kinds as error:
        message = str(error)
    assert message.strip()
    assert place in message, message
    assert "Traceback" not in message, message
    assert "int_max_str_digits" not in message, message
    assert len(message) <= longest, f"{len(message)} characters: {message[:300]}"
    assert all(mark.isprintable() or mark == "\n" for mark in message), repr(message)
    return None


@st.composite
def broken_bytes(draw: st.DrawFn, *documents: bytes) -> bytes:
    """Draw one of the documents with one to four things done to its bytes."""
    data = bytearray(draw(st.sampled_from(documents)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        until = min(len(data), at + draw(st.integers(1, 40)))
        act = draw(st.sampled_from(("cut", "flip", "drop", "double", "insert", "noise")))
        if act == "cut":
            del data[at:]
        elif act == "flip" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif act == "drop":
            del data[at:until]
        elif act == "double":
            data[at:at] = data[at:until]
        elif act == "insert":
            data[at:at] = draw(st.sampled_from(_PIECES))
        elif act == "noise":
            data[at:until] = draw(st.binary(max_size=40))
    return bytes(data)


@st.composite
def changed_tree(draw: st.DrawFn, tree: Any, values: st.SearchStrategy[Any]) -> Any:
    """Draw a copy of a JSON value with one to three places that hold something else, are gone or renamed."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, 3))):
        holder = _holder(draw, tree)
        if not holder:
            return draw(values)
        places = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        place = draw(st.sampled_from(places))
        act = draw(st.sampled_from(("replace", "replace", "replace", "remove", "add", "rename", "swap")))
        if act == "replace":
            holder[place] = draw(values)
        elif act == "remove":
            del holder[place]
        elif isinstance(holder, list):
            holder.append(copy.deepcopy(holder[place]))
        elif act == "add":
            holder[draw(st.sampled_from(EVIL_TEXTS))] = draw(values)
        elif act == "rename":
            holder[place.lower() if place.lower() != place else f"{place}_"] = holder.pop(place)
        else:
            other = draw(st.sampled_from(places))
            holder[place], holder[other] = holder[other], holder[place]
    return tree


def _holder(draw: st.DrawFn, tree: Any) -> Any:
    """Go down the tree by chance; return the object or list in which something is to be changed."""
    while isinstance(tree, dict | list) and tree:
        inner = [
            item
            for item in (tree.values() if isinstance(tree, dict) else tree)
            if isinstance(item, dict | list)
        ]
        inner = [item for item in inner if item]
        if not inner or not draw(st.integers(0, 3)):
            return tree
        tree = draw(st.sampled_from(inner))
    return tree if isinstance(tree, dict | list) else None


@st.composite
def json_documents(draw: st.DrawFn, *trees: Any) -> bytes:
    """Draw the text of one of the trees with something wrong in it, or its bytes broken."""
    literals = st.integers(0, len(JSON_LITERALS) - 1).map(lambda number: f"@raw{number}@")
    tree = draw(changed_tree(draw(st.sampled_from(trees)), literals))
    text = _RAW.sub(lambda match: JSON_LITERALS[int(match[1])], json.dumps(tree))
    if draw(st.integers(0, 9)) == 0:
        text = re.sub(r'("[^"]+": [^,{}\[\]]+)', r"\1, \1", text, count=1)  # a key twice
    data = text.encode()
    return draw(broken_bytes(data)) if draw(st.integers(0, 3)) == 0 else data


@st.composite
def settings_documents(
    draw: st.DrawFn, text: str, separator: str, literals: Sequence[str] = YAML_LITERALS
) -> bytes:
    """Draw a settings file with one to three lines changed, or its bytes broken.

    Args:
        draw: Given by hypothesis.
        text: A valid file.
        separator: What stands between key and value: ":" in YAML, "=" in TOML.
        literals: What values are replaced by.
    """
    lines = text.splitlines()
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        act = draw(st.sampled_from(("value", "value", "value", "drop", "double", "insert", "indent", "key")))
        head, mark, _ = lines[at].partition(separator)
        if act == "value" and mark:
            lines[at] = f"{head}{mark} {draw(st.sampled_from(literals))}"
        elif act == "drop" and len(lines) > 1:
            del lines[at]
        elif act == "double":
            lines.insert(at, lines[at])
        elif act == "insert":
            lines.insert(at, draw(st.sampled_from(literals)))
        elif act == "indent":
            lines[at] = "  " + lines[at]
        elif act == "key" and mark:
            name = draw(st.sampled_from(("unknown", "<<", "? [a]", "a.b.c", "'*'")))
            lines[at] = f"{name}{mark}{lines[at]}"
    data = "\n".join(lines).encode("utf-8", "surrogatepass") + b"\n"
    return draw(broken_bytes(data)) if draw(st.integers(0, 3)) == 0 else data
