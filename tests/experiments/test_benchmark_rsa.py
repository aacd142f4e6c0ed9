"""The comparison is timed beside rsatoolbox on the same draws, and the two agree."""

import json

import numpy as np
import pytest

from bioplausible.foundation.errors import InputError
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


def test_the_command_prints_and_writes_its_table(tmp_path, capsys):
    arguments = "benchmark rsa --tasks bootstrap,crossnobis --comparators pearson --subjects 4 --draws 4 --judge-draws 2".split()
    main([*arguments, "--out", str(tmp_path / "speed"), "--json"])
    printed = json.loads(capsys.readouterr().out)
    assert [row["task"] for row in printed["rsa"]] == ["bootstrap", "crossnobis"]
    assert printed == json.loads((tmp_path / "speed" / "rsa.json").read_text())
    assert "92 conditions" in printed["rsa"][0]["size"] and "92 conditions" in (tmp_path / "speed" / "README.md").read_text()
    main(arguments)
    assert "rsatoolbox s" in capsys.readouterr().out
