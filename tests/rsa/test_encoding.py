"""Ridge encoding against scikit-learn's own pipeline, on noise, and with what is held out changed behind its back."""

from functools import partial

import jax
import numpy as np
import pytest
from scipy import stats
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import rsa
from rsa.encoding import PENALTIES, channel_scores, draw_folds, held_out_predictions


def _study(seed: int, n_conditions: int = 30, n_units: int = 12, n_channels: int = 5) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    units = 3 + random.normal(size=(n_conditions, n_units)) @ random.normal(size=(n_units, n_units))
    weights, noise = random.normal(size=(n_units, n_channels)), random.normal(size=(n_conditions, n_channels))
    return units, units @ weights + np.linspace(1, 40, n_channels) * noise + 100


def _training(fold: np.ndarray, n_conditions: int) -> np.ndarray:
    return np.setdiff1d(np.arange(n_conditions), fold)


def _mean_square_length(patterns: np.ndarray) -> float:
    return float(np.square(patterns - patterns.mean(axis=0)).sum(axis=1).mean())


@pytest.mark.parametrize("n_units", [4, 12, 300])
def test_equals_a_pipeline_of_scikit_learn_fold_by_fold(n_units):
    units, channels = _study(0, n_units=n_units)
    folds = draw_folds(jax.random.key(0), 30, 5)
    ours, found = held_out_predictions(units, channels, folds), np.empty((5, 5))
    for index, fold in enumerate(folds):
        train = _training(fold, 30)
        scale = np.sqrt(_mean_square_length(units[train]))
        pipeline = make_pipeline(
            StandardScaler(with_std=False),
            FunctionTransformer(partial(np.multiply, 1 / scale)),
            RidgeCV(alphas=PENALTIES, alpha_per_target=True),
        )
        predicted = pipeline.fit(units[train], channels[train]).predict(units[fold])
        np.testing.assert_allclose(ours[fold] + channels[train].mean(axis=0), predicted, rtol=0, atol=1e-7)
        found[index] = [stats.pearsonr(predicted[:, c], channels[fold, c]).statistic for c in range(5)]
    np.testing.assert_allclose(channel_scores(units, channels, folds), found.mean(axis=0), atol=1e-7)
    entry = rsa.compare_patterns([units], [channels], "encoding", jax.random.key(0))
    assert entry[0, 0] == pytest.approx(found.mean(), abs=1e-7)


def test_the_penalty_is_the_best_of_leaving_training_conditions_out():
    """Plain ridge, refitted for every penalty and training condition, and the dual at the penalty that won."""
    units, channels = _study(1, 16, 40, 3)
    folds = draw_folds(jax.random.key(1), 16, 2)
    ours, chosen = held_out_predictions(units, channels, folds), []
    for fold in folds:
        train = _training(fold, 16)
        known, new = (units[rows] - units[train].mean(axis=0) for rows in (train, fold))
        known, new = (rows / np.sqrt(_mean_square_length(units[train])) for rows in (known, new))
        left_out = [cross_val_predict(Ridge(penalty), known, channels[train], cv=LeaveOneOut()) for penalty in PENALTIES]
        best = PENALTIES[np.argmin(np.square(left_out - channels[train]).mean(axis=1), axis=0)]
        chosen.extend(best)
        responses = channels[train] - channels[train].mean(axis=0)
        np.testing.assert_allclose(ours[fold], KernelRidge(alpha=best).fit(known, responses).predict(new), rtol=0, atol=1e-7)
    assert len(set(chosen)) > 2


def test_held_out_responses_do_not_touch_their_own_predictions():
    units, channels = _study(2)
    folds = draw_folds(jax.random.key(2), 30, 5)
    before = held_out_predictions(units, channels, folds)
    for fold in folds:
        changed = channels.copy()
        changed[fold] = 1e6 * np.random.default_rng(0).normal(size=(len(fold), 5))
        after = held_out_predictions(units, changed, folds)
        np.testing.assert_array_equal(after[fold], before[fold])
        # The other folds train on what was changed.
        assert np.all(after[_training(fold, 30)] != before[_training(fold, 30)])


def test_held_out_patterns_touch_their_own_prediction_alone():
    units, channels = _study(3, n_units=50)
    folds = draw_folds(jax.random.key(3), 30, 5)
    before = held_out_predictions(units, channels, folds)
    for fold in folds:
        changed = units.copy()
        changed[fold[0]] += 30
        after = held_out_predictions(changed, channels, folds)
        np.testing.assert_allclose(after[fold[1:]], before[fold[1:]], rtol=0, atol=1e-8)
        assert np.all(np.abs(after[fold[0]] - before[fold[0]]) > 1e-6)


def test_noise_scores_zero_on_average():
    """600 studies of one channel, in which 15 models share 40 channels each: uncorrelated, as each has mean zero given its model.

    Skewed channels, correlated units. Predictions pooled over folds would fail this by far.
    """
    random, scores, pooled = np.random.default_rng(4), [], []
    for index in range(15):
        units, channels = random.normal(size=(16, 6)) @ random.normal(size=(6, 10)), random.exponential(size=(16, 40))
        folds = draw_folds(jax.random.key(index), 16, 4)
        scores.extend(channel_scores(units, channels, folds))
        predictions = held_out_predictions(units, channels, folds)
        for fold in folds:
            predictions[fold] += channels[_training(fold, 16)].mean(axis=0)
        pooled.extend(np.corrcoef(predictions[:, c], channels[:, c])[0, 1] for c in range(40))
    assert abs(np.mean(scores) / stats.sem(scores)) < 3
    assert np.mean(pooled) / stats.sem(pooled) < -5


def test_a_linear_readout_without_noise_is_found():
    units, _ = _study(5, 60, 8)
    weights = np.random.default_rng(0).normal(size=(8, 20))
    assert rsa.compare_patterns([units], [units @ weights - 7], "encoding", jax.random.key(0))[0, 0] > 0.999


def test_the_score_reaches_what_noise_allows():
    """With signal and noise of equal variance no prediction correlates above the root of one half."""
    random = np.random.default_rng(6)
    units = random.normal(size=(600, 5))
    weights = random.normal(size=(5, 40))
    weights /= np.linalg.norm(weights, axis=0)
    score = rsa.compare_patterns([units], [units @ weights + random.normal(size=(600, 40))], "encoding", jax.random.key(0))[0, 0]
    assert score == pytest.approx(np.sqrt(0.5), abs=0.02)


def test_folds_part_the_conditions_and_follow_the_key():
    folds = draw_folds(jax.random.key(0), 23, 5)
    assert sorted(len(fold) for fold in folds) == [4, 4, 5, 5, 5]
    np.testing.assert_array_equal(np.sort(np.concatenate(folds)), np.arange(23))
    units, channels = _study(7)
    one, again, other = (
        rsa.compare_patterns([units], [channels], "encoding", jax.random.key(seed), n_folds=6)[0, 0] for seed in (0, 0, 1)
    )
    assert one == again and one != other


def test_units_that_say_nothing_score_zero():
    """A unit that answers to one condition alone is silent where it trains, or in the held-out fold."""
    units = np.zeros((12, 3))
    units[4] = 1
    _, channels = _study(8, 12)
    folds = draw_folds(jax.random.key(0), 12, 3)
    np.testing.assert_array_equal(channel_scores(units, channels, folds), 0)
    assert rsa.compare_patterns([units], [channels], "encoding", jax.random.key(0), n_folds=3)[0, 0] == 0
