"""The run's log: what the station's own loggers, OpenHTF and the unit's console said, secrets masked."""

from __future__ import annotations

import datetime
import json
import logging
from collections.abc import Sequence
from types import TracebackType

from openhtf.core import test_record as htf_record

MASK = "****"
MAX_LINES = 20000


class RunLog(logging.Handler):
    """Collects the lines of the `mfg` loggers while a `with` block runs."""

    def __init__(self, secrets: Sequence[str]) -> None:
        super().__init__(logging.DEBUG)
        # As it is, and as JSON writes it: a line may quote what was sent to the unit.
        self._secrets = [form for secret in secrets if secret for form in (secret, json.dumps(secret)[1:-1])]
        self._lines: list[tuple[float, str]] = []
        self._logger = logging.getLogger("mfg")
        self._level = self._logger.level

    def __enter__(self) -> RunLog:
        self._logger.addHandler(self)
        self._logger.setLevel(logging.DEBUG)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._logger.removeHandler(self)
        self._logger.setLevel(self._level)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line; the oldest go when there are too many."""
        try:
            text = f"{record.levelname} {record.name}: {self.format(record)}"
        except (TypeError, ValueError):
            self.handleError(record)  # arguments that do not fit the message are no reason to end a run
            return
        self._lines.append((record.created, text))
        del self._lines[:-MAX_LINES]

    def text(self, test_record: htf_record.TestRecord, console_lines: Sequence[str]) -> str:
        """Return everything in the order of time, then the unit's console."""
        lines = list(self._lines)
        for entry in test_record.log_records:
            level = logging.getLevelName(entry.level)
            lines.append((entry.timestamp_millis / 1000, f"{level} {entry.logger_name}: {entry.message}"))
        lines.sort(key=lambda line: line[0])
        shown = [f"{_utc(created)} {text}" for created, text in lines]
        return self._masked("\n".join([*shown, "", "Console of the unit:", *console_lines, ""]))

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text


def _utc(created: float) -> str:
    moment = datetime.datetime.fromtimestamp(created, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
