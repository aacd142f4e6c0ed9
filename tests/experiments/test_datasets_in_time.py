"""Data sets whose rows are steps: spectrograms against scipy's, and tasks that an ideal observer solves, and no other."""

import numpy as np
import pytest
from scipy import signal

from experiments import datasets
from experiments.datasets import fsdd
from experiments.datasets.working_memory import delayed_match, evidence


def test_energies_are_those_of_scipys_spectrogram_in_bands_that_share_every_frequency():
    filters = fsdd.mel_filters()
    bins = np.fft.rfftfreq(256, 1 / 8000)
    centres = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 4000 / 700), 34)[1:-1] / 2595) - 1)
    inner = (bins >= centres[0]) & (bins <= centres[-1])
    np.testing.assert_allclose(filters[:, inner].sum(axis=0), 1, atol=1e-12)  # what falls in one band rises in the next
    assert (filters >= 0).all() and np.allclose(np.interp(centres[20], bins, filters[20]), 1, atol=0.1)
    audio = np.random.default_rng(0).normal(size=3000) * np.linspace(0.1, 1, 3000)
    *_, power = signal.spectrogram(audio, 8000, np.hanning(200), 200, 100, 256, detrend=False, scaling="spectrum")
    decibels = 10 * np.log10(power.T @ filters.T / (power.T @ filters.T).max())
    expected = np.round(255 * np.clip(1 + decibels / 60, 0, 1))
    found = fsdd.spectrogram(audio)
    assert (found[: 64 - len(expected)] == 0).all()
    # scipy doubles what lies between nought and the highest frequency, which no band begins with.
    assert np.abs(found[64 - len(expected) :].astype(float) - expected)[:, 1:-1].max() <= 1


def test_a_clip_ends_at_the_last_step_whatever_its_length_and_loudness():
    tone = np.sin(2 * np.pi * 1500 * np.arange(2000) / 8000)
    heard = fsdd.spectrogram(tone)
    assert heard[-1].max() == 255 and (heard[:40] == 0).all()
    np.testing.assert_array_equal(fsdd.spectrogram(1000 * tone), heard)
    long = fsdd.spectrogram(np.concatenate([np.zeros(20000), tone]))
    np.testing.assert_array_equal(long[-18:], heard[-18:])
    assert fsdd.spectrogram(np.zeros(10)).max() == 0 and fsdd.spectrogram(np.ones(1)).shape == (64, 32)


def test_a_speaker_who_is_held_out_is_heard_nowhere_else():
    if not datasets.describe("fsdd")["cached"]:
        pytest.skip("fsdd is not on this machine")
    whole, held = datasets.load("fsdd_theo"), {each.tobytes() for each in datasets.load("fsdd_theo").test.images}
    others = {each.tobytes() for split in (whole.train, whole.validation) for each in split.images}
    assert len(held) == 500 and not held & others
    assert held == {each.tobytes() for each in fsdd._clips().images[fsdd._clips().speakers == "theo"]}


@pytest.mark.parametrize("delay", [0, 7])
def test_a_match_is_told_by_sample_and_test_and_by_neither_alone(delay):
    trials, matches = delayed_match(400, delay, np.random.default_rng(0))
    lines = trials[..., 0].astype(float) > 128
    assert trials.shape == (400, 4 + delay, 8, 1) and not lines[:, 2 : 2 + delay].any() and matches.mean() == 0.5
    sample, test = lines[:, 0], lines[:, -1]
    np.testing.assert_array_equal((sample == test).all(axis=1), matches)
    for alone in (sample, test):
        of_pattern = [matches[(alone == pattern).all(axis=1)].mean() for pattern in np.unique(alone, axis=0)]
        assert len(of_pattern) == 4 and max(abs(share - 0.5) for share in of_pattern) < 0.15


def test_evidence_is_counted():
    trials, sides = evidence(500, np.random.default_rng(1))
    clicks = (trials[..., 0] > 128).sum(axis=1)
    np.testing.assert_array_equal(clicks[:, 1] > clicks[:, 0], sides == 1)
    assert sides.mean() == 0.5 and (clicks[:, 0] != clicks[:, 1]).all()
    # The last ten steps alone tell less.
    late = (trials[:, -10:, :, 0] > 128).sum(axis=1)
    assert np.mean((late[:, 1] > late[:, 0]) == (sides == 1)) < 0.8


def test_trials_are_the_same_every_time():
    one, other = (datasets.load("delayed_match_10", n_train=50) for _ in range(2))
    assert one.train.images.tobytes() == other.train.images.tobytes() and one.source == other.source
    assert one.class_names == ("other", "same") and one.input_shape == (14, 8, 1)
