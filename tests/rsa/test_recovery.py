"""Model recovery: sure where candidates are clearly different, chance where there is nothing to recover."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import binom

import rsa

KEY = jax.random.key(0)
QUICK = {"n_partitions": 1, "n_channels": 40}


def _candidates(seed: int, names: str = "abcd", own: float = 1.0, n_conditions: int = 24, n_seeds: int = 2, n_layers: int = 1):
    """Networks of rules: a layer's patterns are common to all, to the rule by `own`, and to the seed."""
    random = np.random.default_rng(seed)
    shape = n_conditions, 20
    common = [random.normal(size=shape) for _ in range(n_layers)]
    found = {}
    for name in names:
        of_rule = [layer + own * random.normal(size=shape) for layer in common]
        found[name] = [[layer + 0.2 * random.normal(size=shape) for layer in of_rule] for _ in range(n_seeds)]
    return found


def _within_chance(rate: float, chance: float, n: int) -> bool:
    low, high = binom.interval(0.999, n, chance)
    return low <= rate * n <= high


@pytest.mark.parametrize(("measure", "comparator"), [("correlation", "spearman"), ("crossnobis", "whitened_cosine")])
def test_clearly_different_candidates_are_recovered(measure, comparator):
    candidates = _candidates(0, names="abc", own=2.0)
    found = rsa.model_recovery(KEY, candidates, 0.5, 5, measure, comparator, n_simulations=12, n_runs=2, **QUICK)
    assert found.rate == 1 and 0.85 < found.lower < 1 and found.upper == 1
    assert_array_equal(found.confusion, 12 * np.eye(3, dtype=int))
    others = ~np.eye(3, dtype=bool)
    assert_array_equal(found.pairwise[others], 1)
    assert_array_equal(found.told_apart[others], 1)
    assert found.names == tuple("abc") and found.chance == 1 / 3
    assert_allclose(found.achieved, 0.5, atol=0.08)
    assert (found.scores.argmax(axis=1) == np.arange(3)).all()


def test_noise_alone_recovers_by_chance():
    """Though one candidate may win noise more often than others, whichever it is said to come from."""
    found = rsa.model_recovery(KEY, _candidates(1), 0.0, 3, n_simulations=80, n_channels=20, n_partitions=1)
    assert _within_chance(found.rate, 0.25, 320)
    assert abs(found.achieved.mean()) < 0.03
    assert np.nanmean(found.pairwise) == pytest.approx(0.5, abs=0.07)


def test_a_candidate_that_scores_higher_on_any_data_is_not_told_apart_by_that():
    """One is what the networks of both have in common without their own noise: data of either are more like it."""
    candidates = _candidates(10, names="ab", own=0.0)
    candidates["b"] = [[np.mean([candidates[name][seed][0] for name in "ab" for seed in range(2)], axis=0)] for _ in range(2)]
    candidates["a"] = [
        [layer + np.random.default_rng(seed).normal(size=layer.shape) for layer in candidates["a"][seed]] for seed in (0, 1)
    ]
    found = rsa.model_recovery(KEY, candidates, 0.3, 4, n_simulations=30, **QUICK)
    assert found.pairwise[0, 1] < 0.3 and found.pairwise[1, 0] > 0.9
    assert found.told_apart[0, 1] == found.told_apart[1, 0] == (found.pairwise[0, 1] + found.pairwise[1, 0]) / 2


def test_candidates_that_are_alike_share_the_wins():
    networks = _candidates(2, names="a")["a"]
    found = rsa.model_recovery(KEY, {"a": networks, "b": networks}, 0.5, 3, n_simulations=60, **QUICK)
    assert _within_chance(found.rate, 0.5, 120) and (found.confusion > 15).all()
    assert found.pairwise[0, 1] == found.pairwise[1, 0] == 0.5


def test_what_is_recovered_is_the_rule_and_not_the_network():
    """Networks that share nothing with other seeds of their rule are not recovered, however clear the data."""
    random = np.random.default_rng(3)
    found = rsa.model_recovery(
        KEY, {name: [[random.normal(size=(24, 20))] for _ in range(3)] for name in "abcd"}, 0.7, 4, n_simulations=30, **QUICK
    )
    assert found.rate < 0.5 and np.abs(found.scores).max() < 0.25


def test_the_order_and_number_of_candidates_change_no_candidates_studies():
    candidates = _candidates(4, own=0.5)
    options = {"n_simulations": 10, **QUICK}
    found = rsa.model_recovery(KEY, candidates, 0.2, 3, **options)
    order = [2, 0, 3, 1]
    turned = rsa.model_recovery(KEY, {"abcd"[each]: candidates["abcd"[each]] for each in order}, 0.2, 3, **options)
    assert turned.names == tuple("cadb")
    assert_array_equal(turned.confusion, found.confusion[order][:, order])
    for name in ("rates", "rates_lower", "rates_upper", "achieved"):
        assert_array_equal(getattr(turned, name), getattr(found, name)[order])
    assert_array_equal(turned.pairwise, found.pairwise[order][:, order])
    fewer = rsa.model_recovery(KEY, {name: candidates[name] for name in "db"}, 0.2, 3, **options)
    assert_allclose(fewer.scores, found.scores[[3, 1]][:, [3, 1]], atol=1e-12)
    again = rsa.model_recovery(jax.random.key(1), candidates, 0.2, 3, **options)
    assert (again.scores != found.scores).all()


def test_scores_are_those_of_the_seeds_that_data_did_not_come_from():
    """One study, its subjects' RDMs kept, scored by hand."""
    from rsa import simulated_studies

    candidates = _candidates(5, names="ab", n_seeds=3, n_layers=2)
    kept = []
    simulate = simulated_studies.simulate

    def watched(*arguments):
        kept.append(simulate(*arguments))
        return kept[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulated_studies, "simulate", watched)
        found = rsa.model_recovery(KEY, candidates, 0.3, 4, n_simulations=1, scoring="known", generating_layer=1, **QUICK)
    for study, row in zip(kept, found.scores, strict=True):
        expected = []
        for networks in candidates.values():
            # The first study of a candidate comes from its first seed.
            rdms = np.stack([rsa.rdm(network[1]) for network in networks[1:]])
            ranks, subjects = (np.argsort(np.argsort(each, axis=1), axis=1) for each in (rdms, study[0]))
            expected.append(np.corrcoef(np.concatenate([ranks, subjects]))[:2, 2:].mean())
        assert_allclose(row, expected, atol=1e-10)


def test_layers_take_turns_are_drawn_or_one_is_asked_for():
    """The first layers differ, the second are the same network's in both candidates: only data of the first tell them apart."""
    candidates = _candidates(6, names="ab", own=3.0, n_layers=2)
    for mine, other in zip(candidates["a"], candidates["b"], strict=True):
        other[1] = mine[1]
    options = {"n_simulations": 16, "scoring": "known", **QUICK}
    first, second, turns, drawn = (
        rsa.model_recovery(KEY, candidates, 0.5, 4, generating_layer=each, **options) for each in (0, -1, "in turn", "drawn")
    )
    assert first.pairwise[0, 1] == 1 and second.pairwise[0, 1] == 0.5 and turns.pairwise[0, 1] == 0.75
    assert 0.5 < drawn.pairwise[0, 1] < 1
    best = rsa.model_recovery(KEY, candidates, 0.5, 4, generating_layer=0, n_simulations=16, **QUICK)
    assert best.rate == 1 and not np.allclose(best.scores, first.scores)


def test_recovery_rises_with_conditions_and_with_subjects():
    candidates = _candidates(7, names="abcde", own=0.6, n_conditions=48)
    options = {"n_simulations": 24, **QUICK}
    few, many = rsa.recovery_by_conditions(KEY, candidates, [12, 48], 0.05, 2, **options)
    assert few.rate + 0.3 < many.rate
    (more,) = rsa.recovery_by_conditions(KEY, candidates, [12], 0.05, 12, **options)
    assert few.rate < more.rate


def test_all_conditions_are_the_study_itself():
    candidates = _candidates(4, names="ab")
    whole = rsa.model_recovery(KEY, candidates, 0.2, 3, n_simulations=3, **QUICK)
    (found,) = rsa.recovery_by_conditions(KEY, candidates, [24], 0.2, 3, n_simulations=3, **QUICK)
    assert_array_equal(found.scores, whole.scores)


def test_rdms_do_as_well_as_patterns():
    candidates = _candidates(8, names="ab", own=0.5)
    as_rdms = {
        name: [[rsa.rdm(layer, "euclidean") for layer in network] for network in networks] for name, networks in candidates.items()
    }
    options = {"measure": "euclidean", "comparator": "pearson", "n_simulations": 6, **QUICK}
    both = [rsa.recovery_by_conditions(KEY, each, [14, 24], 0.3, 3, **options) for each in (candidates, as_rdms)]
    for ours, theirs in zip(*both, strict=True):
        assert_allclose(ours.scores, theirs.scores, atol=1e-6)


def test_one_subject_is_scored_too():
    found = rsa.model_recovery(KEY, _candidates(9, own=2.0, n_conditions=40), 0.6, 1, n_simulations=10, n_partitions=1)
    assert found.rate == 1 and found.achieved.mean() == pytest.approx(0.6, abs=0.05)


def _three_seeds(candidates):
    candidates["b"].append(candidates["b"][0])


def _one_seed(candidates):
    for networks in candidates.values():
        del networks[1]


def _constant(candidates):
    candidates["b"][1][0] = np.full((24, 20), 2.0)


def _other_conditions(candidates):
    candidates["b"][1][1] = np.random.default_rng(0).normal(size=(23, 20))


def _fewer_layers(candidates):
    for network in candidates["b"]:
        del network[1]


def _one_network_with_fewer(candidates):
    del candidates["b"][1][1]


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (_one_seed, {}, r"have 1 \(a\), 1 \(b\) seeds.*at least two.*left out of the scoring"),
        (_three_seeds, {}, r"2 \(a\), 3 \(b\) seeds: each needs as many"),
        (lambda candidates: candidates.pop("b"), {}, r"1 candidate\(s\) were given: at least two"),
        (_constant, {"measure": "euclidean"}, "layer 0 of 'b', seed 1: layer RDM 0 is constant.*no spearman score"),
        (_other_conditions, {}, "layer 1 of 'b', seed 1 has 23 conditions and the first layer 24"),
        (_fewer_layers, {"scoring": "known"}, r"2 \(a\), 1 \(b\) layers.*use scoring='best'"),
        (_one_network_with_fewer, {}, "seed 1 of 'b' has 1 layers and seed 0 2"),
        (None, {"ceiling": 1.0}, "ceiling=1.0 was given: expected.*from 0 to below 1"),
        (None, {"ceiling": -0.1}, "ceiling=-0.1 was given"),
        (None, {"ceiling": float("nan")}, "ceiling=nan was given"),
        (None, {"measure": "poisson"}, "measure 'poisson' is of counts.*use correlation"),
        (None, {"measure": "correlatoin"}, "unknown measure 'correlatoin'"),
        (None, {"comparator": "spearmann"}, "unknown comparator 'spearmann'"),
        (None, {"generating_layer": "first"}, "unknown generating layer 'first'"),
        (None, {"generating_layer": 2}, "generating_layer=2 was given and a candidate has 2 layers"),
        (None, {"scoring": "worst"}, "unknown way of scoring 'worst'"),
        (None, {"n_simulations": 0}, "n_simulations=0"),
        (None, {"n_subjects": 0}, "n_subjects=0"),
        (None, {"explained": 0.0}, "explained=0.0"),
        (None, {"n_condition_folds": 7}, "24 stimuli in 7 folds"),
        (None, {"n_subject_folds": 4}, "3 subjects in 4 folds"),
    ],
)
def test_what_cannot_be_recovered_is_refused(change, options, message):
    candidates = _candidates(0, names="ab", n_layers=2)
    if change is not None:
        change(candidates)
    with pytest.raises(rsa.InputError, match=message):
        rsa.model_recovery(KEY, candidates, **{"ceiling": 0.3, "n_subjects": 3, **options})


def test_more_conditions_than_there_are_are_refused():
    with pytest.raises(rsa.InputError, match=r"n_conditions=\[12, 92\] was given and the candidates have 24"):
        rsa.recovery_by_conditions(KEY, _candidates(0), [12, 92], 0.3, 3)
