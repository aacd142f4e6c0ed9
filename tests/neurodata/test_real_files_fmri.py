"""BOLD runs as people have them: masks that are not quite 0 and 1, tables in other encodings, milliseconds, several versions of a
run."""

import json
import shutil
import unicodedata

import nibabel
import numpy as np
import pandas as pd
import pytest
from real_files import AFFINE, NAMES, SECONDS, bold_rows, fmri_folder, mask, write_bold, write_mask, write_table

import neurodata
from experiments.cli import main
from neurodata import InputError
from neurodata.event_tables import read_event_table
from neurodata.fmri import FmriOptions, FmriRun
from neurodata.fmri.bids import from_bids
from neurodata.fmri.images import open_bold
from neurodata.fmri.tables import read_confounds, read_timing
from neurodata.text_tables import numbers, read_table, read_text

GENERATOR = np.random.default_rng(0)
FINE = np.array([[1.5, 0, 0, -9.75], [0, 1.5, 0, -9.75], [0, 0, 1.5, -6.75], [0, 0, 0, 1]])


def n_voxels(folder):
    return neurodata.load(folder).regions["V1"].n_channels[0]


@pytest.fixture
def folder(tmp_path):
    return fmri_folder(tmp_path)


def fine(values):
    return values.repeat(2, 0).repeat(2, 1).repeat(2, 2)


def events_of(folder):
    return next(folder.glob("sub-*/func/*_events.tsv"))


@pytest.mark.parametrize(
    "values",
    [mask() + 1e-15 * GENERATOR.random(mask().shape), mask() * 255, np.where(mask() > 0, 1.0, np.nan), mask() * 0.9999999998],
    ids=["dust", "255", "NaN outside", "a slope's rounding"],
)
def test_masks_that_are_0_and_1_but_for_storage(folder, values):
    write_mask(folder, values)
    assert n_voxels(folder) == 16


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.where(mask() > 0, 80.0, 5.0), "V1.nii.gz has 2 values from 5 to 80; expected a mask of 0 and 1, threshold it"),
        (mask() * GENERATOR.random(mask().shape), "values from 0 to 0.9.*; expected a mask of 0 and 1, threshold it"),
        (
            mask() * 3 + (np.arange(4) == 0) * 2,
            "V1.nii.gz has the values 2, 3 beside 0; .* of an atlas state {image: path, label: number}",
        ),
        (-mask(), "values from -1 to 0; expected a mask of 0 and 1"),
    ],
)
def test_what_needs_a_threshold_is_refused(folder, values, expected):
    write_mask(folder, values)
    with pytest.raises(InputError, match=expected):
        neurodata.load(folder)


def test_a_mask_counts_alike_on_every_grid(folder):
    (folder / "recording.yaml").write_text("fmri: {resample_masks: true}\n")
    write_mask(folder, fine(mask()), dtype=np.int16, affine=FINE)
    assert n_voxels(folder) == 16
    rim = mask() * np.where(np.arange(6) == 1, 0.6, 1.0)[None, :, None]
    for values, affine in ((rim, AFFINE), (fine(rim), FINE)):
        write_mask(folder, values, affine=affine)
        with pytest.raises(InputError, match="V1.nii.gz has 3 values from 0 to 1; expected a mask of 0 and 1, threshold it"):
            neurodata.load(folder)


def test_labels_of_an_atlas_in_scaled_integers(folder):
    labels = mask() * 3
    labels[0, 0, 0] = 5
    image = nibabel.Nifti1Image(labels, AFFINE)
    image.set_data_dtype(np.int16)
    image.to_filename(folder / "atlas.nii.gz")
    assert 3.0 not in np.unique(nibabel.load(folder / "atlas.nii.gz").get_fdata())  # 2.9999999993
    (folder / "recording.yaml").write_text("fmri: {regions: {V1: {image: atlas.nii.gz, label: 3}}}\n")
    assert n_voxels(folder) == 16
    nibabel.Nifti1Image(labels * 0.37, AFFINE).to_filename(folder / "atlas.nii.gz")
    with pytest.raises(InputError, match="atlas.nii.gz has 17 values that are no whole numbers"):
        neurodata.load(folder)


def test_endings_in_capitals_are_endings(folder):
    for pattern in ("masks/*.nii.gz", "sub-01/func/*"):
        for path in folder.glob(pattern):
            stem, dot, ending = path.name.partition(".")
            path.rename(path.with_name(stem + dot + ending.upper()))
    assert n_voxels(folder) == 16


@pytest.mark.parametrize(
    ("sidecar", "expected"),
    [
        ({"RepetitionTime": 2000}, r"bold.json: RepetitionTime is 2000; expected seconds, 0.03 to 60 \(2000 ms are 2 s\)"),
        ({"RepetitionTime": "2.0"}, "RepetitionTime is '2.0'; expected seconds above 0"),
        ({"VolumeTiming": [0, 3]}, "states VolumeTiming and no RepetitionTime"),
        ({"RepetitionTime": 2.0, "StartTime": 900}, "StartTime is 900; expected seconds from 0 to the repetition time of 2 s"),
        ([2.0], "holds a list; expected a mapping"),
    ],
)
def test_times_that_are_no_seconds(folder, sidecar, expected):
    write_bold(next(folder.glob("sub-*/func/*.nii.gz")), unit="unknown")
    next(folder.glob("sub-*/func/*.json")).write_text(json.dumps(sidecar))
    with pytest.raises(InputError, match=expected):
        neurodata.load(folder)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_events_in_any_encoding_and_composition(tmp_path, encoding):
    names = ["Käse", *NAMES[1:]]
    folder = fmri_folder(tmp_path, names=[unicodedata.normalize("NFD", name) for name in names])
    write_table(events_of(folder), bold_rows(names), encoding=encoding)
    next(folder.glob("sub-*/func/*.json")).write_bytes(b"\xef\xbb\xbf" + json.dumps({"RepetitionTime": SECONDS}).encode())
    assert neurodata.load(folder).regions["V1"].conditions == ("banana", "cat", "dog", "egg", "fish", "Käse")


def test_events_may_call_stimuli_by_their_files(folder):
    write_table(events_of(folder), [(onset, duration, f"{name.upper()}.png") for onset, duration, name in bold_rows()])
    assert neurodata.load(folder).regions["V1"].conditions == tuple(NAMES)


def test_rows_are_counted_as_the_file_has_them(folder):
    rows = [("0", "0", "n/a")] * 3 + bold_rows()
    for wrong, expected in (
        (("12;5", "1", "apple"), r"events.tsv: 'onset' in row 6 \(line 7\) is '12;5'; expected seconds"),
        (("12", "n/a", "apple"), r"events.tsv: 'duration' in row 6 \(line 7\) is 'n/a'; expected seconds"),
        (("1", "", "apple"), r"events.tsv: 'duration' in row 6 \(line 7\) is empty; expected seconds"),
        (("1", "1", "apple", "more"), r"events.tsv: line 7 has 4 cells for 3 columns; .* a tab too many"),
        (("1", "5000", "apple"), "a duration of 5000 s in a run of 120 s; expected durations in seconds"),
    ):
        write_table(events_of(folder), [*rows[:5], wrong, *rows[6:]])
        with pytest.raises(InputError, match=expected):
            neurodata.load(folder)


def test_commas_are_points_where_nothing_else_is_possible():
    def read(*cells):
        return numbers(pd.DataFrame({"x": cells}), "x", "t.tsv").tolist()

    assert read("2,0000", "3,5") == [2.0, 3.5] and read("8e-3", "1,5e2", "4") == [0.008, 150.0, 4.0]
    assert read("0,500", "3") == [0.5, 3.0]  # nobody writes thousands of nothing
    for cells in (("1,500", "3"), ("1,5", "2.5")):
        with pytest.raises(InputError, match="t.tsv: 'x' in row 1 is '1,5.*comma may stand for a point or for thousands"):
            read(*cells)
    with pytest.raises(InputError, match="is '1_000'; expected a number"):
        read("1_000")


def test_confounds_are_not_filled_in_without_a_word(folder, tmp_path):
    run = FmriRun(next(folder.glob("sub-*/func/*.nii.gz")), events_of(folder), tmp_path / "confounds.tsv")
    options = FmriOptions(confounds=["csf"])
    write_table(run.confounds, [(f"{value},5",) for value in range(60)], ("csf",))
    assert read_confounds(run, options, 60).shape == (60, 1)
    write_table(run.confounds, [("n/a" if value == 30 else value,) for value in range(60)], ("csf",))
    with pytest.raises(InputError, match=r"'csf' in row 31 \(line 32\) is 'n/a', and not in the first volumes alone"):
        read_confounds(run, options, 60)
    write_table(run.confounds, [("1.5.2" if value == 30 else value,) for value in range(60)], ("csf",))
    with pytest.raises(InputError, match=r"'csf' in row 31 \(line 32\) is '1.5.2'; expected a number"):
        read_confounds(run, options, 60)


def test_tables_of_text(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text("a\tb\r\n\r\n01\tn/a\r\n")
    table = read_table(path)
    assert table.index.tolist() == [3] and table.iloc[0].tolist() == ["01", "n/a"]
    path.write_text("a\ta\n1\t2\n")
    with pytest.raises(InputError, match="has two columns 'a'"):
        read_table(path)
    path.write_bytes(b"\x00\x01\x02\x00")
    with pytest.raises(InputError, match="is no text in UTF-8"):
        read_text(path)
    frame = pd.DataFrame({"onset": [1.0, np.nan], "duration": [1.0, 1.0], "trial_type": ["null", None]})
    found, notes = read_event_table(frame, "events")
    assert found["trial_type"].tolist() == ["null"] and notes == ["events: 1 events without a trial_type were left out"]


def test_an_event_that_is_there_twice_counts_once(folder):
    once = neurodata.load(folder).regions["V1"].patterns()[0]
    write_table(events_of(folder), [*bold_rows(), bold_rows()[0]])
    recording = neurodata.load(folder)
    np.testing.assert_array_equal(recording.regions["V1"].patterns()[0], once)
    assert "events.tsv: 1 events that are there twice were left out" in recording.notes


def test_entities_are_chosen_in_recording_yaml(folder):
    place = folder / "sub-01" / "func"
    for path in list(place.iterdir()):
        (place / path.name.replace("objects", "rest")).write_bytes(path.read_bytes())
        if "_bold.nii" in path.name:
            for res in "12":
                derived = folder / "derivatives" / "fmriprep" / "sub-01" / "func"
                derived.mkdir(parents=True, exist_ok=True)
                name = path.name.replace("_bold", f"_space-MNI_res-{res}_desc-preproc_bold")
                (derived / name).write_bytes(path.read_bytes())
                (derived / name.replace("objects", "rest")).write_bytes(path.read_bytes())
    with pytest.raises(
        InputError, match=r"holds several tasks \(objects, rest\); state which as task, such as 'select: {task: objects}'"
    ):
        neurodata.load(folder)
    (folder / "recording.yaml").write_text("select: {task: objects}\n")
    with pytest.raises(InputError, match=r"holds several resolutions \(1, 2\); state which as res"):
        neurodata.load(folder)
    (folder / "recording.yaml").write_text("select: {task: objects, resolution: 2}\n")
    assert "res-2" in neurodata.load(folder).regions["V1"].origin
    assert "res-1" in neurodata.load(folder, select={"res": 1}).regions["V1"].origin
    (folder / "recording.yaml").write_text("select: {task: objects}\nfmri: {select: {res: 2}}\n")
    assert "res-2" in neurodata.load(folder).regions["V1"].origin
    # What is asked for goes before what the folder states, wherever it states it.
    assert "res-1" in neurodata.load(folder, select={"res": 1}).regions["V1"].origin
    for stated, expected in (
        ("{task: objekts, res: 2}", "unknown task of .*'objekts': did you mean 'objects'"),
        ("{tsk: objects}", r"recording.yaml: 'select' has unknown entities: 'tsk' \(did you mean 'task'"),
        ("{task: objects, res: 2, echo: 1}", "has no file with an entity 'echo' in its name; leave 'echo' out"),
        ("[task]", "'select' is .*expected a mapping from an entity"),
    ):
        (folder / "recording.yaml").write_text(f"select: {stated}\n")
        with pytest.raises(InputError, match=expected):
            neurodata.load(folder)


def test_the_command_chooses_as_recording_yaml_does(folder, capsys):
    place = folder / "sub-01" / "func"
    for path in list(place.iterdir()):
        (place / path.name.replace("objects", "rest")).write_bytes(path.read_bytes())
    with pytest.raises(SystemExit) as caught:
        main(["data", "describe", str(folder)])
    said = capsys.readouterr().err
    assert caught.value.code == 2 and said.count("\n") == 1 and "or task=objects with --select" in said
    main(["data", "describe", str(folder), "--select", "task=objects", "--json"])
    assert json.loads(capsys.readouterr().out)
    for given, expected in (("task", "holds 'task'; expected an entity and its value"), ("tsk=objects", "did you mean 'task'")):
        with pytest.raises(SystemExit):
            main(["data", "describe", str(folder), "--select", given])
        assert expected in capsys.readouterr().err


def test_what_is_no_real_number_is_not_halved(folder):
    path = next(folder.glob("sub-*/func/*.nii.gz"))
    image = nibabel.load(path)
    nibabel.Nifti1Image(np.asarray(image.dataobj).astype(np.complex64) * (1 + 1j), image.affine).to_filename(path)
    with pytest.raises(InputError, match=r"bold.nii.gz holds complex numbers; expected one real number a voxel"):
        neurodata.load(folder)
    write_bold(path)
    colours = np.zeros(mask().shape, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    for values, expected in ((mask().astype(np.complex64), "complex numbers"), (colours, "colours")):
        write_mask(folder, values)
        with pytest.raises(InputError, match=f"V1.nii.gz holds {expected}"):
            neurodata.load(folder)


def test_a_unit_that_nifti_does_not_know_is_none(folder):
    path = next(folder.glob("sub-*/func/*.nii.gz"))
    image = nibabel.load(path)
    broken = nibabel.Nifti1Image(np.asarray(image.dataobj), image.affine, image.header)
    broken.header["xyzt_units"] = 60
    broken.to_filename(path)
    assert n_voxels(folder) == 16


def test_sidecars_inherit_what_files_above_say(folder):
    beside = next(folder.glob("sub-*/func/*.json"))
    write_bold(next(folder.glob("sub-*/func/*.nii.gz")), unit="unknown")
    beside.write_text(json.dumps({"EchoTime": 0.03}))
    (folder / "task-objects_bold.json").write_text(json.dumps({"RepetitionTime": 1.5, "StartTime": 1.0}))
    (folder / "sub-01" / "sub-01_task-objects_bold.json").write_text(json.dumps({"RepetitionTime": SECONDS}))
    (run,) = from_bids(folder)
    assert [path.name for path in run.sidecar][-1] == beside.name and len(run.sidecar) == 3
    assert read_timing(run, FmriOptions(), open_bold(run.bold, run.name)) == (SECONDS, 1.0)
    beside.write_text(json.dumps({"StartTime": 5.0}))
    with pytest.raises(InputError, match=f"{beside.name}: StartTime is 5.0"):
        neurodata.load(folder)


def test_run_1_is_run_01(tmp_path):
    folder = fmri_folder(tmp_path, stem="sub-01_task-objects_run-01")
    events_of(folder).rename(folder / "sub-01" / "func" / "sub-01_task-objects_run-1_events.tsv")
    assert n_voxels(folder) == 16
    first = next(folder.glob("sub-*/func/*.nii.gz"))
    shutil.copy(first, first.with_name("sub-01_task-objects_run-1_bold.nii.gz"))
    with pytest.raises(InputError, match=r"run-01_bold.nii.gz and .*run-1_bold.nii.gz are the same run; expected one file of it"):
        neurodata.load(folder)


def test_quotation_marks_swallow_no_rows(tmp_path):
    def read(text):
        (tmp_path / "t.tsv").write_bytes(text.encode())
        return read_table(tmp_path / "t.tsv")

    open_one = read('onset\ttrial_type\n1\t"5 inch\n2\tcat\n3\t7"\n4\t"dog"\n')
    assert open_one["trial_type"].tolist() == ['"5 inch', "cat", '7"', "dog"] and open_one.index.tolist() == [2, 3, 4, 5]
    quoted = read('"onset"\t"trial_type"\r\n"1"\t"a ""b"""\r\n2\t""\r\n')
    assert quoted.to_numpy().tolist() == [["1", 'a "b"'], ["2", ""]] and list(quoted.columns) == ["onset", "trial_type"]


def test_units_that_people_mix_up_are_said(folder):
    (folder / "recording.yaml").write_text("fmri: {high_pass: 128}\n")
    with pytest.raises(InputError, match=r"high_pass is 128 Hz; expected Hz, at most 1 \(a period of 128 s is 0.007812 Hz\)"):
        neurodata.load(folder)


def test_another_column_of_conditions_can_be_named(folder):
    write_table(events_of(folder), bold_rows(), ("onset", "duration", "stim_type"))
    with pytest.raises(InputError, match="has no column 'trial_type'.*condition_column: NAME"):
        neurodata.load(folder)
    (folder / "recording.yaml").write_text("fmri: {condition_column: stim_type}\n")
    assert n_voxels(folder) == 16
