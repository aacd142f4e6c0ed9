import shutil
import warnings
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
from nilearn._utils.data_gen import create_fake_bids_dataset
from nilearn.surface import load_surf_data

from neurodata import InputError
from neurodata.fmri import FmriOptions, from_bids, patterns


@pytest.fixture(scope="module")
def fake(tmp_path_factory) -> Path:
    """Nilearn's own example of a tree: two subjects, two sessions, two tasks; derivatives in two spaces and on a surface."""
    return create_fake_bids_dataset(tmp_path_factory.mktemp("fake"), n_sub=2, n_ses=2, n_vertices=30)


def write_gifti(path, values):
    nibabel.GiftiImage(darrays=[nibabel.gifti.GiftiDataArray(values)]).to_filename(path)
    return path


def mask_of(run):
    return str(run.bold).replace("desc-preproc_bold", "desc-brain_mask")


def test_the_tree_that_nilearn_makes(fake, tmp_path):
    runs = from_bids(fake, task="main", space="MNI")
    assert [(run.subject, run.run) for run in runs] == [
        (subject, f"ses-{session}_run-{run}") for subject in ("01", "02") for session in ("01", "02") for run in ("01", "02", "03")
    ]
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=".*4 of 9 events lie outside the run of 45 s"
        )  # nilearn's events are those of a longer run
        found = patterns(runs, {"brain": mask_of(runs[0])}, cache=tmp_path)["brain"]
    assert found.subjects == ("01", "02") and found.conditions == ("c0", "c1", "c2") and found.n_channels == (8, 8)
    assert found.patterns_by_run()[1].shape == (6, 3, 8)


def test_confounds_come_from_the_derivatives_and_events_from_the_raw_data(fake):
    run = from_bids(fake, task="localizer", space="T1w")[0]
    assert "derivatives" in str(run.confounds) and run.confounds.name.endswith("desc-confounds_timeseries.tsv")
    assert "derivatives" not in str(run.events) and "derivatives" not in str(run.sidecar)
    chosen = from_bids(fake, task="main", space="MNI", strategy=["motion"], subjects=["02"])
    assert {run.subject for run in chosen} == {"02"} and isinstance(chosen[0].confounds, pd.DataFrame)
    assert "trans_x_derivative1" in chosen[0].confounds.columns
    with pytest.raises(InputError, match="'scrub' leaves volumes out"):
        from_bids(fake, task="main", space="MNI", strategy=["scrub"])
    with pytest.raises(InputError, match="nilearn cannot load confounds for walking"):
        from_bids(fake, task="main", space="MNI", strategy=["walking"])


def test_raw_data_and_surfaces(fake, tmp_path):
    raw = from_bids(fake, task="localizer", derivatives="raw")
    assert len(raw) == 4 and all("derivatives" not in str(run.bold) and run.confounds is None for run in raw)
    surface = from_bids(fake, task="localizer", space="fsaverage5")[0]
    assert [part.name.split("_hemi-")[1][0] for part in surface.bold] == ["L", "R"]
    maps = load_surf_data(surface.bold[0])
    with pytest.raises(InputError, match="hemi-L.* holds 30 maps; expected a mask of one"):
        patterns([surface], {"all": surface.bold}, FmriOptions(), tmp_path)
    whole = [write_gifti(tmp_path / f"{side}.gii", np.ones(len(maps), np.float32)) for side in "LR"]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*events lie outside")
        found = patterns([surface], {"all": whole}, FmriOptions(), tmp_path)["all"]
    assert found.n_channels == (60,)


def test_what_has_to_be_stated(fake, tmp_path):
    for given, expected in [
        ({}, r"holds several tasks \(localizer, main\); state which as task"),
        ({"task": "mian"}, "unknown task of .*'mian': did you mean 'main'"),
        ({"task": "main"}, r"holds several spaces \(MNI, T1w\); state which as space"),
        ({"task": "main", "space": "MNI2009"}, "unknown space of .*did you mean 'MNI'"),
        ({"derivatives": "derivatives/elsewhere"}, "of derivatives does not exist"),
        ({"subjects": ["09"]}, "no BOLD image found"),
    ]:
        with pytest.raises(InputError, match=expected) as caught:
            from_bids(fake, **given)
        assert str(fake) in str(caught.value)
    with pytest.raises(InputError, match="does not exist; expected sub-"):
        from_bids(tmp_path / "gone")
    with pytest.raises(InputError, match="no BOLD image found in"):
        from_bids(tmp_path)


@pytest.fixture
def small(fake, tmp_path) -> Path:
    return Path(shutil.copytree(fake, tmp_path / "copy", ignore=shutil.ignore_patterns("derivatives", "sub-02", "ses-02")))


def test_files_are_inherited_from_above(small):
    run = from_bids(small, task="main")[1]
    events = small / "task-main_events.tsv"
    shutil.copy(run.events, events)
    sidecar = small / "task-main_bold.json"
    shutil.copy(run.sidecar, sidecar)
    run.events.unlink()
    run.sidecar.unlink()
    first, second, third = from_bids(small, task="main")
    assert second.events == events and second.sidecar == sidecar
    assert first.events != events and third.sidecar != sidecar


def test_runs_without_events(small):
    run = from_bids(small, task="main")[1]
    run.events.unlink()
    with pytest.raises(InputError, match="has no events; expected a file") as caught:
        from_bids(small, task="main")
    assert str(run.bold) in str(caught.value)


def test_echoes_are_not_runs(tmp_path):
    tree = create_fake_bids_dataset(
        tmp_path, n_sub=1, n_ses=0, tasks=["main"], n_runs=[1], with_derivatives=False, entities={"echo": ["1", "2"]}
    )
    with pytest.raises(InputError, match="is one of several echoes.* combine echoes first"):
        from_bids(tree)


def test_a_tree_without_sessions_and_runs(tmp_path):
    tree = create_fake_bids_dataset(tmp_path, n_sub=2, n_ses=0, tasks=["main"], n_runs=[0], with_derivatives=False)
    assert [(run.subject, run.run) for run in from_bids(tree)] == [("01", "1"), ("02", "1")]


def test_several_trees_of_derivatives(fake, tmp_path):
    copy = Path(shutil.copytree(fake, tmp_path / "copy"))
    for name in ("fmriprep", "other"):
        shutil.copytree(copy / "derivatives" / "sub-01", copy / "derivatives" / name / "sub-01")
    for subject in ("sub-01", "sub-02"):
        shutil.rmtree(copy / "derivatives" / subject)
    with pytest.raises(InputError, match="in derivatives/fmriprep and derivatives/other; state one"):
        from_bids(copy, task="main", space="MNI")
    chosen = from_bids(copy, task="main", space="MNI", derivatives="derivatives/other")
    assert all("other" in str(run.bold) for run in chosen)
    shutil.rmtree(copy / "derivatives" / "other")
    assert all("fmriprep" in str(run.bold) for run in from_bids(copy, task="main", space="MNI"))
