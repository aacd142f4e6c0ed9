"""What DataLad, git-annex and Git LFS leave in the place of a file that was not fetched is said, and never passed over."""

import shutil

import numpy as np
import pytest
from real_files import fmri_folder, mask, meg_folder, write_mask, write_stimuli
from scipy.spatial.distance import pdist

import neurodata
from experiments import datasets
from neurodata import InputError

pytestmark = pytest.mark.usefixtures("own_cache")
NOT_HERE = "stands for a file whose content is not here; expected the file itself, fetch it"


def unfetch(path):
    path.unlink(missing_ok=True)
    path.symlink_to("../.git/annex/objects/xx/yy/content")
    return path


def rdm_folder(folder):
    write_stimuli(folder)
    np.save(folder / "rdms_IT.npy", pdist(np.random.default_rng(0).normal(size=(6, 9))))
    return folder


def refused(folder, path):
    with pytest.raises(InputError, match=f"{path.name} {NOT_HERE}"):
        neurodata.load(folder)


def test_a_region_a_stimulus_and_settings(tmp_path):
    for name in ("rdms_V1.npy", "stimuli/zebra.png", "recording.yaml"):
        folder = rdm_folder(tmp_path / name.replace("/", "_"))
        refused(folder, unfetch(folder / name))
    neurodata.load(rdm_folder(tmp_path / "whole"))


@pytest.mark.parametrize("pattern", ["masks/V1.nii.gz", "*_bold.nii.gz", "*_events.tsv", "*_bold.json", "task-objects_bold.json"])
def test_files_of_bold_runs(tmp_path, pattern):
    folder = fmri_folder(tmp_path)
    write_mask(folder, mask(), "IT.nii.gz")
    found = next(folder.rglob(pattern), folder / pattern) if "masks" not in pattern else folder / pattern
    refused(folder, unfetch(found))


@pytest.mark.parametrize("described", [True, False])
@pytest.mark.parametrize("pattern", ["*_meg.fif", "*_events.tsv"])
def test_files_of_sensors(tmp_path, pattern, described):
    folder = meg_folder(tmp_path, described=described)
    refused(folder, unfetch(next(folder.rglob(pattern))))


@pytest.mark.parametrize(
    "text", ["/annex/objects/MD5E-s12--0123.png\n", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"]
)
@pytest.mark.parametrize("pattern", ["stimuli/apple.png", "rdms_IT.npy"])
def test_pointers_are_no_damaged_files(tmp_path, pattern, text):
    folder = rdm_folder(tmp_path)
    (folder / pattern).write_text(text)
    refused(folder, folder / pattern)


def test_an_image_of_a_class(tmp_path):
    for name in "ab":
        write_stimuli(tmp_path / name)
        shutil.move(tmp_path / name / "stimuli", tmp_path / "birds" / name)
    unfetch(tmp_path / "birds" / "a" / "apple.png")
    with pytest.raises(InputError, match=f"apple.png {NOT_HERE}"):
        datasets.load(tmp_path / "birds")
