"""Searchlights against permuted conditions: the scores and the count written out, and how often nothing is found."""

import jax
import numpy as np
import pytest
from scipy.stats import binomtest

import rsa
from rsa import permuted_searchlights as module
from rsa.bootstrap import condition_permutations

N, SHAPE = 10, (4, 4, 3)


@pytest.fixture(scope="module")
def study():
    """Three subjects of other masks, the places that all have, and three models of which two are seeds of one."""
    random = np.random.default_rng(0)
    masks = [np.ones(SHAPE, bool), np.ones(SHAPE, bool), np.ones(SHAPE, bool)]
    masks[1][0, 0, 0] = masks[2][3, 3] = False
    spheres = [rsa.volume_neighbourhoods(mask, 1.8, 0.5) for mask in masks]
    kept = [set(np.flatnonzero(mask)[each.centres].tolist()) for mask, each in zip(masks, spheres, strict=True)]
    places = sorted(set.intersection(*kept))
    members = []
    for mask, each in zip(masks, spheres, strict=True):
        of_place = dict(zip(np.flatnonzero(mask)[each.centres].tolist(), each.members, strict=True))
        members.append([of_place[place] for place in places])
    patterns = [random.normal(size=(N, mask.sum())) for mask in masks]
    return patterns, members, rsa.rdm(random.normal(size=(3, N, 12)))


@pytest.mark.parametrize("comparator", ["spearman", "pearson", "cosine"])
@pytest.mark.parametrize("distance", ["correlation", "euclidean"])
def test_equals_searchlights_of_permuted_models_counted_one_by_one(study, comparator, distance, monkeypatch):
    patterns, members, models = study
    groups, n_draws = [[0, 1], [2]], 39
    monkeypatch.setattr(module, "NUMBERS_AT_ONCE", 500)  # several blocks of places
    told = []
    found = rsa.searchlight_permutations(
        jax.random.key(3), patterns, members, models, comparator, distance, n_draws, groups, lambda *line: told.append(line[:2])
    )
    square, pool = rsa.to_square(models), []
    for permutation in (np.arange(N), *condition_permutations(jax.random.key(3), n_draws, N)):
        moved = rsa.to_condensed(square[:, permutation][:, :, permutation])
        of_subjects = [rsa.searchlight(one, each, moved, comparator, distance) for one, each in zip(patterns, members, strict=True)]
        mean = np.mean(of_subjects, axis=0)
        pool.append(np.stack([mean[:, group].mean(axis=1) for group in groups], axis=1))
    pool = np.stack(pool)
    z = (pool - pool.mean(axis=0)) / pool.std(axis=0)
    largest = z.max(axis=(1, 2))
    np.testing.assert_allclose(found.mean, pool[0], atol=1e-12)
    np.testing.assert_allclose(found.largest, largest, rtol=1e-9)
    np.testing.assert_allclose(found.p_value, (largest[:, None, None] >= z[0] - 1e-9).mean(axis=0))
    assert len(told) > 1 and told[-1] == (len(members[0]), len(members[0]))


def test_subjects_who_share_a_geometry_and_no_model_are_found_in_five_percent():
    """Flips of their signs find something in most studies, for these stimuli; a planted model is found by both."""
    mask = np.ones((3, 3, 3), bool)
    spheres, n_studies, found, flipped, planted = rsa.volume_neighbourhoods(mask, 1.8), 100, 0, 0, 0
    for number in range(n_studies):
        random = np.random.default_rng(number)
        shared = random.normal(size=(16, 27))
        patterns = [shared + 0.5 * random.normal(size=shared.shape) for _ in range(8)]
        unrelated = rsa.rdm(random.normal(size=(1, 16, 20)))
        key, given = jax.random.key(number), (patterns, [spheres] * 8)
        found += rsa.searchlight_permutations(key, *given, unrelated, n_draws=99).p_value.min() <= 0.05
        flipped += rsa.sign_flips(key, rsa.searchlight(np.stack(patterns), spheres, unrelated), 255).p_value.min() <= 0.05
        if number < 5:
            model = rsa.rdm(shared[None, :, spheres.members[13]])
            planted += rsa.searchlight_permutations(key, *given, model, n_draws=99).p_value[13, 0] <= 0.05
    assert binomtest(int(found), n_studies, 0.05).pvalue > 0.01
    assert flipped > n_studies / 2
    assert planted == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"comparator": "kendall"}, "unknown comparator with an inner product 'kendall'"),
        ({"n_draws": 0}, "0 draws"),
        ({"model_rdms": np.arange(10.0)[None]}, r"the models' RDMs have shape \(1, 10\)"),
        ({"neighbourhoods": [[[0, 1, 2]], [[0, 1, 2]], [[0, 1, 2], [1, 2, 3]]]}, "1, 1, 2 places"),
        ({"patterns": [np.ones((N, 48))] * 3, "neighbourhoods": [[[0, 1, 2]]] * 3}, "no score in one of the subjects"),
    ],
)
def test_mistakes_are_said(study, change, message):
    patterns, members, models = study
    given = {"patterns": patterns, "neighbourhoods": members, "model_rdms": models, "n_draws": 9} | change
    with pytest.raises(rsa.InputError, match=message):
        rsa.searchlight_permutations(jax.random.key(0), **given)


def test_five_conditions_are_too_few():
    with pytest.raises(rsa.InputError, match="5 conditions are too few"):
        rsa.searchlight_permutations(
            jax.random.key(0), [np.random.default_rng(0).normal(size=(5, 4))], [[[0, 1, 2, 3]]], np.arange(10.0)[None]
        )
