"""What is known of the 92 objects, by our own distances, reference models and comparators.

Kriegeskorte et al. 2008, doi:10.1016/j.neuron.2008.10.043 (patterns, images on grey); Cichy, Pantazis and Oliva 2014,
doi:10.1038/nn.3635 (the same objects, fifteen subjects).
"""

import os
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import scipy.stats

import rsa

FOLDER = Path(os.environ.get("BIOPLAUSIBLE_DATA", "absent"))


def _found(name: str) -> Path:
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"{path.name} is not there: set BIOPLAUSIBLE_DATA")
    return path


@pytest.fixture(scope="module")
def supplement():
    return scipy.io.loadmat(_found("kriegeskorte92/Kriegeskorte_Neuron2008_supplementalData.mat"))


@pytest.fixture(scope="module")
def images(supplement):
    return np.stack([stimulus["image"] for stimulus in supplement["stimuli_92objs"][0]])


@pytest.fixture(scope="module")
def animacy(supplement):
    animate = [float(stimulus["animal"][0, 0]) for stimulus in supplement["stimuli_92objs"][0]]
    return rsa.rdm(np.array(animate)[:, None], "euclidean")


@pytest.fixture(scope="module")
def cichy():
    paths = {region: _found(f"cichy92/cichy2014_fmri_{region}_RDMs.npz") for region in ("EVC", "IT")}
    return {region: rsa.to_condensed(np.load(path)["Net_RDM"]) for region, path in paths.items()}


@pytest.fixture(scope="module")
def human_it():
    """Four subjects, the mean of two sessions each."""
    rdms = scipy.io.loadmat(_found("kriegeskorte92/92_brainRDMs.mat"))["RDMs"][0]
    return np.stack([[rsa.to_condensed(one["RDM"]) for one in subject] for subject in rdms]).mean(axis=1)


def _score(model: np.ndarray, data: np.ndarray) -> float:
    return rsa.compare(model[None], data[None])[0, 0]


def test_two_laboratories_agree_on_it(cichy, human_it):
    assert _score(cichy["IT"].mean(axis=0), human_it.mean(axis=0)) == pytest.approx(0.56, abs=0.005)


def test_man_and_monkey_agree_on_it(supplement):
    monkey, human = (one["RDM"][0] for one in supplement["RDMs_mIT_hIT_fig1"][0])
    assert _score(monkey, human) == pytest.approx(0.44, abs=0.005)


def test_ceiling_of_it(human_it):
    assert rsa.noise_ceiling(human_it).lower == pytest.approx(0.38, abs=0.01)


@pytest.mark.parametrize(("region", "expected"), [("IT", 0.47), ("EVC", 0.06)])
def test_it_tells_the_animate_from_the_inanimate(cichy, animacy, region, expected):
    data = cichy[region].mean(axis=0)
    # A model of two values has so many ties that rho-a stays below the tie-corrected coefficient of the literature.
    assert scipy.stats.spearmanr(animacy, data).statistic == pytest.approx(expected, abs=0.006)
    ranks = scipy.stats.rankdata(animacy)
    largest = np.sqrt(np.var(ranks) * 12 / (len(ranks) ** 2 - 1))
    assert _score(animacy, data) == pytest.approx(scipy.stats.spearmanr(animacy, data).statistic * largest, abs=1e-6)


def test_pixels_hardly_explain_early_visual_cortex(images, cichy):
    pixels = rsa.reference_rdms(images, ["pixels"])["pixels"]
    assert _score(pixels, cichy["EVC"].mean(axis=0)) == pytest.approx(0.08, abs=0.005)


def test_gabor_energy_explains_early_visual_cortex_first(images, cichy):
    models = rsa.reference_rdms(images)
    early, late = ({name: _score(one, cichy[region].mean(axis=0)) for name, one in models.items()} for region in ("EVC", "IT"))
    assert early["gabor"] == max(early.values()) and early["gabor"] > late["gabor"] + 0.1
    assert early["gabor"] > early["pixels"] + 0.2 > early["luminance"] + 0.2
