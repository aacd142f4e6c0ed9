"""Fitted models: chosen and weighted where they are not scored, so that noise scores zero and what was planted is found."""

import jax
import numpy as np
import pytest
from rsatoolbox.inference import crossval
from rsatoolbox.model import ModelSelect, ModelWeighted
from rsatoolbox.model.fitter import fit_regress_nn, fit_select
from rsatoolbox.rdm import RDMs

import rsa
from rsa.flexible import _choose, _weigh, splits

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


TOOLBOX = {"pearson": "corr", "cosine": "cosine", "whitened_pearson": "corr_cov", "whitened_cosine": "cosine_cov"}


@pytest.mark.parametrize("comparator", TOOLBOX)
def test_fits_equal_rsatoolbox(comparator):
    random = np.random.default_rng(4)
    layers, data = rdms_of(random, 4), rdms_of(random, 3) + 0.5 * rdms_of(random, 1)
    chosen = fit_select(ModelSelect("layers", RDMs(layers.copy())), RDMs(data.copy()), method=TOOLBOX[comparator])
    assert np.argmax(_choose(layers, data, comparator)) == int(chosen)
    theirs = fit_regress_nn(ModelWeighted("layers", RDMs(layers.copy())), RDMs(data.copy()), method=TOOLBOX[comparator])
    ours = _weigh(layers, data, comparator)
    np.testing.assert_allclose(ours / np.linalg.norm(ours), theirs / np.linalg.norm(theirs), atol=1e-6)


@pytest.mark.parametrize("comparator", TOOLBOX)
def test_no_other_weights_score_higher_on_what_was_fitted(comparator):
    random = np.random.default_rng(8)
    layers, data = rdms_of(random, 4), rdms_of(random, 3) + 0.5 * rdms_of(random, 1)
    ours = _weigh(layers, data, comparator)
    others = np.clip(ours * random.uniform(0.5, 1.5, (200, 4)) + 0.05 * ours.max() * random.random((200, 4)), 0, None)
    scores = rsa.compare(np.concatenate([ours[None], others]) @ layers, data, comparator).mean(axis=1)
    assert np.all(scores[1:] <= scores[0] + 1e-12) and scores[0] > scores[1:].max() - 0.05


@pytest.mark.parametrize(("fit", "theirs"), [(rsa.best_layer, fit_select), (rsa.weighted_layers, fit_regress_nn)])
def test_held_out_scores_equal_a_crossvalidation_by_rsatoolbox(fit, theirs):
    """The same folds, given to rsatoolbox's own loop."""
    random = np.random.default_rng(9)
    layers, data = rdms_of(random, 4), rdms_of(random, 5) + 0.5 * rdms_of(random, 1)
    ours = fit(KEY, layers, data, "pearson", 3, 2)
    first, second = np.triu_indices(N_CONDITIONS, 1)
    train, test, sizes = [], [], []
    for fitted, known, scored, new in splits(KEY, N_CONDITIONS, 5, 3, 2):
        for pairs, members, sets in ((fitted, known, train), (scored, new, test)):
            conditions = np.union1d(first[pairs], second[pairs])
            rdms = RDMs(data.copy()).subset("index", np.flatnonzero(members))
            sets.append((rdms.subset_pattern("index", conditions), conditions))
        sizes.append(new.sum())
    model = (ModelSelect if theirs is fit_select else ModelWeighted)("layers", RDMs(layers.copy()))
    found = crossval(model, RDMs(data.copy()), train, test, None, "corr", theirs, calc_noise_ceil=False).evaluations.ravel()
    assert ours.mean == pytest.approx(np.dot(found, sizes) / np.sum(sizes), abs=1e-6)


def test_held_out_stimuli_and_subjects_have_no_say():
    """What one fold fits does not change when everything that it is scored on does."""
    random = np.random.default_rng(5)
    layers, data = rdms_of(random, 4), rdms_of(random, 4)
    before = rsa.weighted_layers(KEY, layers, data, n_condition_folds=2, n_subject_folds=4)
    fitted, known, _, _ = next(splits(KEY, N_CONDITIONS, 4, 2, 4))
    changed = random.normal(size=data.shape)
    changed[np.ix_(known, fitted)] = data[np.ix_(known, fitted)]
    after = rsa.weighted_layers(KEY, layers, changed, n_condition_folds=2, n_subject_folds=4)
    np.testing.assert_array_equal(before.weights[0], after.weights[0])
    assert not np.allclose(before.weights[1:], after.weights[1:])


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
    first, _ = np.triu_indices(N_CONDITIONS, 1)
    for given, message in (
        ((layers, np.where(first > 2, 1.0, data)), "data RDM 0 is constant over the [0-9]+ pairs of a fold: use fewer"),
        ((np.where(first > 0, 1.0, layers), data), "model RDM 0 is constant over the [0-9]+ pairs of a fold: use fewer"),
    ):
        with pytest.raises(rsa.InputError, match=message):
            rsa.weighted_layers(KEY, *given)
    with pytest.raises(rsa.InputError, match="data RDM 0 is zero over"):
        rsa.weighted_layers(KEY, layers, np.where(first > 2, 0.0, data), "cosine")
    assert np.isfinite(rsa.weighted_layers(KEY, layers, np.where(first > 2, 1.0, data), "cosine").mean)
