import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from PIL import Image
from rsatoolbox.rdm import RDMs

import neurodata
from neurodata import InputError, PatternSet, RdmSet, Recording
from neurodata.rdm_set import condense


def settings(folder: Path, **values: object) -> None:
    (folder / "recording.yaml").write_text(yaml.safe_dump(values))


def refused(folder: Path, expected: str) -> None:
    with pytest.raises(InputError, match=expected) as caught:
        neurodata.load(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_natural_order_and_settings(own_folder, make_rdms):
    np.save(own_folder / "rdms_IT.npy", make_rdms(2))
    settings(own_folder, name="mine", modality="meg", subjects=["x", "y"], citation="me", licence="CC0",
             categories={"image_1": "dark", **{f"image_{i}.png": "light" for i in range(2, 13)}})  # fmt: skip
    recording = neurodata.load(str(own_folder))
    assert list(recording.stimuli.ids) == [f"image_{index + 1}" for index in range(12)]
    assert [int(image[0, 0, 0]) for image in recording.stimuli.images] == [20 * index for index in range(12)]
    assert recording.stimuli.images.shape == (12, 6, 8, 3)
    assert (recording.name, recording.modality, recording.citation, recording.licence) == ("mine", "meg", "me", "CC0")
    assert recording.regions["IT"].subjects == ("x", "y")
    assert list(recording.stimuli.categories) == ["dark"] + ["light"] * 11
    assert recording.times is None


def test_listed_order(own_folder, make_rdms):
    np.save(own_folder / "rdms_IT.npy", make_rdms())
    order = [f"image_{index}.png" for index in (3, 1, 2, 12, 11, 10, 9, 8, 7, 6, 5, 4)]
    settings(own_folder, stimuli=order)
    recording = neurodata.load(own_folder)
    assert [f"{identity}.png" for identity in recording.stimuli.ids] == order
    assert recording.name == "own"
    settings(own_folder, stimuli=["image_99.png", *order])
    refused(own_folder, "lists the stimulus image_99.png, which is not in")


@pytest.mark.parametrize("shape", [(), (3,), (3, 5)])
@pytest.mark.parametrize("condensed", [False, True])
@pytest.mark.parametrize("suffix", ["npy", "npz", "h5"])
def test_every_rdm_file(own_folder, make_rdms, shape, condensed, suffix):
    rdms = make_rdms(*shape)
    if condensed:
        rdms = condense(rdms) if shape else condense(rdms)[None]
    path = own_folder / f"rdms_IT_left.{suffix}"
    if suffix == "npy":
        np.save(path, rdms)
    elif suffix == "npz":
        np.savez(path, rdms=rdms)
    else:
        with h5py.File(path, "w") as file:
            file["rdms"] = rdms
    if len(shape) == 2:
        settings(own_folder, times={"start": -0.1, "step": 0.05})
    recording = neurodata.load(own_folder)
    expected = condense(make_rdms(*shape))
    np.testing.assert_array_equal(recording.regions["IT_left"].rdms(), expected if shape else expected[None])
    if len(shape) == 2:
        np.testing.assert_allclose(recording.times, [-0.1, -0.05, 0.0, 0.05, 0.1], atol=1e-15)


def test_file_saved_by_rsatoolbox(own_folder, make_rdms):
    descriptors = {"subject": ["a", "a", "b", "b"], "session": [1, 2, 1, 2]}
    RDMs(make_rdms(4), "crossnobis", rdm_descriptors=descriptors).save(str(own_folder / "rdms_IT.h5"))
    region = neurodata.load(own_folder).regions["IT"]
    assert region.subjects == ("a", "b") and region.sessions == ("1", "2") and region.measure == "crossnobis"
    np.testing.assert_array_equal(region.rdms_by_session().reshape(4, -1), condense(make_rdms(4)))
    settings(own_folder, subjects=["x", "y"])
    assert neurodata.load(own_folder).regions["IT"].subjects == ("x", "y")
    settings(own_folder, subjects=["x", "y", "z"])
    refused(own_folder, "RDMs of 2 subjects but 3 names")


def test_pattern_files(own_folder):
    generator = np.random.default_rng(0)
    together = generator.standard_normal((3, 12, 5))
    apart = [generator.standard_normal((12, 4 + index, 6)) for index in range(3)]
    np.savez(own_folder / "patterns_V1.npz", patterns=together)
    np.savez(own_folder / "patterns_sensors.npz", **{f"subject_{i + 1:02d}": each for i, each in enumerate(apart)})
    settings(own_folder, times=[0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
    recording = neurodata.load(own_folder)
    np.testing.assert_array_equal(np.stack(recording.regions["V1"].patterns()), together)
    assert recording.regions["sensors"].n_channels == (4, 5, 6)
    np.testing.assert_array_equal(recording.regions["sensors"].patterns()[2], np.moveaxis(apart[2], -1, 0))
    np.testing.assert_array_equal(recording.times, [0.0, 0.1, 0.2, 0.3, 0.4, 0.5])


def test_subjects_are_in_natural_order(own_folder):
    np.savez(own_folder / "patterns_V1.npz", **{f"subject_{index}": np.eye(12)[:, :index] for index in range(12, 0, -1)})
    region = neurodata.load(own_folder).regions["V1"]
    assert region.n_channels == tuple(range(1, 13))
    assert region.subjects[1] == "subject_2" and region.subjects[9] == "subject_10"


def test_transparent_and_grey_images(own_folder, make_rdms):
    np.save(own_folder / "rdms_IT.npy", make_rdms())
    clear = np.zeros((6, 8, 4), np.uint8)
    clear[0, 0] = (10, 20, 30, 255)
    Image.fromarray(clear).save(own_folder / "stimuli" / "image_1.png")
    Image.fromarray(np.full((6, 8), 77, np.uint8)).save(own_folder / "stimuli" / "image_2.png")
    settings(own_folder, background_colour=[1, 2, 3])
    images = neurodata.load(own_folder).stimuli.images
    assert images[0, 0, 0].tolist() == [10, 20, 30] and images[0, 1, 1].tolist() == [1, 2, 3]
    assert images[1, 0, 0].tolist() == [77, 77, 77]


def test_simulated_recording_comes_back(tmp_path, stimuli):
    drivers = {"V1 (simulated)": "gabor_energy", "cat (simulated)": "category"}
    times = np.array([0.0, 0.1, 0.2, 0.3])
    windows = {"V1 (simulated)": (0.05, 0.15), "cat (simulated)": (0.15, 0.25)}
    made = neurodata.simulate(stimuli, drivers, n_subjects=11, n_channels=5, n_runs=2, times=times, drive_windows=windows)
    found = neurodata.load(neurodata.save(made, tmp_path / "deep" / "down"))
    np.testing.assert_array_equal(found.stimuli.images, stimuli.images)
    np.testing.assert_array_equal(found.stimuli.ids, stimuli.ids)
    np.testing.assert_array_equal(found.stimuli.categories, stimuli.categories)
    np.testing.assert_array_equal(found.times, times)
    for field in ("name", "modality", "citation", "licence", "notes", "truth", "drive_windows", "simulated"):
        assert getattr(found, field) == getattr(made, field), field
    for region in drivers:
        assert found.regions[region].subjects == made.regions[region].subjects
        for back, sent in zip(found.regions[region].patterns_by_run(), made.regions[region].patterns_by_run(), strict=True):
            np.testing.assert_array_equal(back, sent)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["down"]


def test_rdms_with_sessions_and_other_alphabets_come_back(tmp_path, stimuli, make_rdms):
    toolbox = RDMs(make_rdms(4), "correlation", rdm_descriptors={"subject": ["Jörg", "Jörg", "李", "李"]})
    regions = {"IT": RdmSet(toolbox), "EVC": RdmSet.from_array(make_rdms(3), conditions=list(stimuli.ids))}
    found = neurodata.load(neurodata.save(Recording("r", stimuli, "fmri", regions), tmp_path / "r"))
    assert found.regions["IT"].subjects == ("Jörg", "李")
    assert found.regions["EVC"].subjects == regions["EVC"].subjects
    for region in regions:
        np.testing.assert_array_equal(found.regions[region].rdms_by_session(), regions[region].rdms_by_session())


def test_saving_refuses_and_leaves_nothing(tmp_path, stimuli, make_rdms, monkeypatch):
    recording = Recording("r", stimuli, "fmri", {"IT": RdmSet.from_array(make_rdms(2))})
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    with pytest.raises(InputError, match="used is there already"):
        neurodata.save(recording, tmp_path / "used")
    with pytest.raises(InputError, match="file' cannot be a file's name|cannot be written"):
        neurodata.save(recording, tmp_path / "used" / "file" / "below")
    slashed = Recording("r", stimuli, "fmri", {"V1/V2": RdmSet.from_array(make_rdms(2))})
    with pytest.raises(InputError, match="the region 'V1/V2' cannot be a file's name"):
        neurodata.save(slashed, tmp_path / "new")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match="no disk space left"):
        neurodata.save(recording, tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["used"]


def test_observations_in_different_orders_cannot_be_saved(tmp_path, stimuli):
    ids = [str(each) for each in stimuli.ids]
    one, other = (PatternSet.from_arrays([np.eye(12)], subjects=[s], conditions=c).datasets[0]
                  for s, c in (("a", ids), ("b", ids[::-1])))  # fmt: skip
    recording = Recording("r", stimuli, "fmri", {"V1": PatternSet((one, other))})
    with pytest.raises(InputError, match="observations in different orders"):
        neurodata.save(recording, tmp_path / "r")
    assert not list(tmp_path.iterdir())


def spoil_missing(folder):
    shutil.rmtree(folder)


def spoil_is_file(folder):
    shutil.rmtree(folder)
    folder.write_text("")


def spoil_no_stimuli(folder):
    shutil.rmtree(folder / "stimuli")


def spoil_no_region(folder):
    (folder / "rdms_IT.npz").unlink()


def spoil_truncated_npz(folder):
    content = (folder / "rdms_IT.npz").read_bytes()
    (folder / "rdms_IT.npz").write_bytes(content[: len(content) // 2])


def spoil_truncated_patterns(folder):
    np.savez(folder / "patterns_V1.npz", patterns=np.ones((2, 12, 30)))
    content = (folder / "patterns_V1.npz").read_bytes()
    (folder / "patterns_V1.npz").write_bytes(content[:-200])


def spoil_truncated_npy(folder):
    np.save(folder / "rdms_V1.npy", np.ones((2, 66)))
    (folder / "rdms_V1.npy").write_bytes((folder / "rdms_V1.npy").read_bytes()[:-9])


def spoil_truncated_h5(folder):
    with h5py.File(folder / "rdms_V1.h5", "w") as file:
        file["rdms"] = np.ones((20, 66))
    (folder / "rdms_V1.h5").write_bytes((folder / "rdms_V1.h5").read_bytes()[:3000])


def spoil_damaged_rsatoolbox_file(folder):
    with h5py.File(folder / "rdms_V1.h5", "w") as file:
        file["dissimilarities"] = np.ones((20, 66))


def spoil_pickled(folder):
    np.savez(folder / "rdms_IT.npz", rdms=np.array([{"a": 1}], dtype=object))


def spoil_key(folder):
    np.savez(folder / "rdms_IT.npz", RDM=np.ones((2, 66)), other=np.ones(3))


def spoil_h5_key(folder):
    with h5py.File(folder / "rdms_V1.h5", "w") as file:
        file["matrices"] = np.ones((20, 66))


def spoil_pattern_key(folder):
    np.savez(folder / "patterns_V1.npz", data=np.ones((2, 12, 30)))


def spoil_pattern_condition(folder):
    np.savez(folder / "patterns_V1.npz", patterns=np.ones((2, 12, 30)), conditions=["image_77"] * 12)


def spoil_pattern_shape(folder):
    np.savez(folder / "patterns_V1.npz", patterns=np.ones(12))


def spoil_pattern_rows(folder):
    np.savez(folder / "patterns_V1.npz", patterns=np.ones((2, 11, 30)))


def spoil_image(folder):
    path = folder / "stimuli" / "image_7.png"
    path.write_bytes(path.read_bytes()[:50])


def spoil_jpeg(folder):
    path = folder / "stimuli" / "image_7.png"
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path.with_suffix(".jpg"))
    path.unlink()
    path.with_suffix(".jpg").write_bytes(path.with_suffix(".jpg").read_bytes()[:-80])


def spoil_image_text(folder):
    (folder / "stimuli" / "image_7.png").write_text("not an image")


def spoil_image_size(folder):
    Image.fromarray(np.zeros((6, 9, 3), np.uint8)).save(folder / "stimuli" / "image_7.png")


def spoil_not_square(folder):
    np.savez(folder / "rdms_IT.npz", rdms=np.ones((2, 12, 11)))


def spoil_infinite(folder):
    rdms = np.load(folder / "rdms_IT.npz")["rdms"]
    rdms[0, 2, 3] = rdms[0, 3, 2] = np.inf
    np.savez(folder / "rdms_IT.npz", rdms=rdms)


def spoil_rows(folder):
    (folder / "stimuli" / "image_7.png").unlink()


def spoil_h5_rows(folder):
    RDMs(np.ones((2, 45))).save(str(folder / "rdms_V1.h5"))


def spoil_twice(folder):
    np.save(folder / "rdms_IT.npy", np.ones((2, 66)))


def spoil_times(folder):
    np.save(folder / "rdms_V1.npy", np.ones((2, 4, 66)))


def spoil_number_of_times(folder):
    np.save(folder / "rdms_V1.npy", np.ones((2, 4, 66)))
    settings(folder, times=[0.0, 0.1, 0.2])


def spoil_subjects(folder):
    settings(folder, subjects=["a"])


def spoil_categories(folder):
    settings(folder, categories=["a", "b"])


def spoil_category_names(folder):
    settings(folder, categories={"image_1.png": "a"})


def spoil_unknown_keys(folder):
    settings(folder, modalty="fmri", licence="x", zzz=1)


def spoil_value(folder):
    settings(folder, times={"start": 0.0, "step": 0})


def spoil_yaml(folder):
    (folder / "recording.yaml").write_text("name: mine\nnotes: one: two\n")


def spoil_yaml_list(folder):
    (folder / "recording.yaml").write_text("- fmri\n")


def test_pairs_that_were_not_measured_are_noted(own_folder, make_rdms):
    rdms = make_rdms(2)
    rdms[0, 2, 3] = rdms[0, 3, 2] = np.nan
    np.savez(own_folder / "rdms_IT.npz", rdms=rdms)
    recording = neurodata.load(own_folder)
    assert np.isnan(recording.regions["IT"].rdms()).sum() == 1
    assert "rdms_IT.npz: 1 of 132 pairs of conditions were not measured (NaN); they count with weight nought." in recording.notes


SPOILED = [
    (spoil_missing, "does not exist; expected stimuli/"),
    (spoil_is_file, "is a file; expected stimuli/"),
    (spoil_no_stimuli, "no stimuli found in .*stimuli; expected stimuli/"),
    (spoil_no_region, "no rdms_<region> or patterns_<region> file found in .*; expected stimuli/"),
    (spoil_truncated_npz, "rdms_IT.npz cannot be read .*may be truncated"),
    (spoil_truncated_patterns, "patterns_V1.npz cannot be read .*may be truncated"),
    (spoil_truncated_npy, "rdms_V1.npy cannot be read .*may be truncated"),
    (spoil_truncated_h5, "rdms_V1.h5 cannot be read .*may be truncated"),
    (spoil_damaged_rsatoolbox_file, "rdms_V1.h5 cannot be read"),
    (spoil_pickled, "rdms_IT.npz holds objects of Python; expected one array of numbers"),
    (spoil_key, "rdms_IT.npz holds RDM, other; expected the key 'rdms'"),
    (spoil_h5_key, "rdms_V1.h5 holds matrices; expected a dataset 'rdms'"),
    (spoil_pattern_key, "patterns_V1.npz holds data; expected the key 'patterns'"),
    (spoil_pattern_condition, "patterns_V1.npz: the condition 'image_77' is not among the 12 stimuli"),
    (spoil_pattern_shape, r"patterns_V1.npz: patterns of shape \(12,\)"),
    (spoil_pattern_rows, "patterns_V1.npz: patterns of 'subject_01' have 11 rows for 12 stimuli"),
    (spoil_image, "image_7.png cannot be read"),
    (spoil_jpeg, "image_7.jpg cannot be read"),
    (spoil_image_text, "image_7.png cannot be read as an image .*cannot identify image file"),
    (spoil_image_size, "image_1.png is 8 x 6 pixels and .*image_7.png is 9 x 6; expected one size"),
    (spoil_not_square, r"rdms_IT.npz: an RDM is not square \(shape \(2, 12, 11\)\)"),
    (spoil_infinite, "rdms_IT.npz: 2 of 288 entries are infinite"),
    (spoil_rows, "rdms_IT.npz: RDMs of 12 conditions for 11 stimuli"),
    (spoil_h5_rows, "rdms_V1.h5: region 'V1' has 10 conditions for 12 stimuli"),
    (spoil_twice, "rdms_IT.npy and .*rdms_IT.npz are both of region 'IT'"),
    (spoil_times, "rdms_V1.npy holds 4 times but .*recording.yaml states none; add 'times'"),
    (spoil_number_of_times, "rdms_V1.npy holds 4 times but .*recording.yaml lists 3"),
    (spoil_subjects, "rdms_IT.npz: RDMs of 2 subjects but 1 names"),
    (spoil_categories, "2 categories for 12 stimuli"),
    (spoil_category_names, "names no category for image_2.png"),
    (spoil_unknown_keys, r"unknown keys: 'modalty' \(did you mean 'modality'\?\), 'zzz'; valid are name, modality"),
    (spoil_value, "'times' is .*; expected an ascending list of seconds"),
    (spoil_yaml, "is not YAML at line 2"),
    (spoil_yaml_list, "holds a list: expected a mapping, of lines such as 'modality: fmri'"),
]


@pytest.mark.parametrize(("spoil", "expected"), SPOILED, ids=[spoil.__name__ for spoil, _ in SPOILED])
def test_bad_input_is_one_sentence(own_folder, make_rdms, spoil, expected):
    np.savez(own_folder / "rdms_IT.npz", rdms=make_rdms(2))
    assert neurodata.load(own_folder).regions["IT"].rdms().shape == (2, 66)
    spoil(own_folder)
    refused(own_folder, expected)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"times": [0.0, 0.1]}, "'times' means nothing here, it is for rdms_<region> or patterns_<region> files with times"),
        ({"fmri": {"smoothing_mm": 4}}, "'fmri' means nothing here, it is for raw files: .*bold.nii.gz"),
        ({"meg": {"tmax": 0.5}}, "'meg' means nothing here, it is for raw files: .*_meg.fif"),
        ({"subjects": {"V1": ["a", "b"]}}, "'subjects' names the region V1; expected one of IT"),
        ({"truth": {"V9": "conv_0"}}, "'truth' names the region V9; expected one of IT"),
    ],
)
def test_what_means_nothing_for_these_files_is_refused(own_folder, make_rdms, stated, expected):
    np.savez(own_folder / "rdms_IT.npz", rdms=make_rdms(2))
    settings(own_folder, **stated)
    refused(own_folder, expected)


def test_what_means_nothing_is_known_before_raw_files_are_read(own_folder, make_rdms, monkeypatch):
    np.savez(own_folder / "rdms_IT.npz", rdms=make_rdms(2))
    monkeypatch.setattr("neurodata.raw_folder.load_raw", lambda *_: pytest.fail("read"))
    settings(own_folder, meg={"tmax": 0.5})
    refused(own_folder, "'meg' means nothing here")


def test_a_measure_is_of_rdms(own_folder):
    np.savez(own_folder / "patterns_V1.npz", patterns=np.random.default_rng(0).normal(size=(2, 12, 30)))
    settings(own_folder, measure="correlation")
    refused(own_folder, "'measure' means nothing here, it is for rdms_<region> files; .* --measure")
