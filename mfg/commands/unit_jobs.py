"""`mfg unit config`, `apps`, `reboot` and `power-cycle`: one job on one unit over the network."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mfg.clock import BenchClock
from mfg.commands.unit_arguments import Wanted
from mfg.commands.unit_target import Place, Target, find_target, held, open_place
from mfg.errors import DutError, FixtureError, UsageError
from mfg.fixtures.dut_api import DutApi
from mfg.fixtures.unit_config import ConfigRule, ConfigValue, load_rules, typed
from mfg.fixtures.unit_files import UnitFiles
from mfg.limits import load_limits
from mfg.records.factory_file import FACTORY_KEYS, mask_secrets

LIMITS_FILE = Path(__file__).resolve().parents[1] / "limits" / "ct6.toml"
UPTIME_POLL_S = 0.5
UPTIME_TIMEOUT_S = 2.0
# Uptimes are whole seconds; a unit that restarted lags at least the 3 s behind after which it answers.
RESTARTED_S = 2.0
APPS = ("/app1", "/app2")


def config_get(console: Console, station_path: Path, wanted: Wanted, keys: Sequence[str]) -> int:
    """Print the unit's configuration, or some keys of it, secrets masked."""
    target = find_target(open_place(station_path), wanted)
    held_values = mask_secrets(target.api.config())
    missing = [key for key in keys if key not in held_values]
    if missing:
        raise UsageError(
            f"The unit at {target.address} has no key {missing[0]}.", "Give none to see them all."
        )
    for key in keys or sorted(held_values):
        console.print(f"{key} = {json.dumps(held_values[key])}", markup=False, soft_wrap=True)
    return 0


def config_set(console: Console, station_path: Path, wanted: Wanted, pairs: Sequence[str]) -> int:
    """Write configuration values, each checked against the contract before anything is sent.

    Raises:
        UsageError: An unknown key or a value that it may not hold; nothing was sent.
    """
    values = _values(pairs, load_rules())
    place = open_place(station_path)
    target = find_target(place, wanted)
    with held(place, target.slot):
        target.api.set_config(values)
    console.print(f"{target.address} holds {', '.join(values)}.", soft_wrap=True)
    if set(values) & set(FACTORY_KEYS):
        console.print(
            "In force after the chips' next start. A unit that has a factory.cfg starts with its values."
        )
    return 0


def _values(pairs: Sequence[str], rules: dict[str, ConfigRule]) -> dict[str, ConfigValue]:
    values: dict[str, ConfigValue] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise UsageError(f"{pair!r} is not KEY=VALUE.")
        if key not in rules:
            raise UsageError(
                f"A unit has no key {key!r} that may be written.", "firmware/contract.toml has them."
            )
        values[key] = typed(text, rules[key])
        rules[key].check(key, values[key])
    return values


def apps(console: Console, station_path: Path, wanted: Wanted) -> int:
    """Print which application runs after the next start, what the other folder holds, and the versions."""
    target = find_target(open_place(station_path), wanted)
    api = target.api
    active = _folder(api, "/get_active_app_folder", "ACTIVE_APP_FOLDER")
    modules = {path.rpartition(".")[0] for path in UnitFiles(api).list()}
    table = Table("folder", "after the next start", "holds")
    for folder in APPS:
        holds = "an application" if f"{folder}/app" in modules else "no application"
        table.add_row(folder, "runs" if folder == active else "", holds)
    console.print(f"{target.address}: firmware {api.firmware_version()} runs, for {api.uptime_s():.0f} s")
    console.print(table)
    return 0


def _folder(api: DutApi, path: str, key: str) -> str:
    data = api.get(path)
    folder = data.get(key) if isinstance(data, dict) else None
    if folder not in APPS:
        raise DutError(f"The unit answers {path} with {str(data)[:80]}.", "Reject the unit if it repeats.")
    return str(folder)


def reboot(console: Console, station_path: Path, wanted: Wanted) -> int:
    """Restart the unit's processor and wait until it measures again."""
    return _restart(console, station_path, wanted, lambda api: api.get("/reboot"))


def power_cycle(console: Console, station_path: Path, wanted: Wanted) -> int:
    """Let the unit cut its own supply, and wait until it measures again."""
    return _restart(console, station_path, wanted, lambda api: api.power_cycle())


def _restart(console: Console, station_path: Path, wanted: Wanted, ask: Callable[[DutApi], object]) -> int:
    place = open_place(station_path)
    timeout_s = load_limits(LIMITS_FILE).deadline_s("power_cycle_s")
    target = find_target(place, wanted)
    with held(place, target.slot):
        took_s = _restarted_s(place, target, ask, timeout_s)
    console.print(f"{target.address} restarted; it measures again after {took_s:.1f} s.")
    return 0


def _restarted_s(place: Place, target: Target, ask: Callable[[DutApi], object], timeout_s: float) -> float:
    """Ask for a restart; return after which time the unit, restarted for certain, gave valid readings.

    Raises:
        DutError: The unit did not restart, or does not measure afterwards. FixtureError: No answer.
    """
    clock = place.clock
    before_s, asked_s = target.api.uptime_s(), clock.now_s()
    ask(target.api)
    deadline = clock.deadline(timeout_s)
    while not _has_restarted(target.api, clock, before_s - asked_s):
        if deadline.expired():
            raise DutError(
                f"The unit at {target.address} did not restart within {timeout_s:g} s, or no longer answers.",
                "Try `mfg unit power-cycle`, then its supply.",
            )
        clock.sleep_s(UPTIME_POLL_S)
    target.api.wait_ready(max(deadline.remaining_s(), UPTIME_TIMEOUT_S))
    return clock.now_s() - asked_s


def _has_restarted(api: DutApi, clock: BenchClock, uptime_offset_s: float) -> bool:
    """Return whether the unit's uptime lags behind what it would be without a restart."""
    try:
        uptime_s = api.uptime_s(UPTIME_TIMEOUT_S)
    except (FixtureError, DutError):
        return False  # it is down, or on its way up; the deadline is the caller's
    return uptime_s + RESTARTED_S < clock.now_s() + uptime_offset_s
