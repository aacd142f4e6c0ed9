"""Verdicts against controls are scipy's tests, and claim too much in five of a hundred tables."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from experiments.verdicts import against_controls, against_one, corrected, judged, verdicts

SEEDS = range(5)


def of_seeds(values, seeds=SEEDS):
    return pd.Series(np.asarray(values, float), index=list(seeds))


def runs(values, seeds=SEEDS):
    return pd.DataFrame({"seed": list(seeds), "test_accuracy": values})


def test_the_p_value_is_of_the_hardest_control_by_scipys_tests():
    random = np.random.default_rng(0)
    start = random.normal(0.8, 0.02, 5)  # what rule and control of a seed share
    rule = start + 0.02 + random.normal(0, 0.004, 5)
    apart = {"random features": random.normal(0.77, 0.004, 5), "logistic regression": np.full(5, 0.76)}
    others = {name: of_seeds(values) for name, values in apart.items()}
    paired = stats.ttest_rel(rule, start, alternative="greater").pvalue
    welch = [stats.ttest_ind(rule, values, equal_var=False, alternative="greater").pvalue for values in apart.values()]
    found = against_controls(runs(rule), {"untrained": of_seeds(start)}, others)
    np.testing.assert_allclose(found["p_value"], max(paired, *welch), rtol=1e-9)
    assert found["best_control"] == "untrained"
    np.testing.assert_allclose(found["difference"], (rule - start).mean())
    # A control that is alike for every seed leaves one sample.
    alone = against_controls(runs(rule), {}, {"logistic regression": others["logistic regression"]})
    np.testing.assert_allclose(alone["p_value"], stats.ttest_1samp(rule, 0.76, alternative="greater").pvalue, rtol=1e-9)
    wider = pd.DataFrame({"control": "wider random features", "seed": SEEDS, "test_accuracy": apart["random features"]})
    np.testing.assert_allclose(against_one(runs(rule), wider, "wider random features"), welch[0], rtol=1e-9)


def test_seeds_that_share_weights_are_paired_by_their_number():
    control = of_seeds([0.1, 0.2, 0.3, 0.4, 0.5])
    shuffled = runs(np.array([0.512, 0.11, 0.31, 0.21, 0.41]), seeds=[4, 0, 2, 1, 3])
    found = against_controls(shuffled, {"untrained": control}, {})
    assert found["p_value"] < 1e-5 and np.isclose(found["difference"], 0.0104)


def test_which_seeds_of_a_control_stand_beside_which_says_nothing_where_they_share_none():
    """A paired test would give anything from .0001 to .1 here."""
    rule, control = [0.85, 0.853, 0.856, 0.859, 0.862], np.array([0.843, 0.847, 0.849, 0.853, 0.856])
    found = {
        round(against_controls(runs(rule), {}, {"random features": of_seeds(control[list(order)])})["p_value"], 12)
        for order in itertools.permutations(range(5))
    }
    paired = [
        stats.ttest_rel(rule, control[list(order)], alternative="greater").pvalue for order in itertools.permutations(range(5))
    ]
    assert len(found) == 1 and min(paired) < 2e-4 and max(paired) > 0.09


def test_nothing_is_said_where_there_is_nothing_to_say():
    same = runs([0.9] * 5)
    assert np.isnan(against_controls(runs([0.9], [0]), {"untrained": of_seeds([0.1], [0])}, {})["p_value"])
    assert np.isnan(against_controls(runs([0.9], [0]), {}, {"random features": of_seeds([0.1], [0])})["p_value"])
    assert np.isnan(against_controls(same, {}, {})["p_value"])
    for where in range(2):
        equal, below, both = (
            [dict(each) if place == where else {} for place in range(2)]
            for each in (
                {"a": of_seeds([0.9] * 5)},
                {"a": of_seeds([0.8] * 5)},
                {"a": of_seeds([0.8] * 5), "b": of_seeds([0.91] * 5)},
            )
        )
        assert against_controls(same, *equal)["p_value"] == 1
        # Seeds that all say the same tell nothing of others; but one control that is not beaten is enough.
        assert np.isnan(against_controls(same, *below)["p_value"])
        assert against_controls(same, *both)["p_value"] == 1
    table = verdicts(pd.DataFrame({"p_value": [np.nan, 0.02, 0.04], "z": 0}))
    assert table["beats_control"].tolist() == [None, True, True]
    assert verdicts(pd.DataFrame({"p_value": [0.03, 0.04]}))["beats_control"].tolist() == [False, False]


def test_claims_that_are_still_to_come_are_counted():
    p_values = np.array([0.01, np.nan, 0.02])
    np.testing.assert_allclose(corrected(p_values), [0.02, np.nan, 0.02])
    np.testing.assert_allclose(corrected(p_values, 3), [0.05, np.nan, 0.08])
    # Whatever they turn out to be, what is said now is not taken back.
    for rest in itertools.product([0.001, 0.3, 1.0], repeat=3):
        assert (corrected(np.array([0.01, 0.02, *rest]))[:2] <= [0.05, 0.08]).all()


def test_readouts_go_before_outputs_where_there_are_any():
    table = runs([0.5] * 5).assign(readout_accuracy=[0.6] * 5)
    assert judged(table).tolist() == [0.6] * 5
    assert judged(table.assign(readout_accuracy=[0.6, np.nan, 0.6, 0.6, 0.6])).tolist() == [0.5] * 5


@pytest.mark.thorough
def test_a_table_of_rules_that_learn_nothing_claims_something_in_at_most_five_percent():
    """And two standard errors of three seeds, by which tables went before, claim something in most."""
    random = np.random.default_rng(1)
    n_tables, n_rules = 150, 20
    shared = apart = before = 0
    for _ in range(n_tables):
        start = random.normal(0.8, 0.01, 5)
        control = start + random.normal(0, 0.005, 5)
        rules = start + random.normal(0, 0.005, (n_rules, 5))
        shared += any_claim({"untrained": of_seeds(control)}, {}, rules)
        others = random.normal(0.8, 0.003, 5)  # of another spread than the rules'
        apart += any_claim({}, {"random features": of_seeds(others)}, random.normal(0.8, 0.01, (n_rules, 5)))
        three = random.normal(0.8, 0.01, (n_rules + 1, 3))
        errors = np.sqrt((three[1:].var(1, ddof=1) + three[0].var(ddof=1)) / 3)
        before += ((three[1:].mean(1) - three[0].mean()) > 2 * errors).any()
    most = 0.05 + 3 * np.sqrt(0.05 * 0.95 / n_tables)
    assert shared / n_tables < most and apart / n_tables < most
    assert before / n_tables > 0.3


def any_claim(matched, others, rules):
    return any(verdicts(pd.DataFrame([against_controls(runs(rule), matched, others) for rule in rules]))["beats_control"])


def test_a_rule_that_learns_is_found_among_many():
    random = np.random.default_rng(2)
    start = random.normal(0.8, 0.01, 5)
    rules = start + random.normal(0, 0.002, (40, 5)) + np.where(np.arange(40) < 10, 0.03, 0.0)[:, None]
    table = verdicts(pd.DataFrame([against_controls(runs(rule), {"untrained": of_seeds(start)}, {}) for rule in rules]))
    assert sum(table["beats_control"][:10]) >= 9 and not any(table["beats_control"][10:])
