"""Which application a unit runs, and whether its settings are what they were."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from mfg.fixtures.dut_api import DutApi
from mfg.fixtures.dut_apps import DutApps
from mfg.fixtures.traveller import Application
from mfg.records.factory_file import CALIBRATION_KEYS, MASK, mask_secrets

TRIAL_FEATURE, SNAPSHOT_FEATURE, PHASE_FEATURE = "trial", "snapshot", "phase"


def running_application(api: DutApi) -> Application:
    """Ask which application answers.

    The original's interface says only which one the next start takes: right after a start it is the one that
    runs, and its version and features tell it from another kind.

    Raises:
        FixtureError, DutError: The unit does not answer, or with what cannot be.
    """
    features = api.features()
    apps = DutApps(api)
    folder = apps.state().running if TRIAL_FEATURE in features else apps.active_folder()
    return Application(folder, api.firmware_version(), features)


def changed_settings(
    before: Mapping[str, Any], after: Mapping[str, Any], ignored: Collection[str] = ()
) -> list[str]:
    """Compare two configurations of one unit, numbers by their value; which application starts is no setting.

    Args:
        before, after: By key; secrets masked or not.
        ignored: Keys that do not count.

    Returns:
        Keys that differ or are gone, sorted; new ones are no change.
    """
    old, new = mask_secrets(dict(before)), mask_secrets(dict(after))
    compared = set(old) - {"APP", *ignored}
    return sorted(key for key in compared if key not in new or old[key] != new[key])


def not_carried_over(old_features: Collection[str]) -> Collection[str]:
    """Return the keys that our firmware takes over from no other: what only it calibrates starts at zero.

    Another firmware's voltage offsets are no calibration but a default (ct6-interface 5.1 and 7.2).
    """
    return () if PHASE_FEATURE in old_features else CALIBRATION_KEYS


def hidden_settings(before: Mapping[str, Any]) -> str:
    """Say which secrets of a configuration could not be compared by their value."""
    hidden = ["MQTT_PASSWORD"] if mask_secrets(dict(before)).get("MQTT_PASSWORD") == MASK else []
    return ", ".join(["the WiFi password (the unit joined with it)", *hidden])
