"""The benchmark of networks in time: what is timed computes the same, and a command prints it."""

import json

import pytest
from click.testing import CliRunner

from bioplausible.foundation.errors import InputError
from experiments.benchmark_time import benchmark_time
from experiments.commands.benchmark import benchmark_command


@pytest.mark.thorough
def test_all_programs_compute_what_they_say_and_traces_keep_no_step():
    table = benchmark_time((3, 60), n_units=4, batch_size=5, n_turns=1).set_index(["program", "steps"])
    assert table.loc["through_time", "largest_difference"].max() < 1e-6
    # One step deep and by traces the same is left out of the gradient.
    apart = {program: table.loc[program, "largest_difference"].to_list() for program in ("online", "eligibility")}
    assert min(apart["online"]) > 1e-5 and apart["eligibility"] == pytest.approx(apart["online"], rel=1e-3)
    megabytes = table["megabytes"]
    grown = {program: megabytes[program, 60] / megabytes[program, 3] for program in table.index.levels[0]}
    assert grown["eligibility"] < 1.5 and min(grown["through_time"], grown["by hand"]) > 5
    assert (table[["milliseconds_per_step", "compile_seconds"]] > 0).all(axis=None)


def test_the_command_prints_one_document_and_draws_it(tmp_path):
    sizes = ["--steps", "3", "--units", "4", "--batch-size", "2", "--turns", "1"]
    result = CliRunner().invoke(benchmark_command, ["time", *sizes, "--out", str(tmp_path / "time"), "--json"])
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["time"]
    assert [row["program"] for row in rows] == ["by hand", "through_time", "online", "eligibility"]
    assert all(row["steps"] == 3 for row in rows)
    page = (tmp_path / "time" / "README.md").read_text()
    assert "| 3 | through time |" in page and (tmp_path / "time" / "time.svg").read_text().startswith("<?xml")


def test_sizes_under_one_are_refused():
    with pytest.raises(InputError, match="expected at least 1"):
        benchmark_time((0,))
