"""Siblings of the faults that reports led to: the same kinds of slip in other keys, names, formats, units and places."""

import shutil

import mne
import nibabel
import numpy as np
import pytest
from eeg_files import WRITERS
from PIL import Image
from real_files import (
    AFFINE,
    MEG_YAML,
    NAMES,
    RATE,
    bold_rows,
    fmri_folder,
    mask,
    meg_folder,
    raw_of,
    write_mask,
    write_stimuli,
    write_table,
)
from rsatoolbox.rdm import RDMs
from scipy.spatial.distance import pdist

import neurodata
from neurodata import InputError
from neurodata.entities import entities_at
from neurodata.event_tables import read_event_table
from neurodata.fmri.bids import from_bids
from neurodata.fmri.mask_values import whole_numbers
from neurodata.meg.channels import types_by_name

pytestmark = pytest.mark.usefixtures("own_cache")

IDS = [f"img_{index}" for index in range(1, 9)]
PATTERNS = np.random.default_rng(0).normal(size=(8, 30))
TRUE = pdist(PATTERNS)
ORDER = np.random.default_rng(1).permutation(8)
SHUFFLED = np.array([IDS[row] for row in ORDER])


@pytest.fixture
def pictures(tmp_path):
    return write_stimuli(tmp_path, IDS)


def refused(folder, expected):
    with pytest.raises(InputError, match=expected):
        neurodata.load(folder)


def save(folder, name="rdms_IT.npz", **arrays):
    np.savez(folder / name, **arrays)


def test_rows_that_numbers_name_are_found(tmp_path):
    write_stimuli(tmp_path, [str(number) for number in range(11, 19)])
    save(tmp_path, rdms=pdist(PATTERNS[ORDER])[None], conditions=ORDER + 11, order=ORDER)
    recording = neurodata.load(tmp_path)
    np.testing.assert_allclose(recording.regions["IT"].rdms()[0], TRUE)
    assert "rdms_IT.npz: arrays that are not read: order." in recording.notes


def test_names_of_rows_that_do_not_fit_are_refused_and_categories_are_not(pictures):
    twice = SHUFFLED.copy()
    twice[1] = twice[0]
    save(pictures, rdms=TRUE[None], conditions=twice)
    refused(pictures, f"'{twice[0]}' stands for 2 of 8 rows by 'conditions'; expected each stimulus once")
    save(pictures, rdms=TRUE[None], conditions=np.append(SHUFFLED, "mask"))
    refused(pictures, "'conditions' names 9 rows of 8")
    save(pictures, rdms=TRUE[None], category=np.repeat(IDS[:4], 2))  # categories that are called after one of their stimuli
    np.testing.assert_allclose(neurodata.load(pictures).regions["IT"].rdms()[0], TRUE)


def test_subjects_and_times_that_stand_beside_an_array_are_read(pictures):
    save(pictures, rdms=np.stack([[TRUE, TRUE], [TRUE, 0 * TRUE]]), subjects=np.array(["anna", "ben"]), times=np.array([0.1, 0.2]))
    recording = neurodata.load(pictures)
    assert recording.regions["IT"].subjects == ("anna", "ben")
    np.testing.assert_allclose(recording.times, [0.1, 0.2])
    assert "1 of 4 RDMs have one value for every pair of conditions" in recording.notes
    (pictures / "recording.yaml").write_text("times: {start: 0.0, step: 0.1}\n")
    refused(pictures, "time 1 is 0.1 s by its 'times' and 0 s by .*recording.yaml")
    save(pictures, rdms=np.stack([[TRUE, TRUE]]), times=np.array([100, 200]))
    refused(pictures, r"'times' reach 200 s; expected seconds from the stimulus, at most 60 \(200 ms are 0.2 s\)")


def test_milliseconds_of_rsatoolbox_and_of_steps_are_said(pictures):
    described = {"time": [0, 100, 200], "subject": ["a"] * 3}
    RDMs(np.stack([TRUE] * 3), rdm_descriptors=described).save(str(pictures / "rdms_IT.h5"), file_type="hdf5")
    refused(pictures, "rdms_IT.h5: 'time' reach 200 s; expected seconds")
    (pictures / "rdms_IT.h5").unlink()
    save(pictures, rdms=np.stack([TRUE] * 50)[None])
    (pictures / "recording.yaml").write_text("times: {start: 0, step: 10}\n")
    refused(pictures, "50 times by {start: 0, step: 10} reach 490 s; expected seconds")


@pytest.mark.parametrize("key", ["condition", "stimuli", "a key of one's own"])
def test_rows_of_patterns_are_found_by_name_under_any_key(pictures, key):
    save(pictures, "patterns_V1.npz", patterns=PATTERNS[ORDER][None], **{key: SHUFFLED})
    np.testing.assert_allclose(neurodata.load(pictures).regions["V1"].patterns()[0], PATTERNS)


def test_runs_and_subjects_of_patterns_in_other_spellings(pictures):
    rows = {"conditions": np.array(IDS * 2), "run": np.repeat(["b", "a"], 8)}
    both = np.concatenate([PATTERNS, PATTERNS])
    save(pictures, "patterns_V1.npz", subject_01=both, **{"sub-02": both, "noise": both}, **rows)
    recording = neurodata.load(pictures)
    region = recording.regions["V1"]
    assert set(region.subjects) == {"subject_01", "sub-02"}
    assert set(region.datasets[0].obs_descriptors["run"]) == {"a", "b"}
    assert "patterns_V1.npz: arrays that are not read: noise." in recording.notes


@pytest.mark.parametrize("name", ["rdm_V1.npz", "RDMs-V1.npz", "pattern_V1.npz", "rdms.npz"])
def test_files_of_regions_in_other_spellings_are_not_passed_over(pictures, name):
    save(pictures, rdms=TRUE[None])
    save(pictures, name, rdms=TRUE[None])
    refused(pictures, f"{name} is not read; expected rdms_<region> or patterns_<region>, rename it")


def test_dark_pictures_of_sixteen_bits_are_dark_where_others_are_bright(pictures):
    save(pictures, rdms=TRUE[None])
    ramp = (np.arange(256).reshape(16, 16) * 250).astype(np.uint16)
    for index, name in enumerate(IDS):
        Image.fromarray(ramp // (20 if index == 0 else 1)).save(pictures / "stimuli" / f"{name}.png")
    assert neurodata.load(pictures).stimuli.images[:2].max(axis=(1, 2, 3)).tolist() == [12, 248]
    for name in IDS:
        Image.fromarray(ramp // 20).save(pictures / "stimuli" / f"{name}.png")
    refused(pictures, "img_1.png has 16 bits a pixel and none above 3187")


def test_the_first_picture_of_a_camera_s_file_is_the_picture(pictures):
    save(pictures, rdms=TRUE[None])
    picture = Image.open(pictures / "stimuli" / "img_1.png")
    picture.save(pictures / "stimuli" / "img_1.jpg", format="MPO", save_all=True, append_images=[picture.resize((8, 8))])
    (pictures / "stimuli" / "img_1.png").unlink()
    assert neurodata.load(pictures).stimuli.images.shape == (8, 16, 16, 3)


def test_masks_twice_of_one_subject_and_in_other_formats_are_said(tmp_path):
    folder = fmri_folder(tmp_path)
    nibabel.MGHImage(mask().astype(np.uint8), AFFINE).to_filename(folder / "masks" / "V2.mgz")
    refused(folder, "V2.mgz is an image in a format that is not read; expected NIfTI")
    (folder / "masks" / "V2.mgz").unlink()
    (folder / "masks" / "V1.nii.gz").unlink()
    (folder / "masks" / "sub-01").mkdir()
    for ending in ("nii", "nii.gz"):
        write_mask(folder, mask().astype(np.uint8), f"sub-01/V1.{ending}")
    refused(folder, "V1.nii and .*V1.nii.gz are both of region 'V1'; expected one mask")


def test_halves_of_large_labels_are_no_labels():
    np.testing.assert_array_equal(whole_numbers(np.array([11601.5, 11602.001, 2.99999])), [11601.5, 11602, 3])


def test_durations_in_milliseconds_are_refused(tmp_path):
    folder = fmri_folder(tmp_path)
    events = next(folder.glob("sub-*/func/*_events.tsv"))
    write_table(events, [(onset, 100, name) for onset, _, name in bold_rows()])
    refused(folder, "by its durations .* 10 conditions are shown at any moment of 120 s; expected durations in seconds")
    # what is no stimulus may last as long as the run, and many such at once
    write_table(events, [*bold_rows(), *[(0.0, 119.0, f"feature {index}") for index in range(8)]])
    assert "no stimulus is called after have no pattern: feature 0, feature 1" in neurodata.load(folder).notes


def test_subjects_and_sessions_of_folders_count(tmp_path):
    folder = fmri_folder(tmp_path, stem="task-objects_run-1")
    place = folder / "sub-01" / "func"
    for session in ("1", "2"):
        shutil.copytree(place, folder / "sub-01" / f"ses-{session}" / "func")
    shutil.rmtree(place)
    runs = from_bids(folder)
    assert [(run.subject, run.run) for run in runs] == [("01", "ses-1_run-1"), ("01", "ses-2_run-1")]
    assert all(run.events.parent == run.bold.parent for run in runs)
    assert entities_at(folder / "task-objects_events.tsv") == {"task": "objects"}


def test_a_file_in_another_subject_s_folder_is_refused(tmp_path):
    folder = fmri_folder(tmp_path)
    (folder / "sub-02" / "func").mkdir(parents=True)
    for path in (folder / "sub-01" / "func").iterdir():
        shutil.copy(path, folder / "sub-02" / "func" / path.name.replace("run-1", "run-2"))
    refused(folder, "run-2_bold.nii.gz is of sub-01 by its name and of sub-02 by its folder; expected one of them")


def test_events_of_another_description_do_not_go_before(tmp_path):
    folder = fmri_folder(tmp_path)
    events = next(folder.glob("sub-*/func/*_events.tsv"))
    shutil.copy(events, events.with_name(events.name.replace("_events", "_desc-old_events")))
    assert from_bids(folder)[0].events == events


def test_runs_and_subjects_that_are_not_read_are_said(tmp_path):
    folder = fmri_folder(tmp_path)
    place = folder / "sub-01" / "func"
    name = "sub-01_task-objects_run-1_bold.nii.gz"
    (folder / "sub-02" / "func").mkdir(parents=True)
    shutil.copy(place / name, folder / "sub-02" / "func" / "sub-02_task-objects_bold (1).nii.gz")
    notes = neurodata.load(folder).notes
    assert "that are no *_bold.nii or *_bold.nii.gz were left out: sub-02_task-objects_bold (1).nii.gz." in notes
    assert "no image was read of 1 subject who has a folder (sub-02)." in notes
    assert "left out" not in neurodata.load(folder, select={"sub": "01"}).notes
    for path in list(place.iterdir()):
        shutil.copy(path, path.with_name(path.name.replace("run-1", "run-2")))
    derived = folder / "derivatives" / "fmriprep" / "sub-01" / "func"
    derived.mkdir(parents=True)
    shutil.copy(place / name, derived / name.replace("_bold", "_desc-preproc_bold"))
    notes = neurodata.load(folder).notes
    assert "runs without a preprocessed image were left out: sub-01_task-objects_run-2_bold.nii.gz." in notes
    assert "without a preprocessed" not in neurodata.load(folder, select={"run": "1"}).notes


def test_names_of_events_that_are_no_stimulus_s_are_said_once(tmp_path):
    table = write_table(tmp_path / "events.tsv", [(1, 1, "apple"), (2, 1, "fish"), (3, 1, "fixation")])
    assert read_event_table(table, "events.tsv", conditions=["apple"])[1] == [
        "events that no stimulus is called after have no pattern: fish, fixation"
    ]
    assert read_event_table(table, "events.tsv")[1] == []


def eeg_folder(folder, ending):
    write_stimuli(folder)
    place = folder / "sub-01" / "eeg"
    place.mkdir(parents=True)
    raw, onsets, order = raw_of(kind="eeg")
    path = place / f"sub-01_task-objects_eeg.{ending}"
    WRITERS[ending](raw, path)
    rows = [(f"{onset:.4f}", 0.0, NAMES[index]) for onset, index in zip(onsets, order, strict=True)]
    write_table(place / "sub-01_task-objects_events.tsv", rows)
    (folder / "recording.yaml").write_text(MEG_YAML)
    return path, onsets, order


def cut(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


@pytest.mark.parametrize("ending", ["edf", "bdf"])
def test_a_recording_that_is_shorter_than_its_header_says_is_said(tmp_path, ending):
    path, *_ = eeg_folder(tmp_path, ending)
    cut(path, 0.85)
    notes = neurodata.load(tmp_path).notes
    assert "does not match the file size" in notes and "events lie outside the recording of" in notes
    cut(path, 0.6)
    refused(tmp_path, r"11 of 18 events lie outside the recording of 5 s, such as one at 5.2 s; .* check the unit")


def test_markers_behind_the_end_of_brainvision_are_said(tmp_path):
    path, onsets, order = eeg_folder(tmp_path, "vhdr")
    next(tmp_path.glob("sub-*/eeg/*_events.tsv")).unlink()
    markers = [
        f"Mk{place}=Stimulus,{NAMES[index]},{int(onset * RATE) + 1},1,0"
        for place, (onset, index) in enumerate(zip(onsets, order, strict=True), 2)
    ]
    table = path.with_suffix(".vmrk")
    table.write_text(table.read_text() + "\n".join(markers) + "\n")
    cut(path.with_suffix(".eeg"), 0.75)
    assert "Omitted 3 annotation(s) that were outside data range" in neurodata.load(tmp_path).notes


def test_renamed_parts_of_a_recording_and_formats_that_are_not_read_are_said(tmp_path):
    path, *_ = eeg_folder(tmp_path, "vhdr")
    (tmp_path / "sub-02" / "eeg").mkdir(parents=True)
    (tmp_path / "sub-02" / "eeg" / "sub-02_task-objects_eeg.cnt").write_bytes(b"x" * 100)
    assert "no recording was read of 1 subject who has a folder (sub-02)." in neurodata.load(tmp_path).notes
    path.with_suffix(".eeg").rename(path.with_name("other.eeg"))
    refused(tmp_path, "eeg.vhdr names sub-01_task-objects_eeg.eeg as a part of it, which is not beside it; .* renamed, correct")


def test_a_task_whose_name_begins_with_noise_is_a_task(tmp_path):
    meg_folder(tmp_path, stem="sub-01_task-noisepictures")
    assert "18 epochs used" in neurodata.load(tmp_path).notes
    meg_folder(tmp_path, stem="sub-01_task-objects")
    refused(tmp_path, r"holds several tasks \(noisepictures, objects\)")


def test_sessions_of_a_plain_folder_are_no_people(tmp_path):
    write_stimuli(tmp_path)
    (tmp_path / "meg").mkdir()
    for session in (1, 2):
        raw_of(seed=session)[0].save(tmp_path / "meg" / f"sub-01_ses-{session}_task-objects_meg.fif", verbose="error")
    (tmp_path / "recording.yaml").write_text(MEG_YAML)
    region = neurodata.load(tmp_path).regions["magnetometers"]
    assert region.subjects == ("sub-01",)
    assert set(region.datasets[0].obs_descriptors["run"]) == {"ses-1", "ses-2"}


def test_names_of_devices_are_no_scalp():
    eeg = ["Fz", "ECoG1", "VPVA", "T7", "TP8", "A1", "Ref"]
    others = {"VEO": "eog", "HEOL": "eog", "EKG": "ecg", "EXG1": "misc", "Photo": "misc", "EEG Resp-Ref": "misc", "Erg1": "misc"}
    raw = mne.io.RawArray(np.zeros((14, 10)), mne.create_info([*eeg, *others], 100.0, "eeg"), verbose="error")
    notes = types_by_name(raw, "x.edf")
    assert dict(zip(raw.ch_names, raw.get_channel_types(), strict=True)) == {**dict.fromkeys(eeg, "eeg"), **others}
    assert "a *_channels.tsv says otherwise" in notes[0] and "Photo" in notes[0]
