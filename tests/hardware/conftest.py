"""Tests on a real bench: skipped unless a station file is given with --station."""

import pytest


def pytest_addoption(parser):
    parser.addoption("--station", default="", help="station file of a real bench; nothing runs without it")


@pytest.fixture
def station(request):
    path = request.config.getoption("--station")
    if not path:
        pytest.skip("no real bench: give its file with --station")
    return path
