import jax
import numpy as np
import pytest
from rsatoolbox.inference import eval_bootstrap_pattern
from rsatoolbox.model import ModelFixed
from rsatoolbox.rdm import RDMs

import rsa
from rsa.bootstrap import condition_permutations
from rsa.inference import _resample
from rsa.missing import prepare

pytestmark = pytest.mark.filterwarnings("ignore:Noise ceiling for tau")
KEY = jax.random.key(0)


@pytest.mark.costly(cases=2)
def test_draws_equal_rsatoolbox_on_the_same_draws(comparator, judge, tied_rdms, monkeypatch):
    """rsatoolbox draws from NumPy's global state; it is fixed here, and its draws are given to our engine."""
    models, data = tied_rdms(0, 3, 8), tied_rdms(1, 4, 8)
    np.random.seed(3)  # noqa: NPY002
    drawn = np.stack([np.random.randint(0, 8, size=8) for _ in range(20)])  # noqa: NPY002
    counts = np.stack([np.bincount(row, minlength=8) for row in drawn])
    np.random.seed(3)  # noqa: NPY002
    fixed = [ModelFixed(str(i), RDMs(model[None])) for i, model in enumerate(models)]
    expected = eval_bootstrap_pattern(fixed, RDMs(data), method=judge, N=20, boot_noise_ceil=False).evaluations
    monkeypatch.setattr("rsa.inference.bootstrap_counts", lambda *_: counts)
    evaluation = rsa.evaluate(KEY, models, data, comparator, n_draws=20)
    np.testing.assert_allclose(evaluation.draws, expected, rtol=0, atol=1e-12)


def test_fields_say_what_they_hold(comparator, tied_rdms):
    models, data = tied_rdms(2, 3, 8), tied_rdms(3, 4, 8)
    evaluation = rsa.evaluate(KEY, models, data, comparator, n_draws=20)
    np.testing.assert_array_equal(evaluation.scores, rsa.compare(models, data, comparator))
    np.testing.assert_array_equal(evaluation.mean, evaluation.scores.mean(axis=1))
    assert evaluation.draws.shape == evaluation.null.shape == (20, 3) and evaluation.jackknife.shape == (8, 3)
    assert evaluation.lower.shape == evaluation.upper.shape == (3, 4)
    assert (evaluation.lower < evaluation.scores).all() and (evaluation.scores < evaluation.upper).all()
    assert (evaluation.mean_lower < evaluation.mean).all() and (evaluation.mean < evaluation.mean_upper).all()
    assert evaluation.ceiling == rsa.noise_ceiling(data, comparator)
    assert all(array.dtype == np.float64 for array in evaluation[:11])


def test_one_subject_has_the_interval_of_the_mean(comparator, tied_rdms):
    evaluation = rsa.evaluate(KEY, tied_rdms(4, 2, 9), tied_rdms(5, 1, 9), comparator, n_draws=30)
    np.testing.assert_allclose(evaluation.lower[:, 0], evaluation.mean_lower, atol=1e-14)
    assert np.isnan(evaluation.ceiling.lower)


def test_jackknife_leaves_one_condition_out(comparator, tied_rdms):
    models, data = tied_rdms(6, 3, 8), tied_rdms(7, 4, 8)
    keep = np.delete(np.arange(8), 5)
    without = [rsa.to_condensed(rsa.to_square(x)[:, keep][:, :, keep]) for x in (models, data)]
    jackknife = rsa.evaluate(KEY, models, data, comparator, n_draws=20).jackknife
    np.testing.assert_allclose(jackknife[5], rsa.compare(*without, comparator).mean(axis=1), rtol=0, atol=1e-13)


def test_the_null_permutes_conditions_and_not_entries(comparator, tied_rdms):
    models, data = tied_rdms(8, 3, 8), tied_rdms(9, 4, 8)
    evaluation = rsa.evaluate(KEY, models, data, comparator, n_draws=20)
    permutations = condition_permutations(jax.random.split(KEY)[1], 20, 8)
    for row, permutation in zip(evaluation.null, permutations, strict=True):
        moved = rsa.to_condensed(rsa.to_square(data)[:, permutation][:, :, permutation])
        np.testing.assert_allclose(row, rsa.compare(models, moved, comparator).mean(axis=1), rtol=0, atol=1e-13)
    as_high = (evaluation.null >= evaluation.mean).sum(axis=0)
    np.testing.assert_allclose(evaluation.p_value, (1 + as_high) / 21)


def test_one_key_is_one_result_and_another_key_another(comparator, tied_rdms):
    models, data = tied_rdms(10, 3, 8), tied_rdms(11, 4, 8)
    same = [rsa.evaluate(jax.random.key(seed), models, data, comparator, n_draws=20) for seed in (1, 1, 2)]
    for ours, again in zip(same[0][:11], same[1][:11], strict=True):
        np.testing.assert_array_equal(ours, again)
    assert (same[0].draws != same[2].draws).any()


def test_no_draws_give_scores_without_intervals(comparator, tied_rdms):
    evaluation = rsa.evaluate(KEY, tied_rdms(14, 3, 8), tied_rdms(15, 4, 8), comparator, n_draws=0)
    assert evaluation.draws.shape == (0, 3) and np.isfinite(evaluation.scores).all()
    for field in ("lower", "upper", "mean_lower", "mean_upper", "standard_error", "p_value"):
        assert np.isnan(getattr(evaluation, field)).all()
    assert np.isnan(rsa.contrast(evaluation, 0, 1).p_value)
    assert np.isnan(rsa.aggregate(evaluation, [[0, 1]]).lower).all()


def test_times_share_the_draws_and_equal_a_loop(comparator, tied_rdms):
    models, data = tied_rdms(16, 3, 8), np.stack([tied_rdms(seed, 4, 8) for seed in (17, 18)])
    together = rsa.evaluate(KEY, models, data, comparator, n_draws=20)
    contrast = rsa.contrast(together, [0, 1], [2])
    means = rsa.aggregate(together, [[0, 1], [2], 1])
    assert contrast.difference.shape == (2,) and means.mean.shape == (2, 3)
    for time in range(2):
        alone = rsa.evaluate(KEY, models, data[time], comparator, n_draws=20)
        for name in rsa.Evaluation._fields[:11]:
            np.testing.assert_array_equal(getattr(together, name)[time], getattr(alone, name))
        assert together.ceiling.lower[time] == alone.ceiling.lower
        for ours, one in zip(contrast, rsa.contrast(alone, [0, 1], [2]), strict=True):
            np.testing.assert_allclose(ours[time], one)
        for ours, one in zip(means, rsa.aggregate(alone, [[0, 1], [2], 1]), strict=True):
            np.testing.assert_allclose(ours[time], one)


def test_draws_with_too_few_distinct_conditions_have_no_score(tied_rdms):
    models, data = tied_rdms(19, 2, 6), tied_rdms(20, 2, 6)
    measure = rsa.COMPARATORS["spearman"]
    counts = np.array([[3, 3, 0, 0, 0, 0], [2, 2, 2, 0, 0, 0]])
    with jax.enable_x64(True):
        prepared = [prepare(measure, rdms) for rdms in (models, data)]
        resampled = _resample(measure, *prepared, data, counts, np.arange(6)[None])
    assert np.isnan(resampled.draws[0]).all() and np.isfinite(resampled.draws[1]).all()


def test_draws_on_which_a_model_is_constant_have_no_pearson_score(tied_rdms):
    category = np.array([1, 0, 0, 0, 0, 0, 0, 0])
    model = (category[:, None] != category[None, :]).astype(float)[np.triu_indices(8, 1)][None]
    evaluation = rsa.evaluate(KEY, model, tied_rdms(21, 3, 8), "pearson", n_draws=300)
    drawn = np.isfinite(evaluation.draws[:, 0])
    # The odd condition is missing from (7/8)^8 = 34 % of the draws.
    assert 0.2 < 1 - drawn.mean() < 0.5
    assert np.isfinite(evaluation.mean_lower).all() and np.isnan(evaluation.jackknife[0, 0])


def test_a_contrast_is_paired(comparator, tied_rdms):
    models, data = tied_rdms(22, 3, 8), tied_rdms(23, 4, 8)
    evaluation = rsa.evaluate(KEY, models, data, comparator, n_draws=20)
    forth, back = rsa.contrast(evaluation, a=[0, 1], b=[2]), rsa.contrast(evaluation, a=[2], b=[0, 1])
    assert forth.difference == pytest.approx(evaluation.mean[:2].mean() - evaluation.mean[2])
    assert (forth.difference, forth.lower, forth.p_value) == pytest.approx((-back.difference, -back.upper, back.p_value))
    assert rsa.contrast(evaluation, 0, 0)[:4] == pytest.approx((0, 0, 0, 0))
    # Two models that share their noise differ by less than each of them varies.
    near = rsa.evaluate(KEY, np.stack([models[0], models[0] + 0.01 * models[1], models[2]]), data, "pearson", n_draws=20)
    assert rsa.contrast(near, 0, 1).standard_error < near.standard_error[0] / 10


def test_a_group_of_one_is_the_model(comparator, tied_rdms):
    evaluation = rsa.evaluate(KEY, tied_rdms(24, 3, 8), tied_rdms(25, 4, 8), comparator, n_draws=20)
    means = rsa.aggregate(evaluation, [0, [1], [1, 2]])
    np.testing.assert_allclose(means.mean[:2], evaluation.mean[:2])
    np.testing.assert_allclose(means.lower[:2], evaluation.mean_lower[:2])
    np.testing.assert_allclose(means.p_value[:2], evaluation.p_value[:2])
    assert means.mean[2] == pytest.approx(evaluation.mean[1:].mean())


def test_a_planted_model_is_found_and_wins(comparator):
    random = np.random.default_rng(26)
    planted, other = random.normal(size=(2, 24, 15))
    subjects = planted + random.normal(size=(6, 24, 15))
    evaluation = rsa.evaluate(KEY, rsa.rdm(np.stack([planted, other])), rsa.rdm(subjects), comparator, n_draws=200)
    assert evaluation.p_value[0] == pytest.approx(1 / 201) and evaluation.p_value[1] > 0.01
    difference = rsa.contrast(evaluation, 0, 1)
    assert difference.lower > 0 and difference.p_value < 0.001


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"comparator": "spear"}, "unknown comparator 'spear'"),
        ({"confidence": 95}, "confidence is 95, but a share between 0 and 1"),
        ({"n_draws": -3}, "-3 draws were asked for"),
        ({"model_rdms": np.random.default_rng(0).random((2, 2, 28))}, "evaluate takes \\(n_models, n_pairs\\)"),
        ({"model_rdms": np.random.default_rng(0).random((2, 21))}, "7 conditions"),
        ({"model_rdms": np.ones((2, 28))}, "model RDM 0 is constant"),
        ({"data_rdms": np.ones((2, 28))}, "data RDM 0 is constant"),
        (
            {name: np.random.default_rng(0).random((2, 10)) for name in ("model_rdms", "data_rdms")},
            "5 conditions are too few to resample, at least 6 are needed: use n_draws=0",
        ),
    ],
)
@pytest.mark.usefixtures("unchecked_shapes")
def test_unusable_input_is_refused(change, message, tied_rdms):
    given = {"model_rdms": tied_rdms(27, 2, 8), "data_rdms": tied_rdms(28, 2, 8), "n_draws": 5, **change}
    with pytest.raises(rsa.InputError, match=message):
        rsa.evaluate(KEY, **given)


@pytest.mark.parametrize("group", [7, -4, [], [0, 3], [[0, 1]], [0.5]])
@pytest.mark.usefixtures("unchecked_shapes")
def test_models_that_are_not_there_are_refused(group, tied_rdms):
    evaluation = rsa.evaluate(KEY, tied_rdms(29, 3, 6), tied_rdms(30, 2, 6), n_draws=0)
    for ask in (lambda: rsa.contrast(evaluation, group, 0), lambda: rsa.aggregate(evaluation, [group])):
        with pytest.raises(rsa.InputError, match="models 0 to 2|no group of models"):
            ask()
    with pytest.raises(rsa.InputError, match="no group to average"):
        rsa.aggregate(evaluation, [])
