"""Partial and semi-partial comparison: regression residuals, the formula for three variables, copies of pairs, and noise."""

import numpy as np
import pytest
from scipy import stats

import rsa

COMPARATORS, KINDS = ("pearson", "spearman"), ("partial", "semipartial")
every_form = pytest.mark.parametrize(("comparator", "kind"), [(c, k) for c in COMPARATORS for k in KINDS])


def _ranked(values: np.ndarray, comparator: str) -> np.ndarray:
    return stats.rankdata(values, axis=-1) if comparator == "spearman" else values


def _residual(values: np.ndarray, covariates: np.ndarray) -> np.ndarray:
    regressors = np.column_stack([np.ones(covariates.shape[1]), covariates.T])
    return values - regressors @ np.linalg.lstsq(regressors, values, rcond=None)[0]


def _by_regression(models, data, covariates, comparator, kind):
    models, data, covariates = (_ranked(rdms, comparator) for rdms in (models, data, covariates))
    theirs = [_residual(d, covariates) if kind == "partial" else d for d in data]
    return np.array([[np.corrcoef(_residual(m, covariates), d)[0, 1] for d in theirs] for m in models])


@every_form
@pytest.mark.parametrize("n_covariates", [1, 3])
def test_equals_the_correlation_of_residuals(comparator, kind, n_covariates, tied_rdms):
    models, data, covariates = tied_rdms(0, 3, 10), tied_rdms(1, 4, 10), tied_rdms(2, n_covariates, 10)
    expected = _by_regression(models, data, covariates, comparator, kind)
    np.testing.assert_allclose(rsa.partial_compare(models, data, covariates, comparator, kind), expected, atol=1e-12)


@every_form
def test_one_covariate_equals_the_formula_of_three_variables(comparator, kind, tied_rdms):
    model, datum, covariate = tied_rdms(3, 1, 9), tied_rdms(4, 1, 9), tied_rdms(5, 1, 9)
    together = np.corrcoef(_ranked(np.concatenate([model, datum, covariate]), comparator))
    md, mc, dc = together[0, 1], together[0, 2], together[1, 2]
    expected = (md - mc * dc) / np.sqrt((1 - mc**2) * (1 - dc**2 if kind == "partial" else 1))
    assert rsa.partial_compare(model, datum, covariate, comparator, kind)[0, 0] == pytest.approx(expected, abs=1e-12)


@every_form
def test_a_weight_is_a_number_of_copies(comparator, kind, tied_rdms):
    models, data, covariates = tied_rdms(6, 2, 9), tied_rdms(7, 3, 9), tied_rdms(8, 2, 9)
    counts = np.random.default_rng(0).integers(0, 4, size=36)
    copies = [np.repeat(rdms, counts, axis=1) for rdms in (models, data, covariates)]
    expected = _by_regression(*copies, comparator, kind)
    found = rsa.partial_compare(models, data, covariates, comparator, kind, weights=counts)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    if comparator == "pearson":
        scaled = rsa.partial_compare(models, data, covariates, comparator, kind, weights=counts * 0.7)
        np.testing.assert_allclose(scaled, expected, atol=1e-12)


@pytest.mark.parametrize("comparator", COMPARATORS)
def test_the_square_of_the_semipartial_is_what_the_model_adds(comparator):
    model, datum, *covariates = np.random.default_rng(9).random((4, 1, 45))
    ranked = [_ranked(rdms, comparator) for rdms in (model, datum, np.concatenate(covariates))]

    def explained(regressors):
        return 1 - np.square(_residual(ranked[1][0], regressors)).sum() / np.square(ranked[1] - ranked[1].mean()).sum()

    added = explained(np.concatenate([ranked[2], ranked[0]])) - explained(ranked[2])
    found = rsa.partial_compare(model, datum, np.concatenate(covariates), comparator, "semipartial")[0, 0]
    assert found**2 == pytest.approx(added, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_covariate_that_has_nothing_to_do_with_either_changes_nothing(kind):
    """One orthogonal to both; of numbers that are their own ranks, rho-a is the same."""
    random = np.random.default_rng(10)
    model, datum = (random.permutation(28).astype(float) for _ in range(2))
    covariate = _residual(random.random(28), np.stack([model, datum]))
    found = rsa.partial_compare(model[None], datum[None], covariate[None], "pearson", kind)
    np.testing.assert_allclose(found, rsa.compare(model[None], datum[None], "spearman"), atol=1e-12)


@every_form
def test_covariates_that_repeat_one_another_count_once(comparator, kind, tied_rdms):
    models, data, covariate = tied_rdms(11, 2, 10), tied_rdms(12, 2, 10), tied_rdms(13, 1, 10)
    expected = rsa.partial_compare(models, data, covariate, comparator, kind)
    repeated = np.concatenate([covariate, 3 * covariate + 1])
    np.testing.assert_allclose(rsa.partial_compare(models, data, repeated, comparator, kind), expected, atol=1e-12)


@every_form
def test_what_the_covariate_alone_explains_is_gone(comparator, kind):
    """Model and data share a covariate and nothing else: 500 simulated studies, correlated before and not after."""
    random = np.random.default_rng(14)
    covariate = random.normal(size=(1, 120))
    models, data = (covariate + random.normal(size=(size, 120)) for size in (25, 20))
    found = rsa.partial_compare(models, data, covariate, comparator, kind).ravel()
    assert rsa.compare(models, data, comparator).mean() > 0.4
    assert abs(found.mean()) < 4 * stats.sem(found)


ONE, TWO, THREE = np.random.default_rng(0).random((3, 2, 15))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((ONE, TWO, THREE), {"comparator": "kendall"}, "unknown comparator with a partial form 'kendall'"),
        ((ONE, TWO, THREE), {"kind": "semi"}, "unknown kind of partial comparison 'semi': did you mean 'semipartial'"),
        ((ONE, TWO, THREE[0]), {}, "the covariate RDMs have shape"),
        ((ONE, TWO[None], THREE), {}, r"data RDMs have shape \(1, 2, 15\).*join leading axes"),
        ((ONE, TWO[:, :10], THREE), {}, "the models' RDMs have 6 conditions.*the data's 5"),
        ((ONE, TWO, THREE[:, :10]), {}, "the covariate RDMs have 5 conditions and the data's 6"),
        ((ONE, TWO, np.ones((1, 15))), {}, "covariate RDM 0 is constant"),
        ((ONE, TWO, ONE[1:]), {}, "the covariates explain model RDM 1 entirely"),
        ((ONE, TWO, 1 - TWO[:1]), {}, "the covariates explain data RDM 0 entirely"),
        ((ONE, TWO, np.random.default_rng(1).random((13, 15))), {}, "13 covariates and a constant leave 1 of 15 pairs free"),
        ((ONE, TWO, THREE), {"weights": np.ones((2, 15))}, r"weights have shape \(2, 15\), but one set is expected"),
        ((ONE, TWO, THREE), {"weights": -np.ones(15)}, "negative"),
    ],
)
@pytest.mark.usefixtures("unchecked_shapes")
def test_unusable_input_is_refused(arguments, options, message):
    with pytest.raises(rsa.InputError, match=message):
        rsa.partial_compare(*arguments, **options)


def test_data_may_be_what_the_covariates_explain_in_the_semipartial_form():
    assert rsa.partial_compare(ONE, THREE, THREE, "pearson", "semipartial") == pytest.approx(np.zeros((2, 2)), abs=1e-12)


def test_a_copy_in_single_precision_is_explained_by_its_covariate():
    """What rounding to 24 bits leaves of a scaled copy is no geometry."""
    random = np.random.default_rng(20)
    covariate, data = random.random((1, 435)).astype(np.float32), random.random((2, 435))
    with pytest.raises(rsa.InputError, match="the covariates explain model RDM 0 entirely"):
        rsa.partial_compare(covariate * np.float32(1.7) + np.float32(0.3), data, covariate, "pearson")
    twice = np.concatenate([covariate, covariate * np.float32(1.7) + np.float32(0.3)])
    expected = rsa.partial_compare(data[:1], data[1:], covariate, "pearson")
    np.testing.assert_allclose(rsa.partial_compare(data[:1], data[1:], twice, "pearson"), expected, atol=1e-6)


@pytest.mark.parametrize("one_length", [False, True])
def test_beyond_an_rdm_of_pixels_is_not_beyond_pixels(one_length):
    """Models and data are noisy linear images of pixels and share nothing else: lengths of patterns are left, where they differ."""
    found = []
    for study in range(100):
        random = np.random.default_rng(study)
        pixels = random.normal(size=(30, 40))
        if one_length:
            pixels = stats.zscore(pixels, axis=1)
        model, datum = (
            pixels @ random.normal(size=(40, size)) + sd * random.normal(size=(30, size)) for size, sd in ((200, 3), (100, 6))
        )
        model, datum, covariate = (rsa.rdm(each[None]) for each in (model, datum, pixels))
        found.append(rsa.partial_compare(model, datum, covariate, "pearson")[0, 0])
    if one_length:
        assert abs(np.mean(found)) < 3 * stats.sem(found)
    else:
        assert 0.02 < np.mean(found) < 0.07 and np.mean(found) > 4 * stats.sem(found)


def test_ranks_leave_a_little_of_what_is_shared():
    """Normal variables that share half of their variance with a covariate alone: 0.012 by the arc-sine law of ranks."""
    random = np.random.default_rng(21)
    covariate = random.normal(size=(60, 4950))
    models, data = (np.sqrt(0.5) * (covariate + random.normal(size=covariate.shape)) for _ in range(2))
    with_covariate, together = (6 / np.pi * np.arcsin(rho / 2) for rho in (np.sqrt(0.5), 0.5))
    expected = {"pearson": 0, "spearman": (together - with_covariate**2) / (1 - with_covariate**2)}
    assert expected["spearman"] == pytest.approx(0.01196, abs=1e-5)
    for comparator, value in expected.items():
        triples = zip(models, data, covariate, strict=True)
        found = [rsa.partial_compare(m[None], d[None], c[None], comparator)[0, 0] for m, d, c in triples]
        assert abs(np.mean(found) - value) < 3 * stats.sem(found)
