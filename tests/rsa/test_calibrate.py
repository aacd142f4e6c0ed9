"""A small version of `make calibrate`: every check runs, and none is wrong far more often than it says."""

import pytest
from calibrate import bounds, calibrate, picture, power, to_markdown


@pytest.mark.thorough
def test_every_check_runs_and_none_is_far_off():
    lines = []
    table = calibrate(24, lines.append)
    assert len(lines) == len(table) and table["check"].is_unique
    # With so few studies a rate of five percent stays below one in four in all but one of ten thousand runs.
    assert (table.loc[table["nominal"] == 0.05, "rate"] <= 0.25).all(), table
    curve = power(12)
    assert curve["found"].iloc[-1] > curve["found"].iloc[0] + 0.3
    text = to_markdown(table, curve, bounds(24))
    assert text.count("\n| ") >= len(table) + len(curve) and picture(table, curve).startswith("<?xml")
