"""A recording described: what is known of the 92 objects comes out of one command, and a made-up recording says what was put in."""

import json

import numpy as np
import pytest
from scipy.stats import spearmanr

import neurodata
from experiments.cli import main
from experiments.describing import describe_recordings


def described(rows):
    return {(row["recording"], row["region"], row["what"]): row["value"] for row in rows}


def test_the_known_facts_of_the_92_objects(capsys):
    for name in ("cichy92", "kriegeskorte92"):
        if not neurodata.describe(name)["cached"]:
            pytest.skip(f"{name} is not there: set BIOPLAUSIBLE_DATA")
    main(["data", "describe", "cichy92", "kriegeskorte92", "--json"])
    rows = json.loads(capsys.readouterr().out)
    found = described(rows)
    for place, expected in {
        ("cichy92", "EVC", "noise ceiling, lower and upper"): 0.24,
        ("cichy92", "IT", "noise ceiling, lower and upper"): 0.45,
        ("kriegeskorte92", "IT", "noise ceiling, lower and upper"): 0.38,
        ("cichy92", "IT", "rho with IT of kriegeskorte92"): 0.56,
        ("kriegeskorte92", "IT", "rho with monkeyIT"): 0.44,
        ("cichy92", "IT", "rho with animacy"): 0.47,
        ("cichy92", "EVC", "rho with animacy"): 0.06,
        ("cichy92", "EVC", "rho with pixels of kriegeskorte92's images"): 0.08,
    }.items():
        assert found[place] == pytest.approx(expected, abs=0.01), place


def test_a_recording_says_what_was_put_in(tmp_path, capsys):
    shown = neurodata.default_stimuli()
    random = np.random.default_rng(0)
    category = np.array(1.0 - shown.same_category())[np.triu_indices(shown.n_conditions, 1)]
    regions = {
        "driven": neurodata.RdmSet.from_array(category + random.random((5, len(category)))),
        "noise": neurodata.RdmSet.from_array(random.random((5, len(category)))),
    }
    recording = neurodata.Recording("made_up", shown, "fmri", regions)
    folder = neurodata.save(recording, tmp_path / "made_up")
    rows = describe_recordings([str(folder)])
    found = described(rows)
    assert found["made_up", "driven", "rho with categories of the stimuli"] > 0.3
    assert abs(found["made_up", "noise", "rho with categories of the stimuli"]) < 0.1
    means = [regions[name].rdms().mean(axis=0) for name in ("driven", "noise")]
    assert found["made_up", "driven", "rho with noise"] == pytest.approx(spearmanr(*means).statistic)
    main(["data", "describe", str(folder)])
    text = capsys.readouterr().out
    assert "noise ceiling" in text and "made_up" in text


def test_two_recordings_are_held_against_each_other(tmp_path):
    shown = neurodata.default_stimuli()
    rdms = np.random.default_rng(1).random((4, shown.n_conditions * (shown.n_conditions - 1) // 2))
    folders = [
        str(neurodata.save(neurodata.Recording(name, shown, "fmri", {"IT": neurodata.RdmSet.from_array(rdms)}), tmp_path / name))
        for name in ("one", "two")
    ]
    found = described(describe_recordings(folders))
    assert found["one", "IT", "rho with IT of two"] == pytest.approx(1)
    assert found["one", "IT", "rho with pixels of two's images"] == found["one", "IT", "rho with pixels"]


def test_an_unknown_recording_is_named(capsys):
    with pytest.raises(SystemExit):
        main(["data", "describe", "cichy"])
    assert "did you mean 'cichy92'" in capsys.readouterr().err


def test_ceilings_and_models_are_on_one_scale_and_subjects_that_share_nothing_are_named(tmp_path):
    """A model that is the truth scores as the others' mean does or better; of mean RDMs its correlation is above any ceiling."""
    shown = neurodata.default_stimuli()
    random = np.random.default_rng(3)
    category = np.array(1.0 - shown.same_category())[np.triu_indices(shown.n_conditions, 1)]
    regions = {
        "driven": neurodata.RdmSet.from_array(category + 2 * random.random((6, len(category)))),
        "noise": neurodata.RdmSet.from_array(random.random((6, len(category)))),
    }
    folder = neurodata.save(neurodata.Recording("made_up", shown, "fmri", regions), tmp_path / "made_up")
    notes = {}
    rows = describe_recordings([str(folder)], notes=notes)
    found = described(rows)
    (ceiling,) = [row for row in rows if row["region"] == "driven" and "ceiling" in row["what"]]
    score = found["made_up", "driven", "score of categories of the stimuli"]
    subjects = regions["driven"].rdms()
    # rho-a with a model of ties is Pearson's of ranks times what ties take; each subject by itself.
    assert ceiling["value"] - 0.03 < score < ceiling["upper"]
    assert found["made_up", "driven", "rho with categories of the stimuli"] > score + 0.1
    # Each subject with the mean of the others, by scipy.
    alone = [spearmanr(each, np.delete(subjects, i, axis=0).mean(axis=0)).statistic for i, each in enumerate(subjects)]
    assert ceiling["value"] == pytest.approx(np.mean(alone), abs=1e-3)
    assert ceiling["interval"][0] < np.mean(alone) < ceiling["interval"][1]
    half = 2.571 * np.std(alone, ddof=1) / np.sqrt(6)  # Student's t at .975 with five degrees of freedom
    assert ceiling["interval"][1] - np.mean(alone) == pytest.approx(half, rel=0.01)
    assert "share next to nothing in noise" in notes["made_up"] and "driven" not in notes["made_up"]
