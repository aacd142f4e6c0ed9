"""Intervals of partial correlations: draws by their definition, coverage of a known truth; and the best of several layers."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import rankdata

import rsa
from bioplausible.foundation.errors import InputError
from rsa.bootstrap import bootstrap_counts

KEY = jax.random.key(3)
RNG = np.random.default_rng(4)
MODELS, DATA, COVARIATES = (RNG.random((n, 66)) + np.linspace(0, 1, 66) for n in (3, 4, 2))


def written_out(model, datum, covariates, weights, comparator):
    """The correlation of weighted residuals, pair by pair as often as it was drawn."""
    times = np.repeat(np.arange(len(weights)), weights.astype(int))
    taken = [each[..., times] for each in (model, datum, covariates)]
    if comparator == "spearman":
        taken = [rankdata(each, axis=-1) for each in taken]
    design = np.concatenate([np.ones((1, len(times))), np.atleast_2d(taken[2])]).T
    left = [each - design @ np.linalg.lstsq(design, each, rcond=None)[0] for each in taken[:2]]
    return np.corrcoef(*left)[0, 1]


@pytest.mark.parametrize("comparator", ["pearson", "spearman"])
def test_every_draw_is_the_partial_correlation_of_the_pairs_that_were_drawn(comparator):
    found = rsa.partial_evaluate(KEY, MODELS, DATA, COVARIATES, comparator, n_draws=8, keep_subjects=True)
    assert_allclose(found.scores, rsa.partial_compare(MODELS, DATA, COVARIATES, comparator), atol=1e-12)
    counts = bootstrap_counts(jax.random.split(KEY)[0], 8, 12)
    first, second = np.triu_indices(12, 1)
    for draw in range(8):
        weights = counts[draw][first] * counts[draw][second]
        expected = [[written_out(m, d, COVARIATES, weights, comparator) for d in DATA] for m in MODELS]
        assert_allclose(found.subject_draws[draw], expected, atol=1e-9)
    without = np.arange(12) != 5
    expected = [[written_out(m, d, COVARIATES, (without[first] & without[second]) * 1, comparator) for d in DATA] for m in MODELS]
    assert_allclose(found.subject_jackknife[5], expected, atol=1e-9)
    assert np.isnan(found.p_value).all() and np.isnan(found.ceiling.lower) and "no noise ceiling" in found.ceiling.withheld


def test_the_same_key_draws_as_evaluate_does_and_none_are_drawn_of_too_few():
    """A covariate that explains nothing changes no draw: intervals are those of the plain comparison."""
    n = 20
    pairs = n * (n - 1) // 2
    rng = np.random.default_rng(1)
    models, data = rng.random((2, pairs)), rng.random((3, pairs))
    noise = rng.random((1, pairs)) * 1e-3 + np.arange(pairs) % 2
    plain = rsa.evaluate(KEY, models, data, "pearson", n_draws=200)
    partial = rsa.partial_evaluate(KEY, models, data, noise, "pearson", n_draws=200)
    assert_allclose(partial.mean_upper - partial.mean_lower, plain.mean_upper - plain.mean_lower, rtol=0.1)
    none = rsa.partial_evaluate(KEY, models, data, noise, "pearson", n_draws=0)
    assert np.isnan(none.mean_lower).all() and none.draws.shape == (0, 2)
    with pytest.raises(InputError, match="5 conditions are too few to resample"):
        rsa.partial_evaluate(KEY, rng.random((1, 10)), rng.random((1, 10)), rng.random((1, 10)), "pearson")


def test_intervals_cover_nothing_where_a_model_and_data_share_a_covariate_alone():
    """Patterns that share one set of features: after it is taken out nothing is left, in 19 studies of 20."""
    covered, plain_covered, n_studies = 0, 0, 60
    for study in range(n_studies):
        rng = np.random.default_rng(study)
        shared = rng.normal(size=(16, 30))
        covariate = rsa.rdm(shared, "euclidean")
        model, datum = (
            covariate / covariate.std() + each / each.std()
            for each in (rsa.rdm(rng.normal(size=(16, 30)), "euclidean") for _ in "ab")
        )
        found = rsa.partial_evaluate(jax.random.key(study), model[None], datum[None], covariate[None], "pearson", n_draws=40)
        plain = rsa.evaluate(jax.random.key(study), model[None], datum[None], "pearson", n_draws=40)
        covered += found.mean_lower[0] <= 0 <= found.mean_upper[0]
        plain_covered += plain.mean_lower[0] <= 0 <= plain.mean_upper[0]
    assert 0.87 <= covered / n_studies and plain_covered / n_studies < 0.2
