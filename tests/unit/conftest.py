"""Records for the tests of the store and of the reports."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from record_builder import build_calibrated_record, build_record

from mfg.records.record import Record


@pytest.fixture(scope="session")
def make_record() -> Callable[..., Record]:
    """Give a builder of valid records."""
    return build_record


@pytest.fixture(scope="session")
def make_calibrated_record() -> Callable[..., Record]:
    """Give a builder of valid records of a calibration at three loads."""
    return build_calibrated_record
