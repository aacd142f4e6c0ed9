"""Macaque IT in time as published: nothing is told apart before the picture, and objects are after it, at every position."""

import numpy as np
import pytest

from experiments.recordings import load_recording
from neurodata import InputError, cache, describe, zhang_desimone


@pytest.fixture
def recording():
    if not describe("zhang_desimone")["cached"]:
        pytest.skip(f"zhang_desimone is not in {cache.data_path()}: set {cache.ENVIRONMENT_VARIABLE} to a folder with it")
    return zhang_desimone.load()


def test_objects_are_told_apart_after_their_onset(recording):
    (dataset,) = recording.regions["IT"].datasets
    trials = dataset.measurements.reshape(19, 7, 3, 132, 18)
    objects = trials.mean(axis=2)  # over positions
    correct = np.zeros(18)
    for left_out in range(19):
        means = np.delete(objects, left_out, axis=0).mean(axis=0)
        for time in range(18):
            scores = np.corrcoef(objects[left_out, :, :, time], means[:, :, time])[:7, 7:]
            correct[time] += (scores.argmax(axis=1) == np.arange(7)).mean() / 19
    times = recording.times
    assert times[0] == -0.425 and times[-1] == 0.425
    assert correct[times < -0.1].max() < 0.3 and correct[np.isclose(times, 0.175)] > 0.8


def test_networks_are_not_compared_without_pictures(recording, monkeypatch):
    assert not recording.stimuli.has_pictures
    with pytest.raises(InputError, match="the pictures of recording 'zhang_desimone' were not published"):
        load_recording("zhang_desimone")
