"""Facts known of the 92 objects of Cichy, Pantazis and Oliva 2014, doi:10.1038/nn.3635."""

import os
from pathlib import Path

import jax
import numpy as np
import pytest

import rsa

FOLDER = Path(os.environ.get("BIOPLAUSIBLE_DATA", "absent")) / "cichy92"


@pytest.fixture(scope="module")
def regions():
    paths = {region: FOLDER / f"cichy2014_fmri_{region}_RDMs.npz" for region in ("EVC", "IT")}
    for path in paths.values():
        if not path.exists():
            pytest.skip(f"{path.name} is not there: set BIOPLAUSIBLE_DATA")
    return {region: rsa.to_condensed(np.load(path)["Net_RDM"]) for region, path in paths.items()}


@pytest.mark.parametrize(("region", "expected"), [("EVC", 0.24), ("IT", 0.45)])
def test_leave_one_out_ceilings(regions, region, expected):
    assert regions[region].shape == (15, 4186)
    ceiling = rsa.noise_ceiling(regions[region])
    assert ceiling.lower == pytest.approx(expected, abs=0.01)
    assert ceiling.lower < ceiling.upper and ceiling.withheld == ""


def test_the_mean_of_a_region_wins_at_home(regions):
    means = np.stack([regions["EVC"].mean(axis=0), regions["IT"].mean(axis=0)])
    evaluation = rsa.evaluate(jax.random.key(0), means, regions["IT"], n_draws=100)
    assert evaluation.mean[1] > evaluation.mean[0]
    difference = rsa.contrast(evaluation, 1, 0)
    assert difference.lower > 0 and difference.p_value < 0.001
