import dataclasses

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

import experiments.recordings as recordings
import neurodata
from experiments import stimuli
from experiments.recordings import REFERENCE_LAYER, REFERENCE_REGION, load_recording
from experiments.training import train

SMALL = {
    "epochs": 1,
    "n_train": 200,
    "batch_size": 32,
    "architecture_options": {"channels": (4, 4), "hidden": (8,), "activation": "tanh"},
}


@pytest.fixture(scope="module")
def simulated():
    """The simulated recording, its reference network made small, and that network."""
    references = []

    def small(config, progress=None):
        references.append((config, train(dataclasses.replace(config, **SMALL), progress)))
        return references[-1][1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recordings, "train", small)
        recording = load_recording("simulated")
        again = load_recording("simulated")
    config, reference = references[0]
    return recording, again, config, reference


def test_the_reference_never_sees_the_digits_that_are_shown(simulated):
    recording, _, config, reference = simulated
    assert set(config.exclude_indices) == set(recording.stimuli.source_indices.tolist())
    assert config.rule == "backprop" and config.dataset == "digits" and config.seed > 10**6
    shown = {image.tobytes() for image in recording.stimuli.images[..., :1]}
    assert not shown & {image.tobytes() for image in reference.images.train.images}


def test_the_region_follows_the_layer_that_its_truth_names(simulated):
    recording, _, _, reference = simulated
    assert set(recording.regions) == {*neurodata.load("simulated").regions, REFERENCE_REGION}
    assert REFERENCE_LAYER in recording.truth[REFERENCE_REGION] and "reference network" in recording.truth[REFERENCE_REGION]
    assert recording.truth[REFERENCE_REGION] in recording.notes and "given features" not in recording.notes
    assert recording.simulated and "simulated" in recording.modality and "simulated" in REFERENCE_REGION
    shown = stimuli.present(recording.stimuli.images, reference.network.input_shape, reference.images.normalisation)
    layer = reference.represent(shown)[reference.network.node_names.index(REFERENCE_LAYER)][0].reshape(len(shown), -1)
    features = (layer - layer.mean(axis=0)) / layer.std(axis=0)

    def score(region):
        mean = np.mean([pdist(patterns) for patterns in recording.regions[region].patterns()], axis=0)
        return spearmanr(mean, pdist(features)).statistic

    scores = {region: score(region) for region in recording.regions}
    assert max(scores, key=scores.get) == REFERENCE_REGION, scores


def test_the_other_regions_are_those_of_the_embedded_recording(simulated):
    recording, *_ = simulated
    embedded = neurodata.load("simulated")
    for name, region in embedded.regions.items():
        for ours, theirs in zip(recording.regions[name].patterns(), region.patterns(), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_it_repeats_to_the_bit(simulated):
    recording, again, *_ = simulated
    for name in recording.regions:
        for ours, theirs in zip(recording.regions[name].patterns(), again.regions[name].patterns(), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_folder_and_unknown_names_go_to_neurodata(tmp_path):
    small = neurodata.simulate(neurodata.default_stimuli(), {"early": "pixel_energy"}, n_subjects=2, n_channels=4, n_runs=1)
    folder = neurodata.save(small, tmp_path / "mine")
    assert set(load_recording(str(folder)).regions) == {"early"}
    with pytest.raises(neurodata.InputError, match="did you mean 'simulated'"):
        load_recording("simulatd")
