"""A unit's network interface; that it carries the address is shown in test_appendix_b_network.py."""

import pytest

from mfg.emulator.interface import NetworkInterface
from mfg.errors import StationError


@pytest.mark.parametrize("up", [True, False])
def test_an_interface_that_cannot_be_switched_is_named(up):
    with pytest.raises(StationError, match="interface no-such-if cannot be switched"):
        NetworkInterface("no-such-if", "10.0.0.2").follow(up)
