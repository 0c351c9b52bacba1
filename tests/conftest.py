"""How hard the property tests try, and who of several workers runs what.

Property tests take the same examples every time in CI, many new ones in `nox -s fuzz`.
"""

import pytest
from hypothesis import HealthCheck, settings

_ANY_MACHINE = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}

settings.register_profile("ci", derandomize=True, database=None, **_ANY_MACHINE)
settings.register_profile("fuzz", max_examples=3000, print_blob=True, **_ANY_MACHINE)
settings.load_profile("ci")  # `--hypothesis-profile` comes later and wins

RUNNING = ("unit", "station", "bench", "usual", "plain")  # names of fixtures that start one
FIRST = ("passed", "slow")  # fixture or marker


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Keep the tests of one running unit on one worker, which starts it once, and begin with the longest."""
    for item in items:
        group = _running_unit(item)
        if group:
            item.add_marker(pytest.mark.xdist_group(group))
    items.sort(
        key=lambda item: next((turn for turn, name in enumerate(FIRST) if _has(item, name)), len(FIRST))
    )


def _running_unit(item):
    """Return what tells the running unit that a test shares from others, None for a test with its own."""
    if "passed" in item.fixturenames:
        return "passed"
    # pytest has no public way to ask for a fixture's scope.
    fixtures = item._fixtureinfo.name2fixturedefs
    shared = [name for name in RUNNING if name in fixtures and fixtures[name][-1].scope == "module"]
    return f"{item.path.stem}:{shared[0]}" if shared else None


def _has(item, name):
    return name in item.fixturenames or item.get_closest_marker(name) is not None
