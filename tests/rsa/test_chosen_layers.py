"""Layers chosen where they are not scored: what is scored, and how often two networks that are alike are told apart."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

import rsa
from rsa import InputError

KEY = jax.random.key(0)
RNG = np.random.default_rng(5)
SOME = {"n_draws": 20, "n_partitions": 2}
SCORES = {"n_draws": 0, "n_partitions": 1}


def test_the_best_layers_of_several_networks_are_each_the_best_of_one():
    models, data = RNG.random((7, 276)), RNG.random((5, 276))
    groups = [[0, 1, 2], [3], [6, 5, 4]]
    found = rsa.evaluate_best_layers(KEY, models, groups, data, **SOME)
    for index, group in enumerate(groups):
        alone = rsa.evaluate_best_layers(KEY, models[group], [range(len(group))], data, **SOME)
        for name in ("scores", "lower", "upper", "mean_lower"):
            assert_allclose(getattr(found.evaluation, name)[index], getattr(alone.evaluation, name)[0], atol=1e-12)
        np.testing.assert_array_equal(found.chosen[index], alone.chosen[0])
    assert sum(found.chosen[0]) == 2 * 3 * 2  # partitions, folds of stimuli and of subjects
    with pytest.raises(InputError, match="a network without layers"):
        rsa.evaluate_best_layers(KEY, models, [[0], []], data)


def test_scores_and_draws_are_those_of_the_layers_chosen_worked_out_fold_by_fold():
    """One layer leaves no choice: the mean over folds of its score within each, and without each stimulus in turn."""
    n = 20
    model, data = RNG.random((1, n * (n - 1) // 2)), RNG.random((3, n * (n - 1) // 2))
    square, subjects = rsa.to_square(model)[0], rsa.to_square(data)
    found = rsa.evaluate_best_layers(KEY, model, [[0]], data, "pearson", n_draws=5, n_condition_folds=2, n_partitions=1).evaluation
    draws = found.subject_draws
    assert draws.shape == (5, 1, 3)
    # Which stimuli were together follows from what is left when each is left out: tried for every split is too many, so the
    # folds are read from the key as the function reads them.
    from rsa.flexible import folds

    _, of_folds = jax.random.split(KEY)
    of_conditions, _ = jax.random.split(jax.random.split(of_folds, 1)[0])
    members = [np.flatnonzero(each) for each in folds(of_conditions, n, 2)]

    def within(stimuli):
        upper = np.triu_indices(len(stimuli), 1)
        entries = square[np.ix_(stimuli, stimuli)][upper]
        return np.array([np.corrcoef(entries, each[np.ix_(stimuli, stimuli)][upper])[0, 1] for each in subjects])

    whole = np.mean([within(each) for each in members], axis=0)
    assert_allclose(found.scores[0], whole, atol=1e-10)
    for left_out in (0, 7, 19):
        expected = np.mean([within(each[each != left_out]) for each in members], axis=0)
        assert_allclose(found.subject_jackknife[left_out, 0], expected, atol=1e-10)


def test_beyond_covariates_the_choice_and_the_score_are_partial():
    models, data, covariates = (RNG.random((k, 276)) for k in (4, 3, 1))
    models[1] += 3 * covariates[0]
    data += 3 * covariates[0]
    plain = rsa.evaluate_best_layers(KEY, models, [range(4)], data, "pearson", **SOME)
    beyond = rsa.evaluate_best_layers(KEY, models, [range(4)], data, "pearson", covariate_rdms=covariates, **SOME)
    assert plain.chosen[0][1] == plain.chosen[0].sum() and plain.evaluation.mean[0] > 0.5
    assert beyond.chosen[0][1] < beyond.chosen[0].sum() and abs(beyond.evaluation.mean[0]) < 0.2
    one = rsa.evaluate_best_layers(KEY, models[:1], [[0]], data, "pearson", covariate_rdms=covariates, n_partitions=1, n_draws=20)
    assert np.isfinite(one.evaluation.subject_draws).mean() > 0.9


def test_a_layer_that_tells_nothing_apart_is_not_chosen_and_costs_no_other_network_its_scores():
    models, data = RNG.random((4, 276)), RNG.random((3, 276))
    models[1] = 0.0
    found = rsa.evaluate_best_layers(KEY, models, [[0, 1], [2, 3]], data, **SOME)
    without = rsa.evaluate_best_layers(KEY, models[[0, 2, 3]], [[0], [1, 2]], data, **SOME)
    assert found.chosen[0][1] == 0
    assert_allclose(found.evaluation.scores, without.evaluation.scores, atol=1e-12)
    with pytest.raises(InputError, match="all layers of network 1 are constant"):
        rsa.evaluate_best_layers(KEY, models, [[0, 2], [1]], data, **SOME)


def test_one_subject_has_its_layers_chosen_on_other_stimuli():
    """Twenty layers of noise score nothing, and a layer that is the subject's is found."""
    means = []
    for study in range(20):
        rng = np.random.default_rng(study)
        models, data = rng.random((20, 276)), rng.random((1, 276))
        assert rsa.compare(models, data, "spearman").max() > 0.05
        means.append(rsa.evaluate_best_layers(jax.random.key(study), models, [range(20)], data, **SCORES).evaluation.mean[0])
    assert abs(np.mean(means)) < 3 * np.std(means) / np.sqrt(20)
    models[7] = data[0]
    found = rsa.evaluate_best_layers(KEY, models, [range(20)], data, **SOME)
    assert found.chosen[0][7] == found.chosen[0].sum() and found.evaluation.mean[0] > 0.99


def test_the_best_of_many_layers_of_noise_scores_nothing_where_it_was_not_chosen():
    """Twenty layers of noise: the best by its own score is above zero in every study, the best chosen elsewhere on either side."""
    naive, honest = [], []
    for study in range(30):
        rng = np.random.default_rng(study)
        models, data = rng.random((20, 276)), rng.random((4, 276))
        naive.append(rsa.compare(models, data, "spearman").mean(axis=1).max())
        honest.append(rsa.evaluate_best_layers(jax.random.key(study), models, [range(20)], data, **SCORES).evaluation.mean[0])
    assert min(naive) > 0.02 and abs(np.mean(honest)) < 3 * np.std(honest) / np.sqrt(30)


def test_networks_that_are_alike_are_told_apart_no_more_often_than_stimuli_allow():
    """Two networks of three layers, each the subjects' geometry with noise of its own stimuli: a difference is one of stimuli."""
    told, n_studies, n = 0, 60, 27
    for study in range(n_studies):
        rng = np.random.default_rng(100 + study)
        shared = rng.normal(size=(n, 12))
        subjects = np.stack([rsa.rdm(shared + 0.3 * rng.normal(size=(n, 12)), "euclidean") for _ in range(8)])
        layers = np.stack([rsa.rdm(shared + 1.2 * rng.normal(size=(n, 12)), "euclidean") for _ in range(6)])
        found = rsa.evaluate_best_layers(
            jax.random.key(study), layers, [[0, 1, 2], [3, 4, 5]], subjects, "pearson", n_draws=60, n_partitions=1
        )
        told += rsa.contrast(found.evaluation, 0, 1).p_value < 0.05
    assert told / n_studies <= 0.12
