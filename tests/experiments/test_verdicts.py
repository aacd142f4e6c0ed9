"""Verdicts against controls are scipy's paired tests, and claim too much in five of a hundred tables."""

import numpy as np
import pandas as pd
from scipy import stats

from experiments.verdicts import against_controls, judged, verdicts

SEEDS = range(5)


def of_seeds(values, seeds=SEEDS):
    return pd.Series(np.asarray(values, float), index=list(seeds))


def runs(values, seeds=SEEDS):
    return pd.DataFrame({"seed": list(seeds), "test_accuracy": values})


def test_the_p_value_is_of_the_hardest_control_by_scipys_paired_test():
    random = np.random.default_rng(0)
    start = random.normal(0.8, 0.02, 5)  # what rule and control of a seed share
    rule = start + 0.02 + random.normal(0, 0.004, 5)
    controls = {"untrained": of_seeds(start), "random features": of_seeds(start + 0.012), "logistic": of_seeds(np.full(5, 0.78))}
    found = against_controls(runs(rule), controls)
    paired = [stats.ttest_rel(rule, controls[name], alternative="greater").pvalue for name in ("untrained", "random features")]
    alone = stats.ttest_1samp(rule, 0.78, alternative="greater").pvalue
    np.testing.assert_allclose(found["p_value"], max(*paired, alone), rtol=1e-9)
    assert found["best_control"] == "random features"
    np.testing.assert_allclose(found["difference"], (rule - start - 0.012).mean())


def test_seeds_are_paired_by_their_number():
    control = of_seeds([0.1, 0.2, 0.3, 0.4, 0.5])
    shuffled = runs(np.array([0.51, 0.11, 0.31, 0.21, 0.41]), seeds=[4, 0, 2, 1, 3])
    found = against_controls(shuffled, {"untrained": control})
    assert found["p_value"] < 1e-6 and np.isclose(found["difference"], 0.01)


def test_nothing_is_said_where_there_is_nothing_to_say():
    assert np.isnan(against_controls(runs([0.9], [0]), {"untrained": of_seeds([0.1], [0])})["p_value"])
    assert np.isnan(against_controls(runs([0.9] * 5), {})["p_value"])
    assert against_controls(runs([0.9] * 5), {"untrained": of_seeds([0.9] * 5)})["p_value"] == 1
    assert against_controls(runs([0.9] * 5), {"untrained": of_seeds([0.8] * 5)})["p_value"] == 0
    table = verdicts(pd.DataFrame({"p_value": [np.nan, 0.02, 0.04], "z": 0}))
    assert table["beats_control"].tolist() == [None, True, True]
    assert verdicts(pd.DataFrame({"p_value": [0.03, 0.04]}))["beats_control"].tolist() == [False, False]


def test_readouts_go_before_outputs_where_there_are_any():
    table = runs([0.5] * 5).assign(readout_accuracy=[0.6] * 5)
    assert judged(table).tolist() == [0.6] * 5
    assert judged(table.assign(readout_accuracy=[0.6, np.nan, 0.6, 0.6, 0.6])).tolist() == [0.5] * 5


def test_a_table_of_rules_that_learn_nothing_claims_something_in_at_most_five_percent():
    """And two standard errors of three unpaired seeds, by which tables went before, claim something in most."""
    random = np.random.default_rng(1)
    n_tables, n_rules = 150, 20
    ours = before = 0
    for _ in range(n_tables):
        start = random.normal(0.8, 0.01, 5)
        control = start + random.normal(0, 0.005, 5)
        rules = start + random.normal(0, 0.005, (n_rules, 5))
        table = pd.DataFrame([against_controls(runs(rule), {"untrained": of_seeds(control)}) for rule in rules])
        ours += any(verdicts(table)["beats_control"])
        three = random.normal(0.8, 0.01, (n_rules + 1, 3))
        errors = np.sqrt((three[1:].var(1, ddof=1) + three[0].var(ddof=1)) / 3)
        before += ((three[1:].mean(1) - three[0].mean()) > 2 * errors).any()
    assert ours / n_tables < 0.05 + 3 * np.sqrt(0.05 * 0.95 / n_tables)
    assert before / n_tables > 0.3


def test_a_rule_that_learns_is_found_among_many():
    random = np.random.default_rng(2)
    start = random.normal(0.8, 0.01, 5)
    rules = start + random.normal(0, 0.002, (40, 5)) + np.where(np.arange(40) < 10, 0.03, 0.0)[:, None]
    table = verdicts(pd.DataFrame([against_controls(runs(rule), {"untrained": of_seeds(start)}) for rule in rules]))
    assert sum(table["beats_control"][:10]) >= 9 and not any(table["beats_control"][10:])
