"""Fitted models: chosen and weighted where they are not scored, so that noise scores zero and what was planted is found."""

import jax
import numpy as np
import pytest
from rsatoolbox.model import ModelSelect, ModelWeighted
from rsatoolbox.model.fitter import fit_regress_nn, fit_select
from rsatoolbox.rdm import RDMs

import rsa
from rsa.flexible import _choose, _splits, _weigh

N_CONDITIONS = 18
N_PAIRS = N_CONDITIONS * (N_CONDITIONS - 1) // 2
KEY = jax.random.key(0)


def rdms_of(random, n):
    """RDMs of random patterns."""
    return rsa.rdm(random.normal(size=(n, N_CONDITIONS, 12)))


def test_a_layer_chosen_by_its_score_on_noise_scores_zero_elsewhere():
    random = np.random.default_rng(0)
    held_out, naive = [], []
    for study in range(150):
        result = rsa.best_layer(jax.random.key(study), rdms_of(random, 20), rdms_of(random, 4), "pearson")
        held_out.append(result.mean)
        naive.append(result.naive)
    assert abs(np.mean(held_out)) < 3.5 * np.std(held_out) / np.sqrt(len(held_out))
    assert np.mean(naive) > 10 * np.std(naive) / np.sqrt(len(naive))


def test_weights_fitted_to_noise_score_zero_elsewhere():
    random = np.random.default_rng(1)
    held_out, naive = [], []
    for study in range(150):
        result = rsa.weighted_layers(jax.random.key(study), rdms_of(random, 6), rdms_of(random, 4))
        held_out.append(result.mean)
        naive.append(result.naive)
    assert abs(np.mean(held_out)) < 3.5 * np.std(held_out) / np.sqrt(len(held_out))
    assert np.mean(naive) > 10 * np.std(naive) / np.sqrt(len(naive))


def test_a_planted_layer_is_found_in_every_fold():
    random = np.random.default_rng(2)
    layers = rdms_of(random, 5)
    data = layers[3] + 0.1 * random.normal(size=(4, N_PAIRS))
    result = rsa.best_layer(KEY, layers, data, n_condition_folds=3, n_subject_folds=2)
    np.testing.assert_array_equal(result.weights, np.tile(np.eye(5)[3], (6, 1)))
    assert result.mean > 0.8 and result.scores.shape == (4,)


def test_a_planted_mixture_is_recovered():
    random = np.random.default_rng(3)
    layers = rdms_of(random, 4)
    mixture = np.array([0.7, 0.0, 0.3, 0.0])
    data = mixture @ layers + 0.02 * random.normal(size=(4, N_PAIRS))
    result = rsa.weighted_layers(KEY, layers, data)
    np.testing.assert_allclose(result.weights / result.weights.sum(axis=1, keepdims=True), np.tile(mixture, (6, 1)), atol=0.06)
    assert result.mean > max(rsa.compare(layers, data, "pearson").mean(axis=1))


def test_fits_equal_rsatoolbox():
    random = np.random.default_rng(4)
    layers, data = rdms_of(random, 4), rdms_of(random, 3) + 0.5 * rdms_of(random, 1)
    chosen = fit_select(ModelSelect("layers", RDMs(layers.copy())), RDMs(data.copy()), method="corr")
    assert np.argmax(_choose(layers, data, "pearson")) == int(chosen)
    theirs = fit_regress_nn(ModelWeighted("layers", RDMs(layers.copy())), RDMs(data.copy()), method="corr")
    ours = _weigh(layers, data, "pearson")
    np.testing.assert_allclose(ours / np.linalg.norm(ours), theirs / np.linalg.norm(theirs), atol=1e-6)


def test_held_out_stimuli_and_subjects_have_no_say():
    """What one fold fits does not change when everything that it is scored on does."""
    random = np.random.default_rng(5)
    layers, data = rdms_of(random, 4), rdms_of(random, 4)
    before = rsa.weighted_layers(KEY, layers, data, n_condition_folds=2, n_subject_folds=4)
    fitted, known, _, _ = next(_splits(KEY, N_CONDITIONS, 4, 2, 4))
    changed = random.normal(size=data.shape)
    changed[np.ix_(known, fitted)] = data[np.ix_(known, fitted)]
    after = rsa.weighted_layers(KEY, layers, changed, n_condition_folds=2, n_subject_folds=4)
    np.testing.assert_array_equal(before.weights[0], after.weights[0])
    assert not np.allclose(before.weights[1:], after.weights[1:])


def test_parts_of_variance_add_up_and_are_where_they_were_planted():
    random = np.random.default_rng(6)
    own, other, both = rdms_of(random, 3)
    data = own + 2 * both + 0.05 * random.normal(size=(3, N_PAIRS))
    parts = rsa.partition_variance({"a": np.stack([own, both]), "b": np.stack([other, both])}, data)
    assert set(parts) == {("a",), ("b",), ("a", "b")}
    assert np.all(parts[("a",)] > 0.1) and np.all(np.abs(parts[("b",)]) < 0.02) and np.all(parts[("a", "b")] > 0.5)
    alone = rsa.partition_variance({"a": own[None], "b": other[None], "c": both[None]}, data)
    assert len(alone) == 7
    np.testing.assert_allclose(sum(alone.values()), sum(parts.values()), atol=1e-10)


def test_mistakes_are_named():
    random = np.random.default_rng(7)
    layers, data = rdms_of(random, 2), rdms_of(random, 3)
    for arguments, message in (
        ({"n_condition_folds": 5}, "18 stimuli in 5 folds"),
        ({"n_condition_folds": 1}, "at least two folds"),
        ({"n_subject_folds": 4}, "3 subjects in 4 folds"),
        ({"comparator": "person"}, "did you mean 'pearson'"),
    ):
        with pytest.raises(rsa.InputError, match=message):
            rsa.best_layer(KEY, layers, data, **arguments)
    with pytest.raises(rsa.InputError, match="1 sets of layers"):
        rsa.partition_variance({"a": layers}, data)
