"""Whitened comparators against rsatoolbox, and against the covariance of dissimilarities written out."""

import jax
import numpy as np
import pytest
from judges import WHITENED_JUDGES
from rsatoolbox.rdm import RDMs
from rsatoolbox.rdm import compare as judge_compare
from rsatoolbox.util.matrix import get_v

import rsa
from rsa.bootstrap import condition_permutations
from rsa.grams import METRICS, grams, normalise
from rsa.whitening import whiten

whitened = pytest.mark.parametrize("name", sorted(WHITENED_JUDGES))


@whitened
def test_equals_rsatoolbox_with_the_default_noise(name, tied_rdms):
    models, data = tied_rdms(0, 3, 11), tied_rdms(1, 4, 11)
    expected = judge_compare(RDMs(models.copy()), RDMs(data.copy()), WHITENED_JUDGES[name])
    np.testing.assert_allclose(rsa.compare(models, data, name), expected, atol=1e-9)
    np.testing.assert_allclose(rsa.compare(models, data, name, noise=np.ones(11)), expected, atol=1e-9)


@whitened
def test_equals_the_definition_with_a_given_noise(name, tied_rdms):
    models, data = tied_rdms(0, 3, 9), tied_rdms(1, 4, 9)
    random = np.random.default_rng(2)
    factor = random.normal(size=(9, 12))
    noise = factor @ factor.T
    inverse = np.linalg.inv(get_v(9, noise).toarray())
    a, b = (x - x.mean(axis=1, keepdims=True) if name == "whitened_pearson" else x for x in (models, data))
    length = [np.sqrt(np.einsum("ip,pq,iq->i", x, inverse, x)) for x in (a, b)]
    expected = a @ inverse @ b.T / length[0][:, None] / length[1]
    np.testing.assert_allclose(rsa.compare(models, data, name, noise=noise), expected, atol=1e-8)


@whitened
def test_resampled_conditions_are_as_many_patterns_as_were_drawn(name, tied_rdms, resampled):
    """Copies of a condition are patterns of their own, and their pairs are left out, as rsatoolbox has it."""
    models, data = tied_rdms(0, 3, 10), tied_rdms(1, 4, 10)
    counts = rsa.bootstrap_counts(jax.random.key(4), 12, 10)
    counts[0] = [6, 0, 1, 1, 1, 1, 0, 0, 0, 0]  # 2 + n - 2c is zero
    cosines = normalise(grams(np.concatenate([models, data]), counts, METRICS[name]))[:, :3, 3:]
    draws = rsa.evaluate(jax.random.key(4), models, data, name, n_draws=12).draws
    for count, ours in zip(counts, cosines, strict=True):
        expected = judge_compare(resampled(models, count), resampled(data, count), WHITENED_JUDGES[name])
        np.testing.assert_allclose(ours, expected, atol=1e-9)
    assert np.isfinite(draws).all()
    drawn = rsa.bootstrap_counts(jax.random.split(jax.random.key(4))[0], 12, 10)
    of_grams = normalise(grams(np.concatenate([models, data]), drawn, METRICS[name]))[:, :3, 3:]
    np.testing.assert_allclose(draws, of_grams.mean(axis=-1), atol=1e-12)


@whitened
def test_permuted_conditions_are_scored_as_permuted_rdms(name, tied_rdms):
    models, data = tied_rdms(0, 2, 8), tied_rdms(1, 3, 8)
    evaluation = rsa.evaluate(jax.random.key(0), models, data, name, n_draws=5)
    orders = condition_permutations(jax.random.split(jax.random.key(0))[1], 5, 8)
    square = rsa.to_square(data)
    for order, null in zip(orders, evaluation.null, strict=True):
        permuted = rsa.to_condensed(square[:, order][:, :, order])
        np.testing.assert_allclose(null, rsa.compare(models, permuted, name).mean(axis=1), atol=1e-12)


@whitened
def test_the_upper_ceiling_is_the_score_of_the_best_single_rdm(name, tied_rdms):
    """No other RDM, the mean of the data and perturbations of the best among them, scores higher on average."""
    data = tied_rdms(3, 5, 8)
    ceiling = rsa.noise_ceiling(data, name)
    random = np.random.default_rng(0)
    others = np.concatenate([data.mean(axis=0)[None], data, data.mean(axis=0) + 0.1 * random.normal(size=(50, data.shape[1]))])
    assert rsa.compare(others, data, name).mean(axis=1).max() <= ceiling.upper
    assert ceiling.lower < ceiling.upper


def test_mistakes_are_named(tied_rdms):
    data = tied_rdms(0, 2, 6)
    with pytest.raises(rsa.InputError, match="weights of pairs were given for whitened_cosine"):
        rsa.compare(data, data, "whitened_cosine", weights=np.ones(15))
    with pytest.raises(rsa.InputError, match="belongs to whitened_pearson"):
        rsa.compare(data, data, "pearson", noise=np.eye(6))
    for noise, message in (
        (np.eye(5), "shape \\(5, 5\\), but 6 conditions"),
        (np.triu(np.ones((6, 6))), "not symmetric"),
        (np.ones((6, 6)), "without noise"),
    ):
        with pytest.raises(rsa.InputError, match=message):
            whiten(data, noise)
