"""Variance partitioning: scikit-learn's R², closed forms, planted parts, and noise that explains nothing of what it never saw."""

from itertools import combinations

import jax
import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LinearRegression

import rsa
from rsa.flexible import splits

N_CONDITIONS = 16
KEY = jax.random.key(2)


def rdms_of(random, n, n_conditions=N_CONDITIONS):
    """RDMs of random patterns."""
    return rsa.rdm(random.normal(size=(n, n_conditions, 10)), "euclidean")


def _study(seed):
    """Three sets that overlap, and four subjects with some of each."""
    random = np.random.default_rng(seed)
    sets = {"a": rdms_of(random, 3), "b": rdms_of(random, 2), "c": rdms_of(random, 1)}
    sets["b"][0] += sets["a"][1]
    return sets, sets["a"][0] + 2 * sets["b"][0] + sets["c"][0] + rdms_of(random, 4)


def _together(parts, chosen):
    """What some sets explain together: all parts in which one of them has a share."""
    return sum(part for names, part in parts.items() if set(names) & set(chosen))


def _every(sets):
    return [chosen for size in range(1, len(sets) + 1) for chosen in combinations(sets, size)]


@pytest.mark.parametrize("n_sets", [2, 3])
def test_what_sets_explain_together_equals_scikit_learn(n_sets):
    sets, data = _study(0)
    sets = dict(list(sets.items())[:n_sets])
    parts = rsa.partition_variance(sets, data)
    assert set(parts) == set(_every(sets))
    for chosen in _every(sets):
        predictors = np.concatenate([sets[name] for name in chosen]).T
        regression = LinearRegression(positive=True)
        expected = [regression.fit(predictors, rdm).score(predictors, rdm) for rdm in data]
        np.testing.assert_allclose(_together(parts, chosen), expected, atol=1e-12)
    for name in sets:
        assert np.all(parts[(name,)] > -1e-12)


def test_held_out_parts_equal_a_loop_of_scikit_learn():
    sets, data = _study(2)
    parts = rsa.partition_variance(sets, data, KEY, 3, 2)
    for chosen in _every(sets):
        predictors = np.concatenate([sets[name] for name in chosen])
        errors, totals = np.zeros(4), np.zeros(4)
        for fitted, known, scored, new in splits(KEY, N_CONDITIONS, 4, 3, 2):
            mean, spread = data[:, fitted].mean(axis=1, keepdims=True), data[:, fitted].std(axis=1, keepdims=True)
            scaled = (data - mean) / spread
            regression = LinearRegression(positive=True)
            regression.fit(predictors[:, fitted].T, scaled[np.ix_(known, fitted)].mean(axis=0))
            observed = scaled[np.ix_(new, scored)]
            errors[new] += np.square(observed - regression.predict(predictors[:, scored].T)).sum(axis=1)
            totals[new] += np.square(observed).sum(axis=1)
        np.testing.assert_allclose(_together(parts, chosen), 1 - errors / totals, atol=1e-10)


def test_what_one_rdm_adds_is_its_squared_semipartial_correlation():
    sets, data = _study(1)
    sets = {"a": sets["a"][:1], "b": sets["b"][:1]}
    parts = rsa.partition_variance(sets, data)
    for name, other in (("a", "b"), ("b", "a")):
        semipartial = rsa.partial_compare(sets[name], data, sets[other], "pearson", "semipartial")[0]
        assert np.all(semipartial > 0)
        np.testing.assert_allclose(parts[(name,)], semipartial**2, atol=1e-12)


def test_orthogonal_parts_are_found_exactly():
    """The second set holds the first one's RDM and one of its own, the third something else."""
    basis, _ = np.linalg.qr(np.column_stack([np.ones(28), np.random.default_rng(1).normal(size=(28, 4))]))
    a, b, c, rest = basis.T[1:]
    sets = {"a": a[None], "ab": np.stack([a, b]), "c": c[None]}
    parts = rsa.partition_variance(sets, (3 * a + 2 * b + c + rest)[None])
    expected = {("a", "ab"): 9 / 15, ("ab",): 4 / 15, ("c",): 1 / 15}
    for names, part in parts.items():
        assert part[0] == pytest.approx(expected.get(names, 0), abs=1e-12)


def test_parts_of_variance_add_up_and_are_where_they_were_planted():
    random = np.random.default_rng(6)
    own, other, both = rdms_of(random, 3)
    data = own + 2 * both + 0.05 * random.normal(size=(3, 120))
    parts = rsa.partition_variance({"a": np.stack([own, both]), "b": np.stack([other, both])}, data)
    assert set(parts) == {("a",), ("b",), ("a", "b")}
    assert np.all(parts[("a",)] > 0.1) and np.all(np.abs(parts[("b",)]) < 0.02) and np.all(parts[("a", "b")] > 0.5)
    alone = rsa.partition_variance({"a": own[None], "b": other[None], "c": both[None]}, data)
    assert len(alone) == 7
    np.testing.assert_allclose(sum(alone.values()), sum(parts.values()), atol=1e-10)


def test_noise_explains_nothing_of_what_it_was_not_fitted_to():
    """200 studies: what noise explains of the pairs that it was fitted to is plain, of others it is below zero."""
    random, within, held_out = np.random.default_rng(3), [], []
    for study in range(200):
        sets = {name: rdms_of(random, 4) for name in "ab"}
        # Subjects share noise, which layers fit by chance in all of them.
        data = rdms_of(random, 1) + rdms_of(random, 4)
        within.append(rsa.partition_variance(sets, data)[("a",)].mean())
        held_out.append(rsa.partition_variance(sets, data, jax.random.key(study))[("a",)].mean())
    assert np.mean(within) / stats.sem(within) > 12
    assert np.mean(held_out) < 0


def test_planted_parts_are_found_in_other_stimuli_and_subjects():
    random = np.random.default_rng(4)
    own, common, other = rdms_of(random, 3, 40)
    sets = {"a": np.stack([own, common]), "b": common[None], "c": other[None]}
    parts = rsa.partition_variance(sets, own + common + 0.5 * rdms_of(random, 8, 40), KEY)
    found = {"".join(names): part.mean() for names, part in parts.items()}
    assert found.pop("a") > 0.3 and found.pop("ab") > 0.3
    assert max(abs(part) for part in found.values()) < 0.1


ONE = rdms_of(np.random.default_rng(6), 3, 9)


@pytest.mark.parametrize(
    ("sets", "data", "options", "message"),
    [
        ({"a": ONE}, ONE, {}, "1 sets of layers"),
        ({name: ONE for name in "abcd"}, ONE, {}, "4 sets of layers were given: variance is parted between two or three"),
        ({"a": ONE, "b": ONE[None]}, ONE, {}, "the 'b' RDMs have shape"),
        ({"a": ONE, "b": ONE}, ONE[None], {}, "the data RDMs have shape"),
        ({"a": ONE, "b": np.where(ONE == ONE[0, 3], np.nan, ONE)}, ONE, {}, "'b' RDM 0 holds NaN"),
        ({"a": ONE, "b": np.ones((1, 36))}, ONE, {}, "'b' RDM 0 is constant"),
        ({"a": ONE, "b": ONE}, np.ones((1, 36)), {}, "data RDM 0 is constant"),
        ({"a": ONE[:, :21], "b": ONE}, ONE, {}, "same conditions"),
        ({"a": np.tile(ONE, (12, 1)), "b": ONE}, ONE, {}, "39 layers in all cannot be weighted by 36 pairs: give at most 34"),
        ({"a": ONE, "b": ONE}, ONE, {"key": KEY, "n_condition_folds": 2}, "6 layers in all cannot be weighted by 6 pairs"),
        ({"a": ONE, "b": ONE}, ONE, {"key": KEY}, "9 stimuli in 3 folds"),
        ({"a": ONE, "b": ONE}, ONE[:1], {"key": KEY, "n_condition_folds": 2}, "1 subjects in 2 folds"),
    ],
)
@pytest.mark.usefixtures("unchecked_shapes")
def test_mistakes_are_named(sets, data, options, message):
    with pytest.raises(rsa.InputError, match=message):
        rsa.partition_variance(sets, data, **options)
