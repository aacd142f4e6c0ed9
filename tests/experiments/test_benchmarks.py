"""A benchmark times what it says, against backpropagation in the same run."""

import numpy as np
import pytest

import learning_rules
from bioplausible.foundation.errors import InputError
from experiments.benchmarks import RATIO_LIMITS, benchmark_rules, benchmark_spikes, to_markdown


def test_times_a_rule_beside_backpropagation():
    told = []
    table = benchmark_rules(["feedback_alignment"], "mlp", batch_size=8, n_turns=2, progress=lambda *now: told.append(now))
    (row,) = table.to_dict("records")
    assert row["rule"] == "feedback_alignment/random" and row["architecture"] == "mlp" and row["steps"] == 10
    assert row["ratio"] == row["milliseconds_per_step"] / row["milliseconds_per_step_of_backprop"] > 0
    assert row["ratio_limit"] == 1.2 and row["within_limit"] == (row["ratio"] <= 1.2)
    # Parameters and Adam's two moments lie in memory at least: 784-512-256-10.
    n_parameters = 784 * 512 + 512 + 512 * 256 + 256 + 256 * 10 + 10
    assert row["peak_megabytes"] > 3 * 4 * n_parameters / 1e6 and row["compile_seconds"] > 0
    assert np.isnan(row["spikes_per_second"])  # it has none
    # Forward and its own weights' products in every block, errors through all but the first: as many as backpropagation takes.
    n_weights = np.array([784 * 512, 512 * 256, 256 * 10])
    assert row["products"] == 8 * (2 * n_weights.sum() + n_weights[1:].sum()) and row["products_ratio"] == 1
    assert told == [(0, 1, "feedback_alignment/random on mlp")]


def test_the_table_for_reading_names_what_is_over_its_limit():
    table = benchmark_rules(["backprop", "feedback_alignment"], "mlp", batch_size=8, n_turns=1)
    table["within_limit"], table["ratio"] = [None, False], [1.0, 1.7]
    text = to_markdown(table, {"jax": "1", "device": "cpu"})
    (line,) = [line for line in text.splitlines() if line.startswith("| feedback_alignment/random")]
    assert "| 1.70 | 1.2 | **no** | 1.00 |" in line and "## mlp, batch 8, 5 steps" in text and "jax 1, device cpu" in text


def test_limits_are_of_rules_that_exist():
    assert set(RATIO_LIMITS) <= {*learning_rules.names(), *learning_rules.names(variants=True)}


def test_mistakes_are_named():
    with pytest.raises(InputError, match="did you mean 'backprop'"):
        benchmark_rules(["backprob"])
    with pytest.raises(InputError, match="n_turns=0"):
        benchmark_rules(n_turns=0)


def test_spikes_are_counted_and_timed():
    measured = benchmark_spikes(n_neurons=5, n_steps=10, batch_size=4, n_turns=1)
    assert measured["rule"] == "stdp/pair" and measured["spikes_per_second"] > 0
    np.testing.assert_allclose(measured["times_as_fast"] * measured["milliseconds_per_sample"], 90.0)
    with pytest.raises(InputError, match="n_steps=0"):
        benchmark_spikes(n_steps=0)
