"""Intervals and p-values tested as statistics: on simulated subjects they are wrong as often as they say.

Patterns of conditions are drawn anew each time, so conditions vary as the inference assumes; subjects share a pattern
and add their own noise. Seeds are fixed: the tests give one answer.
"""

from collections.abc import Iterator

import jax
import numpy as np
import pytest
from scipy.stats import binomtest

import rsa

N_SUBJECTS, N_CHANNELS = 3, 15


def _studies(relation: float, n_conditions: int, n_studies: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Two model RDMs, equally related to what the subjects share, and the subjects' RDMs."""
    random = np.random.default_rng(seed)
    shape = (n_conditions, N_CHANNELS)
    for _ in range(n_studies):
        shared = random.normal(size=shape)
        models = relation * shared + random.normal(size=(2, *shape))
        subjects = shared + random.normal(size=(N_SUBJECTS, *shape))
        yield rsa.rdm(models), rsa.rdm(subjects)


def _within_binomial_error(hits: list[bool], probability: float) -> bool:
    return binomtest(sum(hits), len(hits), probability).pvalue > 0.01


@pytest.mark.parametrize("name", [pytest.param("pearson", marks=pytest.mark.thorough), "spearman"])
def test_unrelated_models_are_found_related_in_five_percent(name):
    alone, averaged = [], []
    for number, study in enumerate(_studies(0.0, n_conditions=20, n_studies=250, seed=1)):
        evaluation = rsa.evaluate(jax.random.key(number), *study, name, n_draws=99)
        alone.append(bool(evaluation.p_value[0] <= 0.05))
        averaged.append(bool(rsa.aggregate(evaluation, [[0, 1]]).p_value[0] <= 0.05))
    assert _within_binomial_error(alone, 0.05), np.mean(alone)
    assert _within_binomial_error(averaged, 0.05), np.mean(averaged)


@pytest.mark.parametrize(
    ("name", "relation"),
    [("pearson", 0.0), *(pytest.param(name, 1.0, marks=pytest.mark.thorough) for name in ("pearson", "spearman"))],
)
@pytest.mark.thorough
def test_intervals_hold_the_truth_and_equal_models_seldom_differ(name, relation):
    truth = np.mean([rsa.compare(*study, name).mean() for study in _studies(relation, 200, 10, seed=2)])
    mean, subject, difference, differ = [], [], [], []
    for number, study in enumerate(_studies(relation, n_conditions=32, n_studies=300, seed=3)):
        evaluation = rsa.evaluate(jax.random.key(number), *study, name, n_draws=200)
        contrast = rsa.contrast(evaluation, 0, 1)
        mean.append(evaluation.mean_lower[0] <= truth <= evaluation.mean_upper[0])
        subject.append(evaluation.lower[0, 0] <= truth <= evaluation.upper[0, 0])
        difference.append(contrast.lower <= 0 <= contrast.upper)
        differ.append(contrast.p_value < 0.05)
    coverage = {"mean": np.mean(mean), "subject": np.mean(subject), "difference": np.mean(difference)}
    assert all(0.90 <= share <= 0.98 for share in coverage.values()), coverage
    assert np.mean(differ) == pytest.approx(1 - coverage["difference"])


@pytest.mark.thorough
def test_power_grows_with_the_relation():
    found = {}
    for relation in (0.25, 0.75):
        p_values = [
            rsa.evaluate(jax.random.key(number), *study, "pearson", n_draws=99).p_value[0]
            for number, study in enumerate(_studies(relation, n_conditions=20, n_studies=150, seed=4))
        ]
        found[relation] = np.mean(np.array(p_values) <= 0.05)
    assert 0.05 < found[0.25] < found[0.75] and found[0.75] > 0.8, found
