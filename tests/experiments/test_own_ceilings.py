"""One subject's ceiling: in scores, in tables, in `data describe`."""

import jax
import numpy as np
import pytest

import neurodata
import rsa
from experiments.cli import main
from experiments.compare_config import ScoringConfig
from experiments.describing import describe_recordings
from experiments.own_ceilings import own_ceilings
from experiments.scoring import Model, score_region

SHOWN = neurodata.default_stimuli()
N = SHOWN.n_conditions
RNG = np.random.default_rng


def _region(noise: float, n_trials: int = 6, n_subjects: int = 1, times: np.ndarray | None = None) -> neurodata.PatternSet:
    signal = RNG(0).normal(size=(N, 4)) @ RNG(1).normal(size=(4, 30))
    shape = (n_trials * N, 30) if times is None else (n_trials * N, 30, len(times))
    shown = np.tile(signal, (n_trials, 1))
    subjects = [(shown if times is None else shown[..., None]) + noise * RNG(2 + k).normal(size=shape) for k in range(n_subjects)]
    runs = [str(index) for index in range(n_trials) for _ in range(N)]
    return neurodata.PatternSet.from_arrays(subjects, conditions=[*SHOWN.ids] * n_trials, runs=runs, times=times)


def test_trials_are_kept_apart():
    region = _region(1.0, n_trials=3)
    (trials,) = region.trials()
    np.testing.assert_array_equal(trials, region.patterns_by_run()[0])
    labels = ["a", "b", "a", "a", "c"]
    (padded,) = neurodata.PatternSet.from_arrays([np.arange(10.0).reshape(5, 2)], conditions=labels).trials()
    np.testing.assert_array_equal(padded[:, 0], [[0, 1], [4, 5], [6, 7]])
    np.testing.assert_array_equal(padded[0, 1], [2, 3])
    assert np.isnan(padded[1:, 1]).all()


def test_the_only_subjects_ceiling_stands_in_every_row():
    region = _region(noise=3.0)
    (ceiling,) = own_ceilings(jax.random.key(0), region, "correlation", "spearman")
    expected = rsa.split_half_ceiling(jax.random.key(0), region.trials()[0])
    assert (ceiling.lower, ceiling.upper) == (expected.lower, expected.upper) and "split into halves" in ceiling.withheld
    data = np.stack([rsa.rdm(each) for each in region.patterns()])
    models = [Model("untrained", 0, "a"), Model("untrained", 1, "a")]
    rdms = RNG(5).random((2, data.shape[1]))
    config = ScoringConfig(n_draws=0, reference_models=())
    asked = (jax.random.key(0), "V4", models, rdms, {}, data, region.subjects, None, config, "spearman")
    without, found = score_region(*asked), score_region(*asked, own_ceilings=[ceiling])
    assert np.isnan(without.ceilings[0]["lower"])
    assert {(row["ceiling_lower"], row["ceiling_upper"]) for row in found.scores} == {(expected.lower, expected.upper)}
    assert found.ceilings[0]["withheld"] == ceiling.withheld


def test_every_time_has_a_ceiling_of_its_own():
    times = np.array([0.0, 0.1])
    region = _region(noise=2.0, n_trials=4, times=times)
    first, second = own_ceilings(jax.random.key(0), region, "correlation", "pearson")
    assert first.lower != second.lower and first.lower > 0.2


@pytest.mark.parametrize(
    ("region", "comparator", "reason"),
    [
        (_region(1.0, n_trials=1), "spearman", "has 1 trials: two are needed"),
        (_region(1.0), "kendall", "unknown comparator of split halves 'kendall'"),
        (neurodata.RdmSet.from_array(RNG(0).random((1, N * (N - 1) // 2))), "spearman", "comes as RDMs, which have no trials"),
    ],
)
def test_where_nothing_can_be_split_the_reason_is_given(region, comparator, reason):
    (ceiling,) = own_ceilings(jax.random.key(0), region, "correlation", comparator)
    assert np.isnan(ceiling.lower) and np.isnan(ceiling.upper) and reason in ceiling.withheld


def test_subjects_who_have_others_keep_their_ceiling():
    assert own_ceilings(jax.random.key(0), _region(1.0, n_subjects=2), "correlation", "spearman") is None


def test_a_description_gives_it_with_its_interval(tmp_path, capsys):
    regions = {"V4": _region(noise=3.0), "silent": _region(noise=300.0)}
    folder = neurodata.save(neurodata.Recording("monkey", SHOWN, "spikes", regions), tmp_path / "monkey")
    notes: dict[str, str] = {}
    rows = describe_recordings([str(folder)], notes=notes)
    found = {each["region"]: each for each in rows if "ceiling" in each["what"]}
    row, silent = found["V4"], found["silent"]
    assert row["what"] == "noise ceiling, split halves of trials" and row["n_subjects"] == 1
    assert 0 < row["lower_end"] < row["value"] < row["upper_end"] < 1 and silent["lower_end"] < 0
    assert "halves of the only subject's trials share next to nothing in silent" in notes["monkey"]
    main(["data", "describe", str(folder)])
    assert f"{row['value']:.3f} ({row['lower_end']:.3f} to {row['upper_end']:.3f})" in capsys.readouterr().out
