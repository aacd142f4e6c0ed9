"""Macaque V4 as published: trials are the averages' trials, and the images are in the order of the responses."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

import neurodata
from neurodata import InputError, cache, cowley_v4, describe


@pytest.fixture
def there():
    if not describe("cowley_v4")["cached"]:
        pytest.skip(f"cowley_v4 is not in {cache.data_path()}: set {cache.ENVIRONMENT_VARIABLE} to a folder with it")


def test_trials_average_to_the_published_averages(there):
    recording = cowley_v4.load()
    (patterns,) = recording.regions["V4"].patterns()
    published = cache.data_path() / "cowley_v4" / "responses_avg_210325.npy"
    if not published.is_file():
        pytest.skip("the averages are not there")
    np.testing.assert_allclose(patterns, np.load(published).T)
    runs = recording.regions["V4"].datasets[0].obs_descriptors["run"]
    assert len(runs) == 4840 and runs.count("1") == 640 and "six to ten" in recording.notes


def test_images_are_in_the_order_of_the_responses(there):
    recording = cowley_v4.load()
    (patterns,) = recording.regions["V4"].patterns()
    # what a colour layout of 4 x 4 explains of the mean response over neurons, against images shifted by seven places
    images = recording.stimuli.images.astype(float) / 255
    layout = images.reshape(640, 4, 28, 4, 28, 3).mean(axis=(2, 4)).reshape(640, -1)
    layout = (layout - layout.mean(0)) / layout.std(0)
    half = np.arange(640) % 2 == 0
    found = []
    for shift in (0, 7):
        x, y = np.roll(layout, shift, axis=0), patterns - patterns[half].mean(0)
        weights = np.linalg.solve(x[half].T @ x[half] + 300 * np.eye(x.shape[1]), x[half].T @ y[half])
        predicted = x[~half] @ weights
        found.append(np.median([np.corrcoef(a, b)[0, 1] for a, b in zip(predicted.T, y[~half].T, strict=True)]))
    assert found[0] > 0.2 > 0.1 > abs(found[1])


def test_unknown_sessions_are_named():
    with pytest.raises(InputError, match="unknown session of cowley_v4 '210326': did you mean '210325'"):
        cowley_v4.load(session="210326")


def test_neurons_and_their_geometry_are_as_reliable_as_is_known(there):
    """Even against odd trials: .63 a neuron, and .56 the RDM of neurons on one scale."""
    (trials,) = cowley_v4.load().regions["V4"].trials()
    halves = [np.nanmean(trials[start::2], axis=0) for start in (0, 1)]
    each = [np.corrcoef(*(half[:, neuron] for half in halves))[0, 1] for neuron in range(trials.shape[-1])]
    assert np.median(each) == pytest.approx(0.63, abs=0.005)
    scaled = [pdist((half - half.mean(axis=0)) / half.std(axis=0), "correlation") for half in halves]
    assert spearmanr(*scaled).statistic == pytest.approx(0.56, abs=0.01)


@pytest.mark.parametrize("session", [each for each in cowley_v4.SESSIONS if each != "210325"])
def test_the_other_sessions_are_recordings_of_their_own(session):
    """Other photographs, and as many neurons and repeats as were published; what was shown twice is said."""
    if not all(describe(name)["cached"] for name in ("cowley_v4", f"cowley_v4_{session}")):
        pytest.skip(f"cowley_v4 is not in {cache.data_path()}: set {cache.ENVIRONMENT_VARIABLE} to a folder with it")
    recording, first = neurodata.load(f"cowley_v4_{session}"), neurodata.load("cowley_v4")
    stated = cowley_v4.SESSIONS[session]
    images, others = ([each.tobytes() for each in one.stimuli.images] for one in (recording, first))
    assert not set(images) & set(others) and len(images) - len(set(images)) == stated.n_twice
    assert ("over again" in recording.notes) == (stated.n_twice > 0) and stated.monkey in recording.notes
    assert recording.name == f"cowley_v4_{session}" and "averages over" in recording.notes
    (patterns,) = recording.regions["V4"].patterns()
    assert patterns.shape == (1200, stated.n_neurons)
