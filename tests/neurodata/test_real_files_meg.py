"""Recordings of sensors as people have them: transients, stretches without numbers, names that MNE gives a meaning, sidecars
above."""

import json
import shutil
import sys
import warnings

import h5py
import mne
import numpy as np
import pytest
from eeg_files import WRITERS
from real_files import MEG_YAML, NAMES, RATE, meg_folder, raw_of, write_stimuli, write_table
from scipy.io import loadmat, savemat

import neurodata
from experiments.cli import main
from neurodata import InputError
from neurodata.meg import MegOptions, MegRun, find_runs, make_epochs
from neurodata.opened_files import opened_files

pytestmark = pytest.mark.usefixtures("own_cache")


def loaded(folder, region="magnetometers"):
    recording = neurodata.load(folder)
    return recording.regions[region], recording.notes


def recording_of(folder):
    return next(folder.glob("sub-*/meg/*_meg.fif"))


def channels(raw_names, bad=(), order=None):
    rows = [(name, "TRIG" if name[0] == "S" else "MEGMAG", "T", "bad" if name in bad else "good") for name in raw_names]
    return [rows[index] for index in order] if order is not None else rows


CHANNELS = ("name", "type", "units", "status")


def test_sidecars_above_decide_what_is_kept(tmp_path):
    folder = meg_folder(tmp_path)
    assert loaded(folder)[0].n_channels == (8,)
    names = raw_of()[0].ch_names
    shared = folder / "sub-01" / "meg" / "sub-01_channels.tsv"
    write_table(shared, channels(names, bad=names[3:4]), CHANNELS)
    assert loaded(folder)[0].n_channels == (7,)
    write_table(shared, channels(names, bad=names[3:5]), CHANNELS)
    assert loaded(folder)[0].n_channels == (6,)
    events = next(folder.glob("sub-*/meg/*_events.tsv"))
    before = loaded(folder)[0].patterns()[0]
    above = folder / "task-objects_events.tsv"
    shutil.move(events, above)
    np.testing.assert_array_equal(loaded(folder)[0].patterns()[0], before)
    above.write_text(
        "\n".join(line.replace("apple", "n/a") if index < 9 else line for index, line in enumerate(above.read_text().splitlines()))
    )
    assert not np.array_equal(loaded(folder)[0].patterns()[0], before)


def test_sensors_may_be_listed_in_another_order(tmp_path):
    folder = meg_folder(tmp_path / "tree")
    names = raw_of()[0].ch_names
    order = np.random.default_rng(0).permutation(len(names))
    write_table(
        folder / "sub-01" / "meg" / "sub-01_task-objects_channels.tsv", channels(names, bad=names[2:3], order=order), CHANNELS
    )
    region = loaded(folder)[0]
    kept = list(region.datasets[0].channel_descriptors["channel"])
    assert sorted(kept) == sorted(name for name in names if name not in (names[2], "STI101"))
    plain = meg_folder(tmp_path / "plain", described=False)
    values = loaded(plain)[0]
    at = [list(values.datasets[0].channel_descriptors["channel"]).index(name) for name in kept]
    np.testing.assert_allclose(region.patterns()[0], values.patterns()[0][..., at], rtol=1e-6)


def test_a_sensor_that_is_listed_twice_is_said(tmp_path):
    folder = meg_folder(tmp_path)
    names = raw_of()[0].ch_names
    write_table(folder / "sub-01" / "meg" / "sub-01_channels.tsv", channels([names[1], *names[1:]]), CHANNELS)
    with pytest.raises(
        InputError, match="Duplicate channel names .*channels.tsv; expected a channels.tsv with the recording's names"
    ):
        loaded(folder)


def test_transients_of_triggers_are_refused_as_mne_does(tmp_path):
    def unsteady(raw, onsets):
        raw._data[-1, np.round(onsets * RATE).astype(int)] -= 1

    folder = meg_folder(tmp_path, described=False, change=unsteady)
    next(folder.glob("sub-*/meg/*_events.tsv")).unlink()
    with pytest.raises(
        InputError, match=r"_meg.fif: 15 triggers last for less than two samples, .*'meg: {minimum_trigger_duration: 0.02}'"
    ):
        loaded(folder)
    (folder / "recording.yaml").write_text(MEG_YAML.replace("{", "{minimum_trigger_duration: 0.02, "))
    assert "18 epochs used and 0 left out" in loaded(folder)[1]


@pytest.mark.parametrize("described", [False, True])
def test_names_are_those_of_trial_type(tmp_path, described):
    names = ["badger", "Edgehog", *NAMES[2:]]
    folder = meg_folder(tmp_path, names, described=described)
    events = next(folder.glob("sub-*/meg/*_events.tsv"))
    head, *rows = events.read_text().splitlines()
    coded = [f"{row}\t{10 + index % 3}" for index, row in enumerate(rows)]
    events.write_text("\n".join([f"{head}\tvalue", *coded, "0.1\t0.2\tBAD_movement\tn/a"]) + "\n")
    region, notes = loaded(folder)
    assert sorted(region.conditions) == sorted(names) and "18 epochs used and 0 left out" in notes


def test_numbers_of_events_as_people_write_them(tmp_path):
    folder = meg_folder(tmp_path, described=False)
    events = next(folder.glob("sub-*/meg/*_events.tsv"))
    text = events.read_text()
    points = loaded(folder)[0].patterns()[0]
    events.write_text(text.replace(".", ","))
    np.testing.assert_array_equal(loaded(folder)[0].patterns()[0], points)
    for row, expected in (("\t0\tapple", "is empty"), ("n/a\t0\tapple", "is 'n/a'")):
        events.write_text(text + row + "\n")
        with pytest.raises(InputError, match=rf"events.tsv: 'onset' in row 19 \(line 20\) {expected}; expected seconds"):
            loaded(folder)


def test_stretches_without_numbers_and_dead_sensors_are_left_out_and_said(tmp_path):
    def broken(raw, onsets):
        first = int(onsets[4] * RATE)
        raw._data[2, first : first + 20] = np.nan
        raw._data[0, :] = 3e-13
        raw._data[1, 200:] = raw._data[1].max() * 2
        raw._data[5, :900] = np.nan

    folder = meg_folder(tmp_path / "broken", change=broken, yaml=MEG_YAML.replace("{", "{h_freq: 30, "))
    region, notes = loaded(folder)
    assert region.n_channels == (5,) and np.isfinite(region.patterns()[0]).all()
    assert "17 epochs used and 1 left out" in notes
    assert "2 sensors flat or at an end of the range were left out (MEG0001, MEG0011)" in notes
    assert "1 sensor without numbers was left out (MEG0051)" in notes
    assert "for 0.2 s sensors hold no numbers (MEG0021); epochs there were left out" in notes
    clean = meg_folder(tmp_path / "clean", yaml=MEG_YAML.replace("{", "{h_freq: 30, "))
    epochs = [make_epochs(find_runs(each)[0], MegOptions(tmin=-0.1, tmax=0.3, h_freq=30.0))[0] for each in (folder, clean)]
    kept = epochs[0].get_data(picks=["MEG0021"])[0], epochs[1].get_data(picks=["MEG0021"])[0]
    np.testing.assert_allclose(*kept, rtol=1e-6, atol=1e-18)  # far from the stretch, nothing has changed


def test_missing_numbers_in_saved_epochs_are_left_out(tmp_path):
    raw, onsets, order = raw_of()
    events = np.stack([np.round(onsets * RATE).astype(int), np.zeros(len(order), int), order + 1], axis=1)
    epochs = mne.Epochs(
        raw, events, {name: index + 1 for index, name in enumerate(NAMES)}, -0.1, 0.3, preload=True, verbose="error"
    )
    epochs._data[3, 2, 5] = np.nan
    epochs._data[:, 4] = 0
    epochs.save(tmp_path / "a_epo.fif", verbose="error")
    found, _, _ = make_epochs(MegRun(tmp_path / "a_epo.fif"), MegOptions(tmin=-0.1, tmax=0.3))
    assert len(found) == 17 and found.info["bads"] == [raw.ch_names[4]]


def test_another_task_is_not_one_more_run(tmp_path):
    folder = meg_folder(tmp_path)
    meg_folder(tmp_path, stem="sub-01_task-rest")
    with pytest.raises(
        InputError, match=r"holds several tasks \(objects, rest\); state which as task, such as 'select: {task: objects}'"
    ):
        loaded(folder)
    (folder / "recording.yaml").write_text(MEG_YAML + "select: {task: objects}\n")
    assert "From 1 files of 1 subject: 18 epochs" in loaded(folder)[1]
    meg_folder(tmp_path, stem="sub-01_task-objects_proc-sss", yaml=MEG_YAML + "select: {task: objects}\n")
    with pytest.raises(
        InputError, match=r"holds several processings \(none, sss\); state which as proc, such as 'select: {proc: sss}'"
    ):
        loaded(folder)
    assert [run.path.name for run in find_runs(folder, {"task": "objects", "proc": "none"})] == ["sub-01_task-objects_meg.fif"]
    assert len(find_runs(folder, {"task": ["objects", "rest"], "processing": "none"})) == 2


def eeg_folder(folder, ending):
    write_stimuli(folder)
    place = folder / "sub-01" / "eeg"
    place.mkdir(parents=True)
    raw, onsets, order = raw_of(kind="eeg")
    stem = "sub-01_task-objects"
    WRITERS.get(ending, lambda raw, path: raw.save(path, verbose="error"))(raw, place / f"{stem}_eeg.{ending}")
    write_table(place / f"{stem}_events.tsv", [(f"{each:.3f}", 0, NAMES[index]) for each, index in zip(onsets, order, strict=True)])
    (folder / "recording.yaml").write_text(MEG_YAML)
    return folder


def test_eeg_is_read_as_meg_is_from_every_format(tmp_path):
    recording = neurodata.load(eeg_folder(tmp_path / "fif", "fif"))
    assert recording.modality == "eeg" and recording.regions["EEG"].n_channels == (8,)
    expected = recording.regions["EEG"].patterns()[0]
    # Formats keep a sample in 32 bits, or in the 16 or 24 of a range.
    for ending, step in (("vhdr", 1e-6), ("set", 1e-6), ("bdf", 1e-6), ("edf", 2e-4)):
        found = neurodata.load(eeg_folder(tmp_path / ending, ending)).regions["EEG"].patterns()[0]
        np.testing.assert_allclose(found, expected, atol=step * np.abs(expected).max(), err_msg=ending)


def test_a_home_that_cannot_be_written_is_said_in_one_line_and_stops_nothing(tmp_path, monkeypatch, capsys):
    folder = eeg_folder(tmp_path / "own", "vhdr")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BIOPLAUSIBLE_CACHE", str(tmp_path / "file" / "cache"))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda *given, **_: print(warnings.formatwarning(*given[:4]), end="", file=sys.stderr)
        main(["data", "describe", str(folder)])
    shown = capsys.readouterr()
    lines = [line for line in shown.err.splitlines() if "cannot be written" in line]
    assert len(lines) == 1 and lines[0].startswith("warning: the folder ") and lines[0].endswith("BIOPLAUSIBLE_CACHE at one")
    assert "none, of 1 subject" in shown.out and "score of pixels" in shown.out


@pytest.mark.parametrize("ending", ["vhdr", "edf", "bdf", "set"])
def test_half_an_eeg_file_is_one_sentence(tmp_path, ending):
    folder = eeg_folder(tmp_path, ending)
    path = next(folder.glob(f"sub-01/eeg/*.{ending}"))
    path.write_bytes(path.read_bytes()[: 100 if ending == "vhdr" else 300])
    with pytest.raises(InputError) as caught:
        neurodata.load(folder)
    assert "\n" not in str(caught.value) and path.name in str(caught.value)


def test_what_was_opened_is_known(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    with opened_files() as outer:
        json.loads((tmp_path / "a.json").read_text())
        with opened_files() as inner:
            np.savez(tmp_path / "b.npz", x=1)
    assert outer == {tmp_path / "a.json"} and tmp_path / "b.npz" in inner
    (tmp_path / "a.json").read_text()
    assert len(outer) == 1


def test_files_that_h5py_opens_are_known(tmp_path):
    with opened_files() as seen:
        with h5py.File(tmp_path / "a.h5", "w") as made:
            made["x"] = 1
        assert seen == {tmp_path / "a.h5"}
        seen.clear()
        with h5py.File(tmp_path / "a.h5") as read:
            assert read["x"][()] == 1
    assert seen == {tmp_path / "a.h5"}
    h5py.File(tmp_path / "a.h5").close()
    assert len(seen) == 1


def brainvision_folder(folder, markers, names=()):
    """One run with markers of BrainVision's own kind, (kind, description, onset); names of channels replaced."""
    write_stimuli(folder)
    place = folder / "sub-01" / "eeg"
    place.mkdir(parents=True)
    raw, _, _ = raw_of(kind="eeg")
    header = place / "sub-01_task-objects_eeg.vhdr"
    WRITERS["vhdr"](raw, header)
    text = header.read_text(encoding="utf-8")
    for old, new in names:
        text = text.replace(old, new)
    header.write_text(text, encoding="utf-8")
    lines = [
        f"Mk{place}={kind},{description},{round(onset * RATE) + 1},1,0"
        for place, (kind, description, onset) in enumerate(markers, 2)
    ]
    with header.with_suffix(".vmrk").open("a", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    (folder / "recording.yaml").write_text(MEG_YAML)
    return folder


def test_responses_are_no_stimuli_of_the_same_number(tmp_path):
    _, onsets, order = raw_of(kind="eeg")
    shown = [("Stimulus", f"S{index + 1:3d}", onset) for onset, index in zip(onsets, order, strict=True)]
    pressed = [("Response", f"R{index % 2 + 1:3d}", onset + 0.3) for onset, index in zip(onsets, order, strict=True)]
    _, notes = loaded(brainvision_folder(tmp_path / "both", shown + pressed), "EEG")
    assert "18 epochs used and 0 left out" in notes
    unclear = [("Optic" if index % 2 else "Comment", name, onset) for index, (_, name, onset) in enumerate(shown)]
    with pytest.raises(InputError, match=r"has the markers 'Comment/S  \d' and 'Optic/.*', which end in one number"):
        loaded(brainvision_folder(tmp_path / "unclear", unclear), "EEG")


def test_names_behind_a_marker_s_kind_are_names_and_eyes_are_no_eeg(tmp_path):
    _, onsets, order = raw_of(kind="eeg")
    markers = [("Comment", NAMES[index], onset) for onset, index in zip(onsets, order, strict=True)]
    names = [("EEG0001", "VEOG"), ("EEG0011", "EOG L"), ("EEG0021", "EKG"), ("EEG0031", "AFz")]
    region, notes = loaded(brainvision_folder(tmp_path, markers, names), "EEG")
    assert "18 epochs used" in notes and region.n_channels == (5,)
    assert "channels that are called after eyes, heart, muscles or devices were taken for no EEG (VEOG, EOG L, EKG)" in notes
    rows = [
        (name, "EOG" if name == "EEG0041" else "EEG", "uV", "bad" if name == "AFz" else "good")
        for name in ("VEOG", "AFz", "EEG0041")
    ]
    write_table(tmp_path / "sub-01" / "eeg" / "sub-01_task-objects_channels.tsv", rows, CHANNELS)
    region, notes = loaded(tmp_path, "EEG")
    assert region.n_channels == (6,) and "called after" not in notes  # what is stated goes before names


def test_bad_channels_are_bad_where_no_tree_describes_itself(tmp_path):
    folder = meg_folder(tmp_path, described=False)
    names = raw_of()[0].ch_names
    table = write_table(folder / "sub-01" / "meg" / "sub-01_task-objects_channels.tsv", channels(names, bad=names[3:4]), CHANNELS)
    assert loaded(folder)[0].n_channels == (7,)
    write_table(table, channels([*names, "MEG9999"]), CHANNELS)
    with pytest.raises(InputError, match=r"names the channel 'MEG9999', which the recording does not have \(1 of 10 such\)"):
        loaded(folder)


def stimulus_channel_folder(folder, change):
    meg_folder(folder, described=False, change=change)
    next(folder.glob("sub-01/meg/*_events.tsv")).unlink()
    return folder


def test_codes_below_nought_and_from_the_first_sample_on_are_said(tmp_path):
    def negative(raw, _):
        raw._data[-1][raw._data[-1] == 2] = -2

    def held(raw, _):
        raw._data[-1, :4] = 3

    with pytest.raises(InputError, match="the stimulus channel holds codes below 0, of which it is not known"):
        loaded(stimulus_channel_folder(tmp_path / "negative", negative))
    _, notes = loaded(stimulus_channel_folder(tmp_path / "held", held))
    assert "18 epochs used" in notes and "the stimulus channel holds code 3 from its first sample on" in notes


def test_codes_stand_in_where_names_are_missing(tmp_path):
    folder = meg_folder(tmp_path)
    table = next(folder.glob("sub-01/meg/*_events.tsv"))
    rows = [line.split("\t") for line in table.read_text().splitlines()[1:]]
    coded = [(onset, duration, "n/a", NAMES.index(name) + 1) for onset, duration, name in rows]
    write_table(table, coded, ("onset", "duration", "trial_type", "value"))
    region, notes = loaded(folder)
    assert "names no condition by trial_type, so that the codes in 'value' were taken" in notes
    np.testing.assert_array_equal(region.patterns()[0], loaded(meg_folder(tmp_path / "named"))[0].patterns()[0])


def test_two_files_of_one_run_are_not_two_runs(tmp_path):
    folder = meg_folder(tmp_path, stem="sub-01_task-objects_run-1")
    meg_folder(tmp_path, stem="sub-01_task-objects_run-01")
    with pytest.raises(InputError, match=r"run-01_meg.fif and .*run-1_meg.fif are the same run"):
        loaded(folder)


def test_epochs_of_eeglab_and_milliseconds_are_one_sentence(tmp_path):
    folder = eeg_folder(tmp_path / "eeg", "set")
    path = next(folder.glob("sub-01/eeg/*.set"))
    whole = loadmat(path, struct_as_record=False, squeeze_me=True)["EEG"]
    content = {key: getattr(whole, key) for key in whole._fieldnames}
    content |= {"data": content["data"][:, :1000].reshape(-1, 100, 10), "pnts": 100, "trials": 10}
    savemat(path, {"EEG": content}, appendmat=False)
    with pytest.raises(InputError, match=r"_eeg.set holds epochs; .* save the recording before it is cut, or epochs as \*_epo.fif"):
        neurodata.load(folder)
    with pytest.raises(InputError, match=r"tmin -100 to tmax 300 s; expected seconds, at most 60 \(300 ms are 0.3 s\)"):
        loaded(meg_folder(tmp_path / "meg", yaml="meg: {tmin: -100, tmax: 300}\n"))
