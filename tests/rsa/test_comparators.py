import jax
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from rsatoolbox.rdm import RDMs
from rsatoolbox.rdm import compare as rsatoolbox_compare

import rsa

NAMES = sorted(rsa.COMPARATORS)
WEIGHING = [name for name in NAMES if rsa.COMPARATORS[name].weighs_pairs]


def test_every_comparator_has_a_judge(tied_rdms):
    assert NAMES == ["cosine", "kendall", "pearson", "spearman", "whitened_cosine", "whitened_pearson"]


@pytest.mark.parametrize("steps", [3, 12, 10**6])
def test_scores_equal_rsatoolbox(comparator, judge, tied_rdms, steps):
    models, data = tied_rdms(0, 5, 14, steps), tied_rdms(1, 7, 14, steps)
    expected = rsatoolbox_compare(RDMs(models), RDMs(data), judge)
    np.testing.assert_allclose(rsa.compare(models, data, comparator), expected, rtol=0, atol=1e-12)


def test_a_resampled_comparison_equals_rsatoolbox(comparator, judge, tied_rdms, resampled):
    models, data = tied_rdms(2, 4, 12), tied_rdms(3, 5, 12)
    counts = rsa.bootstrap_counts(jax.random.key(5), 1, 12)[0]
    assert (counts > 1).any() and (counts == 0).any()
    expected = rsatoolbox_compare(resampled(models, counts), resampled(data, counts), judge)
    scores = rsa.compare(models, data, comparator, weights=rsa.pair_weights(counts))
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-12)


def test_scores_equal_scipy_where_nothing_ties():
    random = np.random.default_rng(4)
    model, datum = random.random((2, 1, 66))
    for name, judge in (
        ("pearson", scipy.stats.pearsonr),
        ("spearman", scipy.stats.spearmanr),
        ("kendall", scipy.stats.kendalltau),
    ):
        assert rsa.compare(model, datum, name)[0, 0] == pytest.approx(judge(model[0], datum[0])[0], abs=1e-12)


def test_rho_a_is_the_mean_over_random_tie_breaking(tied_rdms):
    model, datum = tied_rdms(6, 1, 10, steps=3), tied_rdms(7, 1, 10, steps=4)
    random = np.random.default_rng(8)

    def broken(values: np.ndarray) -> np.ndarray:
        return np.lexsort((random.random(values.size), values)).argsort()

    samples = [np.corrcoef(broken(model[0]), broken(datum[0]))[0, 1] for _ in range(4000)]
    standard_error = np.std(samples) / np.sqrt(len(samples))
    assert rsa.compare(model, datum, "spearman")[0, 0] == pytest.approx(np.mean(samples), abs=4 * standard_error)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), name=st.sampled_from(WEIGHING), steps=st.sampled_from([4, 1000]))
def test_a_weight_is_a_number_of_copies(seed, name, steps):
    random = np.random.default_rng(seed)
    models, data = (np.ceil(random.random((n, 21)) * steps) for n in (2, 3))
    counts = random.integers(0, 4, size=21)
    counts[:4] += 1
    models[:, :2], data[:, :2] = [1, 2], [2, 1]
    # Forty-five of sixty-three copies at most: pad with weights of zero up to a whole triangle.
    copies = np.repeat(np.arange(21), counts)
    padded = np.concatenate([copies, np.zeros(78 - len(copies), dtype=int)])
    keep = (np.arange(78) < len(copies)).astype(float)
    by_weight = rsa.compare(models, data, name, weights=counts)
    by_copies = rsa.compare(models[:, padded], data[:, padded], name, weights=keep)
    np.testing.assert_allclose(by_weight, by_copies, rtol=0, atol=1e-13)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**31), name=st.sampled_from(NAMES))
def test_order_of_conditions_and_of_arguments_do_not_matter(seed, name):
    random = np.random.default_rng(seed)
    models, data = (np.ceil(random.random((3, 28)) * 9) for _ in range(2))
    scores = rsa.compare(models, data, name)
    np.testing.assert_allclose(rsa.compare(data, models, name), scores.T, atol=1e-13)
    permutation = random.permutation(8)
    moved = [rsa.to_condensed(rsa.to_square(x)[:, permutation][:, :, permutation]) for x in (models, data)]
    np.testing.assert_allclose(rsa.compare(*moved, name), scores, atol=1e-13)
    assert (np.abs(scores) <= 1 + 1e-12).all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_rank_comparators_see_order_alone(seed):
    random = np.random.default_rng(seed)
    models, data = np.ceil(random.random((2, 2, 21)) * 9)
    for name in ("spearman", "kendall"):
        np.testing.assert_array_equal(rsa.compare(models, data, name), rsa.compare(np.exp(models), data**3, name))


@pytest.mark.parametrize("name", NAMES)
def test_an_rdm_without_ties_has_score_one_with_itself_and_minus_one_with_its_reverse(name):
    model = np.random.default_rng(9).permutation(45)[None] + 1.0
    assert rsa.compare(model, model, name)[0, 0] == pytest.approx(1, abs=1e-14)
    if name != "cosine":
        assert rsa.compare(model, -model, name)[0, 0] == pytest.approx(-1, abs=1e-14)


def test_batches_equal_loops(comparator, tied_rdms):
    random = np.random.default_rng(10)
    models, data = tied_rdms(11, 3, 8), np.stack([tied_rdms(seed, 4, 8) for seed in range(5)])
    weights = random.integers(1, 4, size=(5, 28))
    over_times = rsa.compare(models, data, comparator)
    weighted = rsa.compare(models, data, comparator, weights=weights)
    over_models = rsa.compare(np.stack([models, models + 1]), data[0], comparator)
    assert over_times.shape == weighted.shape == (5, 3, 4) and over_models.shape == (2, 3, 4)
    for time in range(5):
        np.testing.assert_allclose(over_times[time], rsa.compare(models, data[time], comparator), atol=1e-14)
        np.testing.assert_array_equal(weighted[time], rsa.compare(models, data[time], comparator, weights[time]))
    np.testing.assert_array_equal(over_models[1], rsa.compare(models + 1, data[0], comparator))


def test_more_rdms_than_are_taken_at_once(tied_rdms):
    models, data = tied_rdms(12, 2, 6), tied_rdms(13, 300, 6)
    np.testing.assert_allclose(
        rsa.compare(models, data, "pearson")[:, 280:], rsa.compare(models, data[280:], "pearson"), atol=1e-14
    )


def _rdms(**changes) -> np.ndarray:
    rdms = np.random.default_rng(14).random((3, 15))
    if "constant" in changes:
        rdms[changes["constant"]] = 0.3
    if "infinite" in changes:
        rdms[changes["infinite"], 4] = np.inf
    return rdms


@pytest.mark.parametrize(
    ("models", "data", "options", "message"),
    [
        (_rdms(), _rdms(), {"comparator": "spearmann"}, "unknown comparator 'spearmann': did you mean 'spearman'"),
        (_rdms(constant=2), _rdms(), {}, "model RDM 2 is constant"),
        (_rdms(), _rdms(constant=1), {"comparator": "pearson"}, "data RDM 1 is constant.*no pearson score"),
        (_rdms(), 0 * _rdms(), {"comparator": "cosine"}, "data RDM 0 is zero everywhere"),
        (_rdms(infinite=0), _rdms(), {}, "model RDM 0 holds infinite"),
        (_rdms(), _rdms(infinite=1), {}, "data RDM 1 holds infinite"),
        (_rdms(), np.stack([_rdms(), _rdms(infinite=2)]), {}, "data RDM 2 of batch entry 1 holds infinite"),
        (_rdms(), _rdms()[:, :10], {}, r"models' RDMs have 6 conditions \(15 pairs\) and the data's 5 \(10 pairs\)"),
        (_rdms()[:, :14], _rdms()[:, :14], {}, "14 is no such number"),
        (_rdms()[:, :1], _rdms()[:, :1], {}, "two conditions"),
        (_rdms()[:0], _rdms(), {}, "no model RDM"),
        (_rdms(), _rdms(), {"weights": -np.ones(15)}, "negative"),
        (_rdms(), _rdms(), {"weights": np.ones(14)}, r"weights have shape \(14,\).*\(..., 15\)"),
        (_rdms(), _rdms(), {"weights": np.eye(15)[0]}, "fewer than two pairs"),
        (np.stack([_rdms()] * 2), np.stack([_rdms()] * 3), {}, "do not broadcast"),
    ],
)
@pytest.mark.usefixtures("unchecked_shapes")
def test_unusable_rdms_are_refused(models, data, options, message):
    with pytest.raises(rsa.InputError, match=message):
        rsa.compare(models, data, **options)


def test_an_rdm_that_is_constant_where_weights_count_is_refused():
    models = _rdms()
    models[1, :5] = 1
    with pytest.raises(rsa.InputError, match="model RDM 1 is constant"):
        rsa.compare(models, _rdms(), weights=(np.arange(15) < 5).astype(float))


def test_a_constant_rdm_has_a_cosine():
    assert rsa.compare(np.ones((1, 15)), _rdms(), "cosine").shape == (1, 3)


@pytest.mark.usefixtures("unchecked_shapes")
def test_a_single_rdm_needs_an_axis():
    with pytest.raises(rsa.InputError, match=r"model RDMs have shape \(15,\).*rdms\[None\]"):
        rsa.compare(_rdms()[0], _rdms())
