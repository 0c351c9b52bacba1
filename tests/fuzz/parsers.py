"""Fuzz every parser by coverage, with atheris: `nox -s fuzz`, or

    python tests/fuzz/parsers.py CORPUS_FOLDER -max_total_time=60

The first byte of an input chooses the parser, the rest is what it reads. The corpus starts with one valid
document of each. An exception that the parser may not raise, a message that is not fit for a terminal, and a
parser that takes more than its time or memory end the run, with the input in a file: make it a named test
beside the parser.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import atheris

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "unit" / folder) for folder in ("", "fixtures", "records")]

with atheris.instrument_imports(include=["mfg", "yaml", "tomllib"]):
    import test_dut_answers_with_any_input as dut
    import uf2_builder
    from any_input import read_or_refuse
    from record_builder import build_calibrated_record
    from test_certificates_with_any_input import GOOD as CERTIFICATES
    from test_factory_file import good as factory_values

    from mfg.certificates import load_certificates
    from mfg.errors import DutError, StationError, UsageError
    from mfg.fixtures.console import _LineSplitter
    from mfg.fixtures.discovery import parse_answer as parse_datagram
    from mfg.fixtures.dut_http import parse_answer
    from mfg.fixtures.image_manifest import read_manifest
    from mfg.fixtures.scpi import parse_error_entry, parse_identity, parse_number
    from mfg.fixtures.uf2 import read_uf2
    from mfg.limits import load_limits
    from mfg.records.labels import parse_bar_codes, parse_unit_label
    from mfg.records.record import record_from_json
    from mfg.records.restorable import parse_factory_file
    from mfg.reporting.render import render_report
    from mfg.station import load_station
    from mfg.untrusted import parse_json, parse_toml, printable, quoted

SCRATCH = Path(tempfile.mkdtemp()) / "input"


class Parser(NamedTuple):
    """One parser: how it is called, what may leave it, and a document that it accepts."""

    call: Callable[[bytes], Any]
    kinds: tuple[type[Exception], ...]
    document: bytes


def of_file(load: Callable[[Path], Any]) -> Callable[[bytes], Any]:
    """Return a parser of bytes that goes through a file."""

    def call(data: bytes) -> Any:
        SCRATCH.write_bytes(data)
        return load(SCRATCH)

    return call


def of_text(parse: Callable[[str], Any]) -> Callable[[bytes], Any]:
    """Return a parser of bytes that takes each for a character."""
    return lambda data: parse(data.decode("latin-1"))


def shown(data: bytes) -> None:
    """Quote the input in both ways."""
    assert quoted(data).isprintable()
    assert printable(data.decode("utf-8", "surrogateescape")).isprintable()


def lines(data: bytes) -> list[str]:
    """Cut the input into console lines."""
    splitter = _LineSplitter(["secret"])
    return [*splitter.feed(data), *splitter.rest()]


def page(data: bytes) -> str:
    """Render a record that is let through."""
    return render_report(record_from_json(data))


def answer_of(call: str) -> Parser:
    """Return the parser of a unit's answer to one question."""
    return Parser(lambda data: dut.CALLS[call](dut.api(data)), (DutError,), json.dumps(dut.STATS).encode())


TOML = ROOT / "mfg" / "limits" / "ct6.toml"
MANIFEST = ROOT / "firmware" / "images" / "manifest.toml"
PARSERS = (
    Parser(of_file(load_station), (UsageError,), (ROOT / "station.yaml").read_bytes()),
    Parser(of_file(load_limits), (UsageError,), TOML.read_bytes()),
    Parser(of_file(load_certificates), (UsageError,), CERTIFICATES.encode()),
    Parser(of_file(read_manifest), (StationError,), MANIFEST.read_bytes()),
    Parser(of_file(read_uf2), (StationError,), uf2_builder.raw(uf2_builder.micropython())),
    Parser(parse_factory_file, (DutError,), json.dumps(factory_values()).encode()),
    Parser(page, (StationError,), json.dumps(build_calibrated_record()).encode()),
    Parser(parse_datagram, (ValueError,), json.dumps(dut.AYT).encode()),
    Parser(parse_answer, (ValueError,), dut.HEADER + b"{}"),
    Parser(parse_json, (ValueError,), b'{"a": [1, 2.5e3, null, "\\u00fc"]}'),
    Parser(parse_toml, (ValueError,), b'a = 1\n[b]\nc = "x"\n'),
    Parser(of_text(parse_number), (ValueError,), b"+2.31450E+02"),
    Parser(of_text(parse_identity), (ValueError,), b"GWInstek,GPM-8310,GEU000123,V1.05"),
    Parser(of_text(parse_error_entry), (ValueError,), b'-113,"Undefined header"'),
    Parser(of_text(parse_unit_label), (DutError,), b"ASY0398_V003.200_SN00001823"),
    Parser(of_text(lambda text: parse_bar_codes(text, text)), (UsageError,), b"ASY0398V03.2"),
    Parser(lines, (), b"INFO:  Started app\r\n"),
    Parser(shown, (), b"text"),
    *(answer_of(call) for call in sorted(dut.CALLS)),
)


def test_one_input(data: bytes) -> None:
    """Let one parser read one input."""
    if data:
        parser = PARSERS[data[0] % len(PARSERS)]
        read_or_refuse(lambda: parser.call(data[1:]), *parser.kinds)


def main() -> None:
    """Seed the corpus and fuzz until the time is up."""
    corpus = Path(sys.argv[1])
    corpus.mkdir(parents=True, exist_ok=True)
    for number, parser in enumerate(PARSERS):
        (corpus / f"valid-{number}").write_bytes(bytes([number]) + parser.document)
    limits = ["-timeout=20", "-rss_limit_mb=1024", "-max_len=40000", f"-artifact_prefix={corpus}/"]
    atheris.Setup([sys.argv[0], *limits, *sys.argv[1:]], test_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
