"""The recording of Haxby et al. on a tree in the fetcher's layout: small volumes, everything else as it is."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.utils import Bunch

from neurodata import InputError, haxby2001
from neurodata.fmri.images import load_nifti

FOLDERS = ("bottles", "cats", "chairs", "faces", "houses", "scissors", "shoes")
FILES = ("bold.nii.gz", "labels.txt", "mask4_vt.nii.gz", "mask8_face_vt.nii.gz", "mask8_house_vt.nii.gz")


@pytest.fixture
def tree(tmp_path, monkeypatch, bold) -> Path:
    """Six subjects of two runs; subject 5 has a third one without labels."""
    folder = tmp_path / "data" / "haxby2001"
    generator = np.random.default_rng(0)
    for subject in haxby2001.SUBJECTS:
        place = folder / f"subj{subject}"
        place.mkdir(parents=True)
        lines, evoked = [], []
        patterns = generator.standard_normal((9, 4, 4, 3))
        patterns[8] = 0
        for run in range(3 if subject == 5 else 2):
            order = [8 if run == 2 else index for index in generator.permutation(8)]
            shown = [label for index in order for label in [8] * 3 + [index] * 9] + [8] * 3
            lines += [f"{[*haxby2001.CATEGORIES, 'rest'][label]} {run}" for label in shown]
            evoked.append(patterns[shown])
        series = np.moveaxis(np.concatenate(evoked), 0, -1)
        series = 500 + 20 * series + 5 * generator.standard_normal(series.shape)
        bold.volume(place / "bold.nii.gz", series.astype(np.int16), seconds=2.5)
        (place / "labels.txt").write_text("labels chunks\n" + "\n".join(lines) + "\n")
        for name in FILES[2:]:
            mask = np.zeros((4, 4, 3), dtype=np.uint8)
            mask[: 2 + subject % 2] = 1
            bold.volume(place / name, mask)
    for index, name in enumerate((*FOLDERS, "controls/scrambled")):
        place = folder / "stimuli" / name
        place.mkdir(parents=True)
        for exemplar in (10, 2):
            size = (40, 30) if name == "shoes" else (40, 40)
            Image.new("L", size, 20 * index + exemplar).save(place / f"{name[:4].strip('/')}_{exemplar}.jpg", quality=95)
    (folder / "stimuli" / "README").write_text("photographs")
    monkeypatch.setenv("BIOPLAUSIBLE_DATA", str(tmp_path / "data"))

    def fetch(data_dir, subjects, fetch_stimuli, verbose):
        assert fetch_stimuli and Path(data_dir) == tmp_path / "data"
        paths = [[str(folder / f"subj{subject}" / name) for subject in subjects] for name in FILES]
        stimuli = {name: sorted(map(str, (folder / "stimuli" / name).glob("*.jpg"))) for name in FOLDERS}
        stimuli["controls"] = {"scrambled": sorted(map(str, (folder / "stimuli" / "controls" / "scrambled").glob("*.jpg")))}
        stimuli["."] = []
        keys = ("func", "session_target", "mask_vt", "mask_face", "mask_house")
        return Bunch(**dict(zip(keys, paths, strict=True)), stimuli=stimuli, t_r=2.5)

    monkeypatch.setattr("nilearn.datasets.fetch_haxby", fetch)
    return folder


def test_six_subjects_of_eight_categories(tree):
    assert haxby2001.RECORDING.cached
    recording = haxby2001.RECORDING.load(None)
    region = recording.regions["VT"]
    assert recording.modality == "fmri" and not recording.simulated and list(recording.regions) == ["VT"]
    assert region.subjects == tuple(f"subject_{number}" for number in range(1, 7)) and region.n_channels == (36, 24) * 3
    assert region.conditions == tuple(haxby2001.CATEGORIES) == tuple(recording.stimuli.ids)
    assert [runs.shape[:2] for runs in region.patterns_by_run()] == [(2, 8)] * 6  # the run without labels is left out
    for runs in region.patterns_by_run():
        across = np.corrcoef(*runs)[:8, 8:]
        assert (across.argmax(axis=1) == np.arange(8)).all()
    assert "one photograph of each" in recording.notes and "2425-2430" in recording.citation


def test_photographs_stand_for_their_categories(tree):
    stimuli = haxby2001.load(subjects=[2]).stimuli
    assert stimuli.images.shape == (8, 40, 40, 3)
    grey = dict(zip(stimuli.ids, stimuli.images[:, 20, 20, 0].astype(int), strict=True))
    expected = dict(
        zip(("bottle", "cat", "chair", "face", "house", "scissors", "shoe", "scrambledpix"), range(2, 162, 20), strict=True)
    )
    assert grey == pytest.approx(expected, abs=2)
    assert tuple(stimuli.images[7, 1, 20]) == (128, 128, 128)  # the photograph of shoes is wider, and lies on grey
    other = haxby2001.load(subjects=[2], exemplar=1).stimuli
    assert int(other.images[1, 20, 20, 0]) == pytest.approx(grey["cat"] + 8, abs=2)


def test_regions_chosen_for_faces_and_houses_come_on_request(tree):
    assert list(haxby2001.load(subjects=[1, 3], selective=True).regions) == ["VT", "VT face", "VT house"]


def test_what_goes_wrong(tree, monkeypatch):
    with pytest.raises(InputError, match="no subject 7; expected some of 1, 2"):
        haxby2001.load(subjects=[7])
    with pytest.raises(InputError, match="2 photographs of 'bottle' .* no number 2"):
        haxby2001.load(subjects=[1], exemplar=2)
    (tree / "stimuli" / "cats" / "cats_2.jpg").write_bytes(b"no photograph")
    with pytest.raises(InputError, match="cats_2.jpg cannot be read"):
        haxby2001.load(subjects=[1])
    (tree / "subj4" / "bold.nii.gz").unlink()
    assert not haxby2001.RECORDING.cached

    def offline(**_):
        raise OSError("no connection\nto the server")

    monkeypatch.setattr("nilearn.datasets.fetch_haxby", offline)
    with pytest.raises(InputError, match="could not be downloaded to .*haxby2001 .no connection to the server.; try again"):
        haxby2001.load()
    assert haxby2001.RECORDING.size_bytes > 1e9


def test_the_fetcher_is_called_as_nilearn_has_it():
    import inspect

    from nilearn.datasets import fetch_haxby

    assert {"data_dir", "subjects", "fetch_stimuli", "verbose"} <= set(inspect.signature(fetch_haxby).parameters)


def test_labels_of_the_fake_tree_fit(tree):
    for subject in haxby2001.SUBJECTS:
        lines = (tree / f"subj{subject}" / "labels.txt").read_text().splitlines()
        assert len(lines) - 1 == load_nifti(tree / f"subj{subject}" / "bold.nii.gz").shape[3]
