"""What is wrong with a user's files is said in one sentence that names the file."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest
from nilearn.image import load_img

from neurodata import InputError
from neurodata.fmri import FmriOptions, FmriRun, block_patterns, block_runs, patterns
from neurodata.fmri.tables import read_confounds, read_events


@pytest.fixture(autouse=True)
def own_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("BIOPLAUSIBLE_DATA", str(tmp_path / "data"))


@pytest.fixture
def good(tmp_path, bold):
    return bold.run(tmp_path, "1"), bold.mask(tmp_path)


def refused(runs, regions, expected, options=None, names=None, cache=None):
    with pytest.raises(InputError, match=expected) as caught:
        patterns(runs, regions, options, cache)
    assert "\n" not in str(caught.value)
    if names is not None:
        assert str(names) in str(caught.value)


def test_runs_of_another_shape_or_affine(good, bold, tmp_path):
    run, mask = good
    wider = bold.run(tmp_path, "2", shape=(5, 4, 3))
    refused([run, wider], {"all": mask}, r"differ in shape \(\(4, 4, 3\) and \(5, 4, 3\)\).* resample one", names=wider.bold)
    moved = bold.run(tmp_path, "3", affine=bold.affine + np.eye(4, k=3))
    refused([run, moved], {"all": mask}, "differ in affine", names=moved.bold)


def test_masks_of_another_grid(good, bold, tmp_path):
    run, _ = good
    other = bold.mask(tmp_path, "other", affine=np.diag([1.5, 1.5, 1.75, 1.0]), shape=(8, 8, 6))
    refused([run], {"all": other}, "another grid than .* resample it, or set resample_masks", names=other)
    found = patterns([run], {"all": other}, FmriOptions(resample_masks=True), tmp_path / "cache")["all"]
    assert 30 <= found.n_channels[0] <= 48
    flat = bold.volume(tmp_path / "flat.nii.gz", np.ones((4, 4), dtype=np.uint8))
    refused([run], {"all": flat}, "expected a mask of three dimensions", names=flat)


def test_masks_that_select_nothing(good, bold, tmp_path):
    run, mask = good
    empty = bold.volume(tmp_path / "empty.nii.gz", np.zeros((4, 4, 3), dtype=np.uint8))
    refused([run], {"V1": empty}, "is empty, so region 'V1' selects no voxel", names=empty)
    refused([run], {"V1": (mask, 7)}, "has no voxel with the label 7", names=mask)
    refused([run], {"V1": {"02": mask}}, "region 'V1' has no mask for subject '01'")
    refused([run], {"V1": tmp_path / "gone.nii.gz"}, "is not there", names=tmp_path / "gone.nii.gz")
    refused([run], {"V1": 3.0}, "a mask is a float")
    refused([run], {}, "no region was given")
    refused([], {"V1": mask}, "no run was given")


def test_constant_and_broken_voxels(good, bold, tmp_path):
    run, mask = good
    values = load_img(str(run.bold)).get_fdata().astype(np.float32)
    values[1:3, 0] = 5.0
    values[3, 3, 2, 10] = np.nan
    bold.volume(run.bold, values)
    with pytest.warns(UserWarning, match="7 of 36 voxels of region 'all' of subject '01' are constant or not finite"):
        found = patterns([run], {"all": mask}, cache=tmp_path / "cache")["all"]
    assert found.n_channels == (29,) and np.isfinite(found.patterns()[0]).all()
    bold.volume(run.bold, np.full((4, 4, 3, 60), 3.0, dtype=np.float32))
    refused([run], {"all": mask}, "36 of 36 voxels of region 'all' .* are constant", names=run.bold)


def test_truncated_and_foreign_files(good, bold, tmp_path):
    run, mask = good
    whole = run.bold.read_bytes()
    run.bold.write_bytes(whole[: len(whole) // 2])
    refused([run], {"all": mask}, "cannot be read .* truncated", names=run.bold, cache=tmp_path / "cache")
    run.bold.write_bytes(b"no NIfTI")
    refused([run], {"all": mask}, "cannot be read", names=run.bold)
    plain = tmp_path / "plain.nii"
    plain.write_bytes(gzip.decompress(whole)[:-400])
    refused([FmriRun(plain, run.events)], {"all": mask}, "cannot be read", names=plain, cache=tmp_path / "cache")
    run.bold.write_bytes(whole)
    content = mask.read_bytes()
    mask.write_bytes(content[:-20])
    refused([run], {"all": mask}, "cannot be read", names=mask)
    refused([FmriRun(tmp_path / "gone.nii", run.events)], {"all": mask}, "is not there", names=tmp_path / "gone.nii")


def test_images_without_a_time_axis(good, bold, tmp_path):
    run, mask = good
    refused([FmriRun(mask, run.events)], {"all": mask}, r"shape \(4, 4, 3\); expected a 4D NIfTI", names=mask)
    refused([FmriRun(3, run.events)], {"all": mask}, "is a int; expected the path")


def test_repetition_times(good, bold, tmp_path):
    run, mask = good
    bare = bold.run(tmp_path, "5", seconds=None)
    refused([bare], {"all": mask}, "has no repetition time.* state repetition_time", names=bare.bold)
    assert patterns([bare], {"all": mask}, FmriOptions(repetition_time=2), tmp_path / "cache")
    refused([run], {"all": mask}, r"stated as 3 s but the header of .* says 2 s", FmriOptions(repetition_time=3), run.bold)
    sidecar = tmp_path / "run-1_bold.json"
    sidecar.write_text(json.dumps({"RepetitionTime": 1.5}))
    refused([run], {"all": mask}, r"says 1.5 s and .* says 2 s, which contradict", names=sidecar)
    assert patterns([run], {"all": mask}, FmriOptions(repetition_time=2.0), tmp_path / "cache")
    refused([run], {"all": mask}, "stated as 3 s but .* says 1.5 s and", FmriOptions(repetition_time=3), run.bold)
    sidecar.write_text(json.dumps({"RepetitionTime": "2 s"}))
    refused([run], {"all": mask}, "RepetitionTime is '2 s'", names=sidecar)
    sidecar.write_text("{")
    refused([run], {"all": mask}, "cannot be read as JSON", names=sidecar)


def events(run, change):
    table = pd.read_csv(run.events, sep="\t")
    change(table).to_csv(run.events, sep="\t", index=False, na_rep="n/a")
    return run


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda table: table.assign(onset=table["onset"] * 1000), "9 of 9 events lie outside the run of 120 s, such as"),
        (lambda table: table.assign(onset=table["onset"] - 200), "9 of 9 events lie outside"),
        (
            lambda table: table.assign(onset=table["onset"] + np.where(table["trial_type"] == "b", 400, 0)),
            "3 of 9 events .* 'b' at 4.. s",
        ),
        (lambda table: table.drop(columns="onset"), "has no column 'onset' .it has duration, trial_type."),
        (lambda table: table.rename(columns={"trial_type": "condition"}), "has no column 'trial_type'"),
        (lambda table: table.assign(duration=np.nan), r"'duration' in row 1 \(line 2\) is 'n/a'; expected seconds"),
        (lambda table: table.assign(onset="soon"), r"'onset' in row 1 \(line 2\) is 'soon'; expected seconds"),
        (lambda table: table.assign(duration=-1.0), "a duration of -1 s"),
        (lambda table: table.iloc[:0], "holds no event"),
        (lambda table: table.assign(trial_type=np.nan), "holds no event"),
        (lambda table: table.assign(trial_type=table["trial_type"].replace("c", "b")), "patterns of 2 conditions"),
    ],
)
def test_events(good, change, expected, tmp_path):
    run, mask = good
    events(run, change)
    names = None if "patterns of" in expected else run.events
    refused([run], {"all": mask}, expected, names=names, cache=tmp_path / "cache")


def test_few_events_behind_the_end_are_left_out(good, tmp_path):
    run, _ = good
    events(run, lambda table: pd.concat([table, pd.DataFrame({"onset": [130.0], "duration": [2.0], "trial_type": ["a"]})]))
    table, notes = read_events(run, FmriOptions(), 120.0)
    assert len(table) == 9 and len(notes) == 1 and "1 of 10 events lie outside the run" in notes[0]


def test_events_without_a_name_are_left_out_and_files_may_name_them(good):
    run, _ = good
    events(
        run,
        lambda table: table.assign(
            trial_type=["n/a", *table["trial_type"][1:]], stim_file=[f"x/{t}.png" for t in table["trial_type"]]
        ),
    )
    table, notes = read_events(run, FmriOptions(), 120.0)
    assert len(table) == 8 and "1 events without a trial_type" in notes[0]
    table, notes = read_events(run, FmriOptions(condition_column="stim_file"), 120.0)
    assert set(table["trial_type"]) == {"a", "b", "c"} and len(table) == 9 and not notes


def test_conditions_missing_in_a_run(good, bold, tmp_path):
    run, mask = good
    other = events(bold.run(tmp_path, "2"), lambda table: table[table["trial_type"] != "c"])
    refused([run, other], {"all": mask}, "has no event of 'c' .1 of 3 conditions", names=other.events)
    refused([run], {"all": mask}, "has no event of 'd'", FmriOptions(conditions=["a", "b", "d"]), run.events)


def test_runs_with_one_name_and_ranges_beyond_the_file(good):
    run, mask = good
    refused([run, run], {"all": mask}, "subject '01' has 2 runs named '1'")
    refused([FmriRun(run.bold, run.events, volumes=(0, 61))], {"all": mask}, "volumes 0 to 61 of a file with 60", names=run.bold)


def test_confounds(good, tmp_path):
    run, mask = good
    table = tmp_path / "confounds.tsv"
    pd.DataFrame({"trans_x": np.arange(60.0), "csf": np.r_[np.nan, np.arange(59.0)], "word": "x"}).to_csv(
        table, sep="\t", index=False
    )
    moved = FmriRun(run.bold, run.events, table)
    assert read_confounds(moved, FmriOptions(), 60).shape == (60, 1)
    both = read_confounds(moved, FmriOptions(confounds=["c*", "trans_?"]), 60)
    np.testing.assert_allclose(both.mean(axis=0), 0, atol=1e-12)
    assert both.shape == (60, 2) and both[0, 0] == both[1, 0] < both[2, 0]  # the missing first value is the next
    refused([moved], {"all": mask}, "no column 'trans_z', did you mean 'trans_x'", FmriOptions(confounds=["trans_z"]), table)
    refused([moved], {"all": mask}, r"'word' in row 1 \(line 2\) is 'x'; expected a number", FmriOptions(confounds=["word"]), table)
    pd.DataFrame({"csf": np.arange(60.0)}).to_csv(table, sep="\t", index=False)
    refused([moved], {"all": mask}, "none of the motion parameters", names=table)
    pd.DataFrame({"trans_x": np.arange(59.0)}).to_csv(table, sep="\t", index=False)
    refused([moved], {"all": mask}, "has 59 rows for 60 volumes", names=table)


def test_models_that_cannot_be_estimated(good):
    run, mask = good
    many = pd.DataFrame(np.random.default_rng(0).standard_normal((60, 57)))
    refused([FmriRun(run.bold, run.events, many)], {"all": mask}, "60 volumes for 6. regressors leave nothing")
    table = pd.read_csv(run.events, sep="\t")
    double = pd.concat([table, table[table["trial_type"] == "a"].assign(trial_type="d")])
    refused([FmriRun(run.bold, double)], {"all": mask}, "'a' cannot be told from the other regressors")
    refused([FmriRun(run.bold, table.iloc[:1])], {"all": mask}, "holds one trial", FmriOptions(model="lss"))
    brief = table.assign(duration=0.1, onset=table["onset"] + 0.2)
    refused([FmriRun(run.bold, brief)], {"all": mask}, "no volume falls into", FmriOptions(model="block"))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"model": "lsd"}, "unknown model 'lsd': did you mean 'ls.'"),
        ({"hrf": "glovr"}, "unknown hrf 'glovr': did you mean 'glover'"),
        ({"hrf": "fir"}, "unknown hrf"),
        ({"noise_model": "ar3"}, "unknown noise_model"),
        ({"standardize": "zscore"}, "did you mean 'zscore_sample'"),
        ({"high_pass": -0.01}, "high_pass=-0.01 was given, expected a number above 0, such as its default 0.01"),
        ({"smoothing_mm": 0}, "smoothing_mm=0 was given, expected a number above 0"),
        ({"drift_order": -1}, "drift_order"),
        ({"slice_time_reference": 2.0}, "slice_time_reference=2.0 was given, expected a number from 0 to 1"),
        ({"single_trials": True}, "with 'lss' alone"),
        ({"confounds": "trans_x"}, "expected several names"),
    ],
)
def test_options(given, expected):
    with pytest.raises(InputError, match=expected):
        FmriOptions(**given)


def test_labels_of_volumes(good, tmp_path):
    run, mask = good
    labels = tmp_path / "labels.txt"
    labels.write_text(
        "labels chunks\n" + "".join(f"{name} {chunk}\n" for chunk in (0, 1) for name in ["rest", "a", "b", "c", "rest"] * 6)
    )
    assert [each.volumes for each in block_runs(run.bold, labels)] == [(0, 30), (30, 60)]
    for text, expected in [
        ("a 0\n" * 59, "labels 59 volumes and .* has 60"),
        ("a 0\n" * 20 + "a 1\n" * 20 + "a 0\n" * 20, "run 0 begins again at volume 41"),
        ("a 0\na b 0\n", "line 2 is 'a b 0'"),
        ("rest 0\n" * 60, "labels nothing but rest"),
        ("", "holds no label"),
    ]:
        labels.write_text(text)
        with pytest.raises(InputError, match=expected) as caught:
            block_patterns(run.bold, labels, {"all": mask})
        assert str(labels) in str(caught.value)
