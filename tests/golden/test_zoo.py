"""Small models of other kinds than test_models.py has; all of them: make zoo."""

import pytest

import zoo


@pytest.mark.parametrize("name", ["pitch", "silero_v6", "mos_p808", "mos_loss", "orientation"])
def test_zoo(name):
    error, limit, _, _ = zoo.measure(name, runs=0)
    assert error <= limit
