"""The benchmark of networks in time: what is timed computes the same, and a command prints it."""

import json

import pytest
from click.testing import CliRunner

from bioplausible.foundation.errors import InputError
from experiments.benchmark_time import benchmark_time
from experiments.commands.benchmark import benchmark_command


@pytest.mark.thorough
def test_both_programs_compute_the_same_gradient():
    table = benchmark_time((3, 9), n_units=4, batch_size=5, n_turns=1)
    assert table["largest_difference"].max() < 1e-6
    assert (table[["milliseconds_per_step", "milliseconds_by_hand", "compile_seconds"]] > 0).all(axis=None)


def test_the_command_prints_one_document():
    sizes = ["--steps", "3", "--units", "4", "--batch-size", "2", "--turns", "1"]
    result = CliRunner().invoke(benchmark_command, ["time", *sizes, "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["time"][0]["steps"] == 3


def test_sizes_under_one_are_refused():
    with pytest.raises(InputError, match="expected at least 1"):
        benchmark_time((0,))
