"""One slice of Haxby et al. 2001 (doi:10.1126/science.1063736), from the NIfTI file to what the categories' patterns say."""

from pathlib import Path

import numpy as np
import pytest

import rsa
from neurodata import PatternSet, cache
from neurodata.fmri import BLOCK_OPTIONS, FmriOptions, block_patterns, block_runs, noise_residuals, patterns

CATEGORIES = ("bottle", "cat", "chair", "face", "house", "scissors", "scrambledpix", "shoe")


@pytest.fixture(scope="module")
def haxby() -> dict[str, Path]:
    folder = cache.data_path() / "haxby_slice"
    files = {"bold": folder / "bold.nii.gz", "attributes": folder / "attributes_literal.txt", "mask": folder / "mask.nii.gz"}
    for path in files.values():
        if not path.is_file():
            pytest.skip(f"{path} is not there: set {cache.ENVIRONMENT_VARIABLE} to a folder with haxby_slice")
    return files


def split_halves(found: PatternSet) -> np.ndarray:
    """Correlate each category's mean pattern of odd runs with each of even runs."""
    runs = found.patterns_by_run()[0]
    return np.corrcoef(runs[::2].mean(axis=0), runs[1::2].mean(axis=0))[:8, 8:]


def within_and_between(correlations: np.ndarray) -> tuple[float, float]:
    return float(np.diag(correlations).mean()), float(correlations[~np.eye(8, dtype=bool)].mean())


def identified(correlations: np.ndarray) -> int:
    return int((correlations.argmax(axis=1) == np.arange(8)).sum())


def test_mean_volumes_of_blocks(haxby, tmp_path):
    found = block_patterns(haxby["bold"], haxby["attributes"], {"mask": haxby["mask"]}, cache=tmp_path)["mask"]
    assert found.conditions == CATEGORIES and found.n_channels == (530,)
    assert found.patterns_by_run()[0].shape == (12, 8, 530)
    correlations = split_halves(found)
    assert within_and_between(correlations) == pytest.approx((0.63, 0.33), abs=0.01)
    assert identified(correlations) == 6 and identified(correlations.T) == 7
    linear = FmriOptions(**{**vars(BLOCK_OPTIONS), "drift_order": 1})
    found = block_patterns(haxby["bold"], haxby["attributes"], {"mask": haxby["mask"]}, linear, cache=tmp_path)["mask"]
    assert within_and_between(split_halves(found)) == pytest.approx((0.61, 0.29), abs=0.01)


def test_a_model_of_the_haemodynamic_response_finds_the_categories_too(haxby, tmp_path):
    options = FmriOptions(output="beta", noise_model="ols", drift="polynomial", drift_order=3, standardize="zscore_sample")
    found = block_patterns(haxby["bold"], haxby["attributes"], {"mask": haxby["mask"]}, options, cache=tmp_path)["mask"]
    correlations = split_halves(found)
    assert within_and_between(correlations) == pytest.approx((0.63, 0.42), abs=0.01)
    assert identified(correlations) >= 6 and identified(correlations.T) >= 6


def test_defaults_for_brief_events_find_less_in_long_blocks(haxby, tmp_path):
    # whitening and a cut-off of 0.01 Hz both take from what is slow, and a block is
    found = block_patterns(haxby["bold"], haxby["attributes"], {"mask": haxby["mask"]}, FmriOptions(), cache=tmp_path)["mask"]
    assert within_and_between(split_halves(found)) == pytest.approx((0.49, 0.36), abs=0.01)


def test_faces_and_houses_are_far_apart(haxby, tmp_path):
    regions = {"mask": haxby["mask"]}
    runs = block_runs(haxby["bold"], haxby["attributes"])
    options = FmriOptions(output="beta", noise_model="ols", drift="polynomial", drift_order=2)
    found = patterns(runs, regions, options, tmp_path)["mask"]
    left = noise_residuals(runs, regions, options)["mask"]["01"]
    assert left.values.shape == (1452, 530)
    by_run = found.patterns_by_run()[0]
    pairs = [(CATEGORIES[i], CATEGORIES[j]) for i in range(8) for j in range(i + 1, 8)]
    plain = dict(zip(pairs, rsa.crossnobis(by_run), strict=True))
    assert max(plain, key=plain.get) == ("face", "house")
    assert plain["face", "house"] > 3 * np.median(list(plain.values())) > 0
    noise = rsa.noise_precision(left.values, degrees_of_freedom=left.degrees_of_freedom)
    whitened = dict(zip(pairs, rsa.crossnobis(by_run, noise), strict=True))
    assert min(whitened.values()) > 0
    assert sorted(whitened, key=whitened.get).index(("face", "house")) >= 21  # among the farthest quarter of 28 pairs
    alike = [("bottle", "scissors"), ("cat", "chair"), ("bottle", "shoe"), ("bottle", "chair")]
    assert whitened["face", "house"] > 1.5 * max(whitened[pair] for pair in alike)
