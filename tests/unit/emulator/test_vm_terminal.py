"""What the VM prints is shown as a Pico W would print it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfg.emulator.unix_vm import VmIdentity
from mfg.emulator.vm_terminal import RAW_PROMPT, ConsoleFilter

OWN = "MicroPython 9458e3a23f on 2026-07-05; linux [GCC 14.2.1] version"
IDENTITY = VmIdentity("v1.29.0-preview.g9458e3a23f", "2026-07-05", OWN)
SHOWN = b"MicroPython v1.29.0-preview.g9458e3a23f on 2026-07-05; Raspberry Pi Pico W with RP2040"
BANNER_REST = b'\r\nType "help()" for more information.\r\n>>> '


def _through(filter_: ConsoleFilter, data: bytes, cuts: list[int] | None = None) -> bytes:
    edges = [0, *sorted(cuts or []), len(data)]
    shown = b"".join(filter_.feed(data[a:b]) for a, b in itertools.pairwise(edges))
    return shown + filter_.flush()


def test_banner_names_the_machine_that_is_played():
    shown = _through(ConsoleFilter(IDENTITY, raw=False), OWN.encode() + BANNER_REST)
    assert shown == SHOWN + BANNER_REST


def test_lines_of_a_program_end_as_on_the_wire():
    filter_ = ConsoleFilter(IDENTITY, raw=False)
    assert _through(filter_, b"one\ntwo\r\nthree\n") == b"one\r\ntwo\r\nthree\r\n"


def test_bytes_in_the_raw_prompt_pass_unchanged():
    filter_ = ConsoleFilter(IDENTITY, raw=False)
    assert (
        _through(filter_, b">>> " + RAW_PROMPT + b"OK\n\x00\xff\x04")
        == b">>> " + RAW_PROMPT + b"OK\n\x00\xff\x04"
    )
    assert filter_.raw


def test_the_friendly_banner_ends_the_raw_prompt():
    filter_ = ConsoleFilter(IDENTITY, raw=False)
    _through(filter_, RAW_PROMPT + b"\r\n" + OWN.encode() + BANNER_REST)
    assert not filter_.raw


def test_after_a_soft_reset_in_the_raw_prompt_the_way_back_is_hidden():
    filter_ = ConsoleFilter(IDENTITY, raw=True)
    shown = _through(filter_, b"boot.py says\n" + OWN.encode() + BANNER_REST + b"\r\n" + RAW_PROMPT)
    assert shown == b"boot.py says\r\n" + RAW_PROMPT
    assert filter_.raw


@given(st.lists(st.integers(0, 300), max_size=12), st.booleans())
def test_the_cuts_between_reads_do_not_show(cuts, raw):
    data = (
        b"a\nMicro\r\n"
        + OWN.encode()
        + BANNER_REST
        + b"x\n\r\n"
        + RAW_PROMPT
        + b"OK\n\r"
        + OWN.encode()
        + b"\nend\n"
    )
    cuts = [cut for cut in cuts if cut < len(data)]
    whole = _through(ConsoleFilter(IDENTITY, raw), data)
    assert _through(ConsoleFilter(IDENTITY, raw), data, cuts) == whole


@pytest.mark.parametrize("end", [b"M", b"MicroPython ", b"raw REPL; CTRL-B"])
def test_what_only_begins_like_a_marker_is_held_back_and_then_shown(end):
    filter_ = ConsoleFilter(IDENTITY, raw=False)
    assert filter_.feed(b"text " + end) == b"text "
    assert filter_.holding
    assert filter_.flush() == end
    assert not filter_.holding
