"""Which CT is on the conductor shows in which port reads it."""

from __future__ import annotations

import pytest

from mfg.calibration.one_ct import check_only_asked, check_way_round

QUIET = dict.fromkeys(range(1, 7), 0.0005)


def test_the_port_that_was_asked_for_may_read_the_conductor_alone():
    assert check_only_asked(3, QUIET | {3: 5.9}, 6) is None
    assert check_only_asked(3, QUIET | {3: 3.0, 4: 0.49}, 6) is None
    assert check_only_asked(3, QUIET | {3: 0.99}, 1) is None


@pytest.mark.parametrize("asked_reads", [0.0, 6.0])
def test_another_port_that_reads_it_is_named_with_the_one_that_was_asked_for(asked_reads):
    finding = check_only_asked(2, QUIET | {2: asked_reads, 5: 6.01}, 6)
    assert finding is not None
    assert (finding.name, finding.culprit) == ("wrong_ct", "fixture")
    assert finding.message.startswith(
        "Port 5 reads 6.01 times the reference's current, but the CT of port 2 was asked for: the wrong CT"
    )


def test_one_pass_of_the_conductor_through_another_ct_counts_as_reading():
    finding = check_only_asked(2, QUIET | {2: 6.0, 6: -0.97}, 6)
    assert finding is not None
    assert (finding.value, finding.limit) == (-0.97, 0.5)


def test_an_offset_that_an_untested_port_still_has_is_no_conductor():
    """At the low point, 0.167 A at the reference, with the largest zero of a good unit, 0.06 A."""
    assert check_only_asked(2, QUIET | {2: 6.0, 6: 0.06 / 0.167}, 6) is None


@pytest.mark.parametrize("asked_reads", [0.0, 2.9])
def test_a_conductor_that_no_port_reads_speaks_against_the_hand_that_placed_the_ct(asked_reads):
    finding = check_only_asked(4, QUIET | {4: asked_reads}, 6)
    assert finding is not None
    assert (finding.name, finding.culprit) == ("ct_sees_nothing", "fixture")
    assert finding.message.startswith(f"Port 4 reads {asked_reads:.2f} times")


@pytest.mark.parametrize("direction", [1, -1])
def test_a_ct_that_is_the_other_way_round_speaks_against_that_hand_too(direction):
    assert check_way_round(3, 12420.0 * direction, direction) is None
    finding = check_way_round(3, -12420.0 * direction, direction)
    assert finding is not None
    assert (finding.name, finding.culprit) == ("ct_turned", "fixture")
    assert "Port 3 reads" in finding.message
    assert check_way_round(3, 0.0, direction) is not None
