"""The comparison is timed beside rsatoolbox on the same draws, and the two agree."""

import json

import numpy as np
import pytest

import experiments.benchmark_rsa
from bioplausible.foundation.errors import InputError
from experiments.benchmark_growth import Size, measure_growth
from experiments.benchmark_rsa import benchmark_rsa, to_markdown
from experiments.cli import main


@pytest.mark.thorough
def test_times_both_on_the_same_work():
    told = []
    table = benchmark_rsa(
        ["bootstrap", "searchlight", "crossnobis"],
        ["pearson", "spearman"],
        subjects=(4,),
        n_draws=4,
        judge_draws=2,
        n_centres=12,
        judge_centres=3,
        progress=lambda *now: told.append(now[:2]),
    )
    assert list(table["task"]) == ["bootstrap", "bootstrap", "searchlight", "crossnobis"] and told == [(k, 4) for k in range(4)]
    assert np.all(table["largest_difference"] < 1e-9) and np.all(table["seconds"] > 0) and np.all(table["peak_gigabytes"] > 0)
    np.testing.assert_allclose(table["ratio"], table["rsatoolbox_seconds"] / table["seconds"])
    assert list(table["rsatoolbox_timed_on"]) == ["2 of 4 draws", "2 of 4 draws", "3 of 12 centres", "all"]
    table.loc[0, ["ratio", "ratio_target", "reached"]] = [12.0, 60.0, False]
    assert "| 12 | 60 | **no** |" in to_markdown(table, {"rsatoolbox": "0.3.2"})


def test_mistakes_are_named():
    with pytest.raises(InputError, match="did you mean 'bootstrap'"):
        benchmark_rsa(["bootstrep"])
    with pytest.raises(InputError, match="did you mean 'pearson'"):
        benchmark_rsa(comparators=["person"])
    with pytest.raises(InputError, match="judge_draws=20"):
        benchmark_rsa(n_draws=10, judge_draws=20)
    with pytest.raises(InputError, match="conditions=.5, 92. were given: draws need at least six"):
        benchmark_rsa(conditions=(5, 92))


def test_growth_is_measured_one_size_at_a_time_and_drawn(tmp_path, capsys, monkeypatch):
    """Without the processes, in which the measuring itself is all that happens."""
    measured = []

    def measure(comparator, grows, size):
        measured.append(size)
        figures = {"seconds": 2.0, "processor_seconds": 3.5, "peak_gigabytes": 0.25}
        return {"task": "growth", "comparator": comparator, "grows": grows, "size": "", **size._asdict(), **figures}

    monkeypatch.setattr(experiments.benchmark_rsa, "measure_growth", measure)
    arguments = "benchmark rsa --tasks growth --comparators pearson --conditions 8,12 --draws 40 --judge-draws 2"
    main([*arguments.split(), "--out", str(tmp_path / "speed")])
    assert "3.5" in capsys.readouterr().out
    assert [size.n_conditions for size in measured[:2]] == [8, 12] and {size.n_models for size in measured} == {4, 12, 36}
    assert all(size.n_draws == 40 for size in measured[:2]) and {size.n_draws for size in measured[-3:]} == {10, 40, 160}
    assert "growing draws" in (tmp_path / "speed" / "growth.svg").read_text()
    assert "| conditions | pearson | 12 | 12 | 1 | 40 | 2.0 | 3.5 | 0.25 |" in (tmp_path / "speed" / "README.md").read_text()


@pytest.mark.thorough
def test_a_measurement_in_a_process_of_its_own_has_time_and_memory():
    row = measure_growth("pearson", "n_conditions", Size(8, 2, 1, 4))
    assert 0 < row["seconds"] < 60 and 0.05 < row["peak_gigabytes"] < 4


def test_the_command_prints_and_writes_its_table(tmp_path, capsys):
    arguments = "benchmark rsa --tasks bootstrap,crossnobis --comparators pearson --subjects 4 --draws 4 --judge-draws 2".split()
    main([*arguments, "--out", str(tmp_path / "speed"), "--json"])
    printed = json.loads(capsys.readouterr().out)
    assert [row["task"] for row in printed["rsa"]] == ["bootstrap", "crossnobis"]
    assert printed == json.loads((tmp_path / "speed" / "rsa.json").read_text())
    assert "92 conditions" in printed["rsa"][0]["size"] and "92 conditions" in (tmp_path / "speed" / "README.md").read_text()
    main(arguments)
    assert "rsatoolbox s" in capsys.readouterr().out
