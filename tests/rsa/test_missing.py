"""Pairs that were not measured count with weight nought: against rsatoolbox where it takes them, and against the definition."""

import jax
import numpy as np
import pytest
from judges import JUDGES, WHITENED_JUDGES
from rsatoolbox.inference import boot_noise_ceiling
from rsatoolbox.rdm import RDMs
from rsatoolbox.rdm import compare as rsatoolbox_compare
from rsatoolbox.util.matrix import get_v
from scipy.stats import kendalltau, rankdata

import rsa
from rsa.bootstrap import condition_permutations

ALL = JUDGES | WHITENED_JUDGES
N = 9
FIRST, SECOND = np.triu_indices(N, 1)
every = pytest.mark.parametrize("name", sorted(ALL))
pytestmark = pytest.mark.filterwarnings("ignore:Noise ceiling for tau")


def _with_holes(rdms, holes):
    return np.where(holes, np.nan, rdms)


@pytest.fixture
def partial(tied_rdms):
    """Two models, one of them with holes, and three subjects with other holes each."""
    random = np.random.default_rng(5)
    holes = random.random((5, N * (N - 1) // 2)) < 0.25
    holes[0] = holes[2] = False
    rdms = _with_holes(np.concatenate([tied_rdms(0, 2, N), tied_rdms(1, 3, N)]), holes)
    return rdms[:2], rdms[2:]


def _definition(name, model, subject, first=FIRST, second=SECOND, copies=None):
    """A score from its definition, over pairs of patterns (first, second) that both RDMs have."""
    kept = np.isfinite(model) & np.isfinite(subject)
    a, b = model[kept], subject[kept]
    if name == "pearson":
        return np.corrcoef(a, b)[0, 1]
    if name == "spearman":
        n = len(a)
        centred = [rankdata(x) - (n + 1) / 2 for x in (a, b)]
        return 12 * centred[0] @ centred[1] / (n**3 - n)
    if name == "kendall":
        signs = [np.sign(x[:, None] - x[None]) for x in (a, b)]
        return (signs[0] * signs[1]).sum() / (len(a) * (len(a) - 1))
    inverse = np.eye(len(a))
    if name.startswith("whitened"):
        # Covariance of estimated dissimilarities: pairs that share a pattern share its noise.
        ends = np.zeros((len(first), max(second.max(), first.max()) + 1))
        ends[np.arange(len(first)), first] = 1
        ends[np.arange(len(first)), second] = 1
        covariance = 2 * np.eye(len(first)) + ends @ ends.T
        inverse = np.linalg.inv(covariance[np.ix_(kept, kept)])
    if name == "whitened_pearson":
        a, b = a - a.mean(), b - b.mean()
    return a @ inverse @ b / np.sqrt((a @ inverse @ a) * (b @ inverse @ b))


def _resampled(rdm, counts):
    """Copies of conditions as patterns of their own, and the pairs of them that are of two conditions."""
    drawn = np.repeat(np.arange(N), counts)
    first, second = np.triu_indices(len(drawn), 1)
    apart = drawn[first] != drawn[second]
    return rsa.to_square(rdm)[drawn[first], drawn[second]][apart], first[apart], second[apart]


def test_the_definition_is_the_fields():
    """The judge above, against SciPy and rsatoolbox's covariance."""
    random = np.random.default_rng(0)
    a, b = random.random((2, 36))
    assert _definition("kendall", a, b) == pytest.approx(kendalltau(a, b).statistic)
    covariance = get_v(N, None).toarray()
    inverse = np.linalg.inv(covariance)
    expected = a @ inverse @ b / np.sqrt((a @ inverse @ a) * (b @ inverse @ b))
    assert _definition("whitened_cosine", a, b) == pytest.approx(expected)


@every
def test_the_same_holes_score_as_rsatoolbox_has_it(name, tied_rdms):
    holes = np.random.default_rng(3).random(N * (N - 1) // 2) < 0.3
    models, data = _with_holes(tied_rdms(0, 2, N), holes), _with_holes(tied_rdms(1, 5, N), holes)
    expected = rsatoolbox_compare(RDMs(models.copy()), RDMs(data.copy()), ALL[name])
    np.testing.assert_allclose(rsa.compare(models, data, name), expected, atol=1e-8)
    if name not in WHITENED_JUDGES:  # whose ceilings rsatoolbox finds by conjugate gradients, and in another place
        bounds = rsa.noise_ceiling(data, name)
        np.testing.assert_allclose(bounds[:2], boot_noise_ceiling(RDMs(data.copy()), ALL[name]), atol=1e-8)


@every
def test_other_holes_in_each_score_what_both_have(name, partial):
    models, data = partial
    expected = [[_definition(name, model, subject) for subject in data] for model in models]
    np.testing.assert_allclose(rsa.compare(models, data, name), expected, rtol=0, atol=1e-12)
    times = rsa.compare(models, np.stack([data, data[::-1]]), name)
    np.testing.assert_allclose(times[1], np.array(expected)[:, ::-1], rtol=0, atol=1e-12)


@every
def test_inference_leaves_the_holes_out(name, partial):
    models, data = partial
    key = jax.random.key(0)
    evaluation = rsa.evaluate(key, models, data, name, n_draws=6, keep_subjects=True)
    counts = rsa.bootstrap_counts(jax.random.split(key)[0], 6, N)
    for scores, count in zip(evaluation.subject_draws, counts, strict=True):
        for i, model in enumerate(models):
            for j, subject in enumerate(data):
                a, first, second = _resampled(model, count)
                expected = _definition(name, a, _resampled(subject, count)[0], first, second)
                assert scores[i, j] == pytest.approx(expected, abs=1e-11)
    without = np.delete(np.arange(N), 4)
    kept = (FIRST != 4) & (SECOND != 4)
    for i, model in enumerate(models):
        expected = [_definition(name, model[kept], subject[kept], *np.triu_indices(len(without), 1)) for subject in data]
        np.testing.assert_allclose(evaluation.subject_jackknife[4, i], expected, rtol=0, atol=1e-11)
    for row, permutation in zip(evaluation.null, condition_permutations(jax.random.split(key)[1], 6, N), strict=True):
        moved = rsa.to_square(data)[:, permutation][:, :, permutation][:, FIRST, SECOND]
        expected = [np.mean([_definition(name, model, subject) for subject in moved]) for model in models]
        np.testing.assert_allclose(row, expected, rtol=0, atol=1e-11)
    contrast = rsa.contrast(evaluation, 0, 1)
    assert np.isfinite(contrast.difference) and contrast.lower < contrast.difference < contrast.upper


@every
def test_an_rdm_of_which_nothing_is_missing_scores_the_same_beside_one_with_holes(name, partial, tied_rdms):
    models, data = tied_rdms(0, 2, N), np.concatenate([tied_rdms(1, 1, N), partial[1][1:]])
    key = jax.random.key(1)
    draws = rsa.draw_all(key, 5, N, 3, 1)
    ours = rsa.generalise(None, models, data, name, ("stimuli",), draws=draws)
    for count, means in zip(draws.stimuli, ours.draws[("stimuli",)], strict=True):
        for i, model in enumerate(models):
            a, first, second = _resampled(model, count)
            expected = np.mean([_definition(name, a, _resampled(subject, count)[0], first, second) for subject in data])
            assert means[i] == pytest.approx(expected, abs=1e-11)


def test_a_ceiling_is_of_those_who_have_the_pair(partial):
    data = partial[1]
    z = np.stack([(x - np.nanmean(x)) / np.nanstd(x) for x in data])
    scores = []
    for subject in range(3):
        others = np.delete(z, subject, axis=0)
        n_known = np.isfinite(others).sum(axis=0)
        mean = np.where(n_known, np.nansum(others, axis=0) / np.maximum(n_known, 1), np.nan)
        scores.append(_definition("pearson", mean, data[subject]))
    assert rsa.noise_ceiling(data, "pearson").lower == pytest.approx(np.mean(scores), abs=1e-12)


def test_what_has_nothing_in_common_is_refused(tied_rdms):
    models, data = tied_rdms(0, 2, N), tied_rdms(1, 2, N)
    half = np.arange(36) < 18
    ours, theirs = _with_holes(models, [half, np.zeros(36, bool)]), _with_holes(data, [np.zeros(36, bool), ~half])
    for ask in (lambda: rsa.compare(ours, theirs), lambda: rsa.evaluate(jax.random.key(0), ours, theirs)):
        with pytest.raises(rsa.InputError, match="model RDM 0 and data RDM 1 have 0 pairs of conditions in common"):
            ask()
    flat = np.where(half, 1.0, models[0])
    with pytest.raises(rsa.InputError, match="model RDM 1 is constant"):
        rsa.compare(np.stack([models[0], flat]), theirs[1:])
    with pytest.raises(rsa.InputError, match="noise covariance was given beside RDMs with missing pairs"):
        rsa.compare(models, theirs, "whitened_cosine", noise=np.ones(N))
    with pytest.raises(rsa.InputError, match="holds infinite dissimilarities"):
        rsa.compare(models, np.where(half, np.inf, data))
    with pytest.raises(rsa.InputError, match="ceilings in every draw were asked for"):
        rsa.generalise(
            jax.random.key(0), models, _with_holes(np.concatenate([data, data]), half), factors=("stimuli",), ceilings=True
        )
    alone = rsa.noise_ceiling(np.stack([_with_holes(data[0], half), _with_holes(data[1], ~half)]))
    assert np.isnan(alone.lower) and alone.withheld.startswith("lower bound: a subject has fewer than two pairs")
