"""One log per run: the station's lines, OpenHTF's and the unit's console, without a secret."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import pytest

from mfg.runner import log as log_module
from mfg.runner.log import MASK, RunLog

SECRET = 'pass"phrase\\1'


@dataclass(frozen=True)
class Line:
    level: int
    logger_name: str
    timestamp_millis: int
    message: str


@dataclass
class FakeRecord:
    log_records: list[Line] = field(default_factory=list)


def text_of(log: RunLog, lines: Any = (), console: Any = ()) -> str:
    record: Any = FakeRecord(list(lines))
    return log.text(record, list(console))


def test_lines_of_the_stations_loggers_are_kept_while_the_run_lasts():
    logger = logging.getLogger("mfg.fixtures.somewhere")
    with RunLog(()) as log:
        logger.debug("during %s", "the run")
        logging.getLogger("elsewhere").warning("not ours")
    logger.warning("after the run")
    text = text_of(log)
    assert "DEBUG mfg.fixtures.somewhere: during the run" in text
    assert "not ours" not in text
    assert "after the run" not in text


def test_the_level_from_before_is_back_afterwards():
    logger = logging.getLogger("mfg")
    before = logger.level
    with RunLog(()):
        assert logger.level == logging.DEBUG
    assert logger.level == before
    assert not any(isinstance(handler, RunLog) for handler in logger.handlers)


def test_lines_come_in_the_order_of_time_and_the_console_after_them():
    later, earlier = Line(20, "openhtf.a", 2_000_500, "later"), Line(40, "openhtf.b", 1_000_250, "earlier")
    shown = text_of(RunLog(()), [later, earlier], ["0.1 booting", "0.2 ready"]).splitlines()
    assert shown == [
        "1970-01-01T00:16:40.250Z ERROR openhtf.b: earlier",
        "1970-01-01T00:33:20.500Z INFO openhtf.a: later",
        "",
        "Console of the unit:",
        "0.1 booting",
        "0.2 ready",
    ]


def test_a_secret_shows_nowhere_not_even_as_json_writes_it():
    with RunLog((SECRET, "")) as log:
        logging.getLogger("mfg.x").info("joining with %s", SECRET)
    line = Line(20, "openhtf.plug", 0, '{"PASSWD": "pass\\"phrase\\\\1"}')
    text = text_of(log, [line], [f"console {SECRET}"])
    assert "phrase" not in text
    assert text.count(MASK) == 3


def test_a_traceback_is_kept():
    with RunLog(()) as log:
        try:
            int("seven")
        except ValueError:
            logging.getLogger("mfg.x").exception("it failed")
    text = text_of(log)
    assert "ERROR mfg.x: it failed" in text
    assert "ValueError: invalid literal" in text


def test_the_oldest_lines_go_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(log_module, "MAX_LINES", 3)
    with RunLog(()) as log:
        for number in range(5):
            logging.getLogger("mfg.x").info("line %d", number)
    text = text_of(log)
    assert "line 1" not in text
    assert all(f"line {number}" in text for number in (2, 3, 4))


def test_a_line_whose_arguments_do_not_fit_does_not_end_the_run(monkeypatch, capsys):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    with RunLog(()) as log:
        logging.getLogger("mfg.x").info("%d", "seven")
        logging.getLogger("mfg.x").info("next")
    assert "next" in text_of(log)


@pytest.mark.parametrize("secrets", [(), ("",)])
def test_no_secret_masks_nothing(secrets):
    assert MASK not in text_of(RunLog(secrets), [], ["a line"])
