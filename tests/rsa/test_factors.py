"""The bootstrap over stimuli, subjects and seeds: rsatoolbox draw by draw, closed forms, and coverage on simulated studies."""

from itertools import combinations

import jax
import numpy as np
import pytest
import rsatoolbox.inference.evaluate as judge
from judges import JUDGES, WHITENED_JUDGES
from rsatoolbox.inference.noise_ceiling import boot_noise_ceiling
from rsatoolbox.model import ModelFixed
from rsatoolbox.rdm import RDMs
from rsatoolbox.util import pooling
from rsatoolbox.util.inference_util import _dual_bootstrap

import rsa
from rsa.factors import subsets

N_CONDITIONS, N_SUBJECTS, N_DRAWS = 10, 5, 8


def draws_of(seed, n_seeds=1):
    draws = rsa.draw_all(jax.random.key(seed), N_DRAWS, N_CONDITIONS, N_SUBJECTS, n_seeds)
    return draws


def dual_bootstrap(monkeypatch, models, data, method, draws):
    """rsatoolbox's dual bootstrap on the draws given."""
    given = iter(zip(draws.stimuli, draws.subjects, strict=True))

    def sample(rdms, rdm_descriptor="index", pattern_descriptor="index"):
        stimuli, subjects = (np.repeat(np.arange(len(count)), count) for count in next(given))
        return rdms.subsample(rdm_descriptor, subjects).subsample_pattern(pattern_descriptor, stimuli), subjects, stimuli

    monkeypatch.setattr(judge, "bootstrap_sample", sample)
    monkeypatch.setattr(judge.tqdm, "trange", range)
    fixed = [ModelFixed(str(index), RDMs(rdm[None].copy())) for index, rdm in enumerate(models)]
    return judge.eval_dual_bootstrap(fixed, RDMs(data.copy()), method=method, N=len(draws.stimuli))


@pytest.mark.parametrize("name", ["pearson", "cosine", "spearman", "kendall", "whitened_pearson", "whitened_cosine"])
def test_equals_rsatoolbox_in_every_draw(name, tied_rdms, monkeypatch):
    """Scores of models under stimuli, subjects and both; ceilings too, where rsatoolbox pools in the comparator's own metric."""
    models, data, draws = tied_rdms(0, 3, N_CONDITIONS), tied_rdms(1, N_SUBJECTS, N_CONDITIONS), draws_of(2)
    result = dual_bootstrap(monkeypatch, models, data, (JUDGES | WHITENED_JUDGES)[name], draws)
    ours = rsa.generalise(None, models, data, name, ceilings=True, draws=draws)
    for index, names in enumerate([("stimuli", "subjects"), ("subjects",), ("stimuli",)]):
        np.testing.assert_allclose(ours.draws[names], result.evaluations[:, :, 0, 0, index], atol=1e-9)
        if name in JUDGES:
            np.testing.assert_allclose(ours.ceilings[names].T, result.noise_ceiling[:, :, 0, index], atol=1e-9)


def test_ceilings_of_whitened_comparators_pool_in_their_own_metric(tied_rdms, resampled, monkeypatch):
    """`rsatoolbox.inference` pools by plain length; `rsatoolbox.util.pooling` whitens, to its solver's tolerance of 1e-5."""
    data, draws = tied_rdms(1, N_SUBJECTS, N_CONDITIONS), draws_of(2)
    monkeypatch.setattr("rsatoolbox.inference.noise_ceiling.pool_rdm", pooling.pool_rdm)
    ours = rsa.generalise(None, data[:1], data, "whitened_cosine", ceilings=True, draws=draws).ceilings[("stimuli", "subjects")]
    ones = np.ones(N_CONDITIONS, dtype=int)
    subjects = rsa.generalise(None, data[:1], data, "whitened_cosine", ceilings=True, draws=draws).ceilings[("subjects",)]
    for draw in range(N_DRAWS):
        sample = resampled(data, ones).subsample("index", np.repeat(np.arange(N_SUBJECTS), draws.subjects[draw]))
        np.testing.assert_allclose(subjects[draw], boot_noise_ceiling(sample, "cosine_cov"), atol=1e-4)
    assert np.all(ours[:, 0] <= ours[:, 1])


def test_seeds_are_drawn_like_subjects(tied_rdms):
    """The mean over seeds and subjects, each as often as drawn."""
    models = tied_rdms(0, 6, N_CONDITIONS).reshape(2, 3, -1)
    data, draws = tied_rdms(1, N_SUBJECTS, N_CONDITIONS), draws_of(3, n_seeds=3)
    result = rsa.generalise(None, models, data, "pearson", factors=("seeds", "stimuli", "subjects"), draws=draws)
    assert result.factors == ("stimuli", "subjects", "seeds") and len(result.draws) == 7
    for draw in range(N_DRAWS):
        weights = rsa.pair_weights(draws.stimuli[draw])
        scores = rsa.compare(models, data, "pearson", weights=weights)
        repeated = np.repeat(np.repeat(scores, draws.seeds[draw], axis=1), draws.subjects[draw], axis=2)
        np.testing.assert_allclose(result.draws[("stimuli", "subjects", "seeds")][draw], repeated.mean(axis=(1, 2)), atol=1e-12)


def test_two_crossed_factors_are_corrected_as_rsatoolbox_does():
    random = np.random.default_rng(0)
    both, one, other = (random.uniform(low, high, 40) for low, high in ((0.5, 2), (0.1, 1), (0.1, 1)))
    ours = rsa.crossed_variance(
        {("stimuli",): one, ("subjects",): other, ("stimuli", "subjects"): both}, {"stimuli": 12, "subjects": 7}
    )
    theirs = _dual_bootstrap(np.stack([both, other, one]), n_rdm=7, n_pattern=12)
    bounded = np.maximum(theirs, np.maximum(other * 7 / 6, one * 12 / 11))  # theirs may end below one factor's own
    # Theirs ends at the variance of both together, which is too small by 1 / n where the factors share no source.
    held = theirs >= both
    assert 5 < held.sum() < 35
    np.testing.assert_allclose(ours[~held], bounded[~held], rtol=1e-12)
    assert np.all(ours >= bounded - 1e-12) and np.all(ours <= np.maximum(both, other * 7 / 6 + one * 12 / 11) + 1e-12)


def test_factors_that_share_no_source_add_up():
    """Drawn together they vary by 1 - 1 / n of what they are."""
    seeds, subjects = 0.8, 0.2
    variances = {("subjects",): np.array(subjects * 15 / 16), ("seeds",): np.array(seeds * 2 / 3)}
    variances["subjects", "seeds"] = variances["subjects",] + variances["seeds",]
    assert rsa.crossed_variance(variances, {"subjects": 16, "seeds": 3}) == pytest.approx(1.0)


def test_three_crossed_factors_are_told_apart():
    """Sources of every order, with the multiplicity that drawing factors together gives them, come out once each."""
    factors, sizes = ("stimuli", "subjects", "seeds"), {"stimuli": 20, "subjects": 8, "seeds": 5}
    random = np.random.default_rng(1)
    sources = {chosen: random.uniform(0.2, 1.0) for size in (1, 2, 3) for chosen in combinations(factors, size)}
    variances = {}
    for drawn in subsets(factors):
        multiplicity = {
            source: np.prod([2 - 1 / sizes[f] for f in source if f in drawn]) - 1 if set(source) & set(drawn) else 0.0
            for source in sources
        }
        variances[drawn] = np.array(sum(sources[source] * multiplicity[source] for source in sources))
    np.testing.assert_allclose(rsa.crossed_variance(variances, sizes), sum(sources.values()), rtol=1e-12)


def simulated(random, n_conditions, n_subjects, n_seeds, relation=1.0):
    """Two equal models with seeds, and subjects: patterns of stimuli are shared, subjects and seeds add their own."""
    shape = (n_conditions, 15)
    shared = random.normal(size=shape)
    model = relation * shared + random.normal(size=(2, 1, *shape)) + 0.7 * random.normal(size=(2, n_seeds, *shape))
    own = random.normal(size=(n_subjects, 1, 15)) * random.normal(size=(1, n_conditions, 1))
    return rsa.rdm(model), rsa.rdm(shared + own + random.normal(size=(n_subjects, *shape)))


@pytest.mark.parametrize(
    "factors", [pytest.param(("stimuli", "subjects"), marks=pytest.mark.thorough), ("stimuli", "subjects", "seeds")]
)
def test_intervals_hold_the_truth_as_often_as_they_say(factors):
    """All three factors are drawn anew in each study; models of one seed leave nothing for a third to vary."""
    n_seeds = 4 if "seeds" in factors else 1
    size = (24, 8, n_seeds)
    truth = np.mean([rsa.compare(*simulated(np.random.default_rng(seed), *size), "pearson").mean() for seed in range(300)])
    random, covered, differ = np.random.default_rng(5), [], []
    for study in range(150):
        result = rsa.generalise(jax.random.key(study), *simulated(random, *size), "pearson", factors=factors, n_draws=200)
        covered.append(result.lower[0] <= truth <= result.upper[0])
        differ.append(rsa.generalised_contrast(result, 0, 1).p_value < 0.05)
    assert 0.90 <= np.mean(covered) <= 0.995, np.mean(covered)
    assert np.mean(differ) <= 0.09, np.mean(differ)


def test_contrasts_are_paired(tied_rdms):
    models = tied_rdms(0, 2, N_CONDITIONS)
    data = tied_rdms(1, N_SUBJECTS, N_CONDITIONS)
    result = rsa.generalise(jax.random.key(0), np.concatenate([models, models[:1]]), data, "spearman", n_draws=50)
    same = rsa.generalised_contrast(result, 0, 2)
    assert same.difference == 0 and same.p_value == 1
    other = rsa.generalised_contrast(result, 0, [1])
    assert np.isclose(other.difference, result.mean[0] - result.mean[1]) and other.lower < other.difference < other.upper
    again = rsa.generalise(jax.random.key(0), np.concatenate([models, models[:1]]), data, "spearman", n_draws=50)
    np.testing.assert_array_equal(again.draws[("stimuli", "subjects")], result.draws[("stimuli", "subjects")])


def test_finished_scores_generalise_like_those_of_rdms(tied_rdms):
    models, data = tied_rdms(4, 3, N_CONDITIONS), tied_rdms(5, N_SUBJECTS, N_CONDITIONS)
    by_seed = np.stack([models, models[::-1], models + models[[1, 2, 0]]], axis=1)
    key = jax.random.key(3)
    whole = rsa.generalise(key, by_seed, data, "pearson", ("subjects", "seeds"), n_draws=50)
    again = rsa.generalise_scores(key, whole.scores, ("subjects", "seeds"), n_draws=50)
    for name in ("mean", "lower", "upper", "standard_error", "p_value"):
        np.testing.assert_allclose(getattr(again, name), getattr(whole, name), rtol=1e-12)
    with pytest.raises(rsa.InputError, match="stimuli"):
        rsa.generalise_scores(key, whole.scores, ("stimuli",))
    with pytest.raises(rsa.InputError, match="shape"):
        rsa.generalise_scores(key, whole.scores[0])


def test_mistakes_are_named(tied_rdms):
    models, data = tied_rdms(0, 2, 8), tied_rdms(1, 3, 8)
    key = jax.random.key(0)
    for arguments, message in (
        ({"factors": ("subjects",)}, "subjects to draw from were 3, at least 4"),
        ({"factors": ("seeds",)}, "seeds to draw from were 1, at least 3"),
        ({"factors": ("stimulus",)}, "did you mean 'stimuli'"),
        ({"factors": "stimuli"}, "factors='stimuli'"),
        ({"factors": ("stimuli",), "n_draws": 1}, "n_draws=1"),
        ({"factors": ("stimuli",), "confidence": 2.0}, "confidence is 2.0"),
    ):
        with pytest.raises(rsa.InputError, match=message):
            rsa.generalise(key, models, data, **arguments)
    result = rsa.generalise(key, models, data, factors=("stimuli",), n_draws=10)
    with pytest.raises(rsa.InputError, match="names a model that is not there"):
        rsa.generalised_contrast(result, 0, 2)
