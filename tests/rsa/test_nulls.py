"""The null of permuted conditions is that of an evaluation."""

import jax
import numpy as np
import pytest

import rsa

N = 9


@pytest.mark.parametrize("comparator", ["spearman", "pearson", "kendall", "whitened_cosine"])
@pytest.mark.parametrize("holes", [False, True])
def test_the_null_is_that_of_an_evaluation(comparator, holes):
    random = np.random.default_rng(0)
    models, data = (rsa.rdm(random.normal(size=(size, N, 8))) for size in (3, 4))
    if holes:
        data[1, :3] = np.nan
    key = jax.random.key(2)
    expected = rsa.evaluate(key, models, data, comparator, n_draws=30).null
    np.testing.assert_allclose(rsa.permutation_null(jax.random.split(key)[1], models, data, comparator, 30), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "n_draws", "message"),
    [((2, 36), 0, "n_draws=0"), ((2, 2, 36), 9, r"data of shape \(2, 2, 36\)"), ((2, 10), 9, "conditions")],
)
@pytest.mark.usefixtures("unchecked_shapes")
def test_mistakes_are_said(shape, n_draws, message):
    random = np.random.default_rng(1)
    with pytest.raises(rsa.InputError, match=message):
        rsa.permutation_null(jax.random.key(0), random.random((2, 36)), random.random(shape), "pearson", n_draws)


def test_five_conditions_are_too_few():
    with pytest.raises(rsa.InputError, match="5 conditions are too few"):
        rsa.permutation_null(jax.random.key(0), np.arange(10.0)[None], np.arange(10.0)[None])
