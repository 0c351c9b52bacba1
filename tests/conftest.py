"""How hard the property tests try: the same examples every time in CI, many new ones in `nox -s fuzz`."""

from hypothesis import HealthCheck, settings

_ANY_MACHINE = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}

settings.register_profile("ci", derandomize=True, database=None, **_ANY_MACHINE)
settings.register_profile("fuzz", max_examples=3000, print_blob=True, **_ANY_MACHINE)
settings.load_profile("ci")  # `--hypothesis-profile` comes later and wins
