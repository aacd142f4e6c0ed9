"""Where few seeds make up most of a variance, p-values and intervals are wrong as often as they say: on scores drawn directly."""

import jax
import numpy as np
import pytest
from calibrate import bounds

import rsa
from rsa.factors import spread_of_parts


def scores_of(random, n_models, n_seeds, n_subjects, share):
    """Scores whose expectation is nought; `share` of the variance of a mean is that of its seeds, the rest that of subjects."""
    of_seeds = np.sqrt(share * n_seeds) * random.normal(size=(n_models, n_seeds, 1))
    return of_seeds + np.sqrt((1 - share) * n_subjects) * random.normal(size=(n_models, 1, n_subjects))


@pytest.mark.parametrize(("n_seeds", "share"), [(3, 0.8), (3, 0.5), (5, 0.8), (10, 0.8), (3, 0.05)])
@pytest.mark.costly(cases=2)
def test_means_and_contrasts_hold_their_level(n_seeds, share):
    """Draws that all studies have in common are wrong for all alike: eight sets of them."""
    random, missed, below, wrong = np.random.default_rng(0), [], [], []
    for key in jax.random.split(jax.random.key(0), 8):
        result = rsa.generalise_scores(key, scores_of(random, 500, n_seeds, 16, share), n_draws=500)
        outside = (result.lower > 0) | (result.upper < 0)
        two_sided = 2 * np.minimum(result.p_value, 1 - result.p_value)
        np.testing.assert_array_equal(two_sided < 0.05, outside)
        contrasts = [rsa.generalised_contrast(result, 2 * study, 2 * study + 1) for study in range(100)]
        assert [each.p_value < 0.05 for each in contrasts] == [each.lower > 0 or each.upper < 0 for each in contrasts]
        missed.append(outside.mean())
        below.append((two_sided < 0.001).mean())
        wrong.append(np.mean([each.p_value < 0.05 for each in contrasts]))
    assert 0.02 < np.mean(missed) < 0.058, np.mean(missed)
    assert np.mean(below) < 0.003, np.mean(below)
    assert np.mean(wrong) < 0.07, np.mean(wrong)


def test_level_over_shares_of_three_sources_and_the_price():
    table = bounds(4000, sizes=((30, 8, 3), (30, 8, 5))).set_index(["stimuli", "subjects", "seeds", "degrees of freedom"])
    for seeds, satterthwaite in ((3, 0.07), (5, 0.053)):
        ours, theirs, sure = (table.loc[(30, 8, seeds, name)] for name in ("here", "Satterthwaite", "Banerjee's bound"))
        assert ours["rate at 0.05"] < 0.06 and theirs["rate at 0.05"] > satterthwaite
        assert 1 < ours["width"] < sure["width"]


def test_one_source_is_students_t_and_nothing_is_nothing():
    variance = np.array([4.0, 0.0, np.nan])
    spread = spread_of_parts(variance, variance[None], np.array([5]))
    np.testing.assert_allclose(spread.half_width(0.95)[:2], [2.7764451 * 2, 0], rtol=1e-7)
    np.testing.assert_allclose(spread.two_sided_p_value(np.array([2.7764451 * 2, 1.0]).repeat([1, 2]))[:2], [0.05, 0], atol=1e-8)
    assert spread.two_sided_p_value(np.zeros(3))[1] == 1 and np.isnan(spread.half_width(0.95)[2])
