"""Whether places rank rules alike: published ranks, scipy's tau, and a page that says so."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from experiments.studying.agreement import agreements, concordance
from experiments.studying.page import agreement_lines

# Three executives who ranked six applicants: Siegel 1956, Nonparametric Statistics for the Behavioral Sciences, W = .16.
SIEGEL = np.array([[1, 6, 3, 2, 5, 4], [1, 5, 6, 4, 2, 3], [6, 3, 2, 5, 4, 1]])


def ranks_of(scores, n_models=1):
    """Ranks of a study: places by rules, and a model and a rule that failed, which count for nothing."""
    rows = []
    for place, of_place in enumerate(scores):
        told = {"group": "cnn", "recording": f"monkey {place}", "region": "V4", "condition": "main", "failure": ""}
        rows += [told | {"kind": "rule", "name": f"rule {rule}", "score": value} for rule, value in enumerate(of_place)]
        rows += [told | {"kind": "model", "name": "pixels", "score": 9.0}] * n_models
        rows.append(told | {"kind": "rule", "name": "silent", "score": -9.0, "failure": "fell silent"})
        rows.append(told | {"kind": "rule", "name": "rule 0", "score": -7.0 * place, "condition": "euclidean"})
    return pd.DataFrame(rows)


def test_concordance_is_what_was_published_and_is_one_where_all_agree():
    w, p_value = concordance(SIEGEL)
    sums = SIEGEL.sum(axis=0)
    assert w == pytest.approx(12 * np.sum((sums - sums.mean()) ** 2) / (9 * (6**3 - 6))) and round(w, 2) == 0.16
    assert p_value > 0.5
    w, p_value = concordance(np.array([[0.1, 0.2, 0.3, 0.7, 0.9]] * 4) + 0.01)
    assert w == pytest.approx(1) and p_value < 0.01


def test_every_two_places_are_asked_and_all_together():
    scores = np.random.default_rng(0).normal(size=(3, 7)) + np.linspace(0, 2, 7)
    scores[0, 6] = np.nan  # a rule that one place does not rank
    whole, *pairs = agreements(ranks_of(scores))
    assert whole.places == ("V4 (monkey 0)", "V4 (monkey 1)", "V4 (monkey 2)") and whole.n_rules == 6
    assert whole.coefficient == pytest.approx(concordance(scores[:, :6])[0])
    expected = [stats.kendalltau(*scores[list(two), : 7 if 0 not in two else 6]) for two in ((0, 1), (0, 2), (1, 2))]
    for found, tau in zip(pairs, expected, strict=True):
        assert (found.coefficient, found.p_value) == pytest.approx((tau.statistic, tau.pvalue))
    assert [each.n_rules for each in pairs] == [6, 6, 7]


def test_under_four_rules_nothing_is_said_and_the_page_tells_the_rest():
    assert (
        agreements(ranks_of(np.arange(6.0).reshape(2, 3))) == [] and agreement_lines(ranks_of(np.arange(6.0).reshape(2, 3))) == []
    )
    lines = agreement_lines(ranks_of(np.array([[1.0, 2, 3, 4, 5], [2.0, 3, 4, 5, 6]])))
    assert any("tau 1.000" in line and "V4 (monkey 0), V4 (monkey 1)" in line for line in lines)
    assert not any("W 1" in line for line in lines)  # of two places there is no more to ask
