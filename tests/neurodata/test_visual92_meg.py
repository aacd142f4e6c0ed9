"""The MEG recording of 92 objects, on simulated files of the published structure: four runs, code = trigger + 1, a table."""

from dataclasses import replace
from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest

import rsa
from neurodata import InputError, Stimuli, cichy92, visual92_meg
from neurodata.meg.epochs import check_decimation
from neurodata.meg.helmet import helmet_info

RATE = 100.0
OPTIONS = replace(visual92_meg.OPTIONS, h_freq=None, decimate=1, tmax=0.3)
CATEGORIES = np.repeat([name for name, _ in cichy92.CATEGORY_BLOCKS], [count for _, count in cichy92.CATEGORY_BLOCKS])


def published_table(triggers=range(92)) -> pd.DataFrame:
    animal = [not name.endswith("inanimate") for name in CATEGORIES]
    return pd.DataFrame(
        {
            "trigger": list(triggers),
            "condition": CATEGORIES,
            "human": [int(name.startswith("human")) for name in CATEGORIES],
            "face": [int(name.endswith("face")) for name in CATEGORIES],
            "animal": [int(each) for each in animal],
            "natural": [int(each or name.startswith("natural")) for each, name in zip(animal, CATEGORIES, strict=True)],
        }
    )


def fields(n_channels: int) -> np.ndarray:
    """What is planted for each object: its category's field and a little of its own."""
    generator = np.random.default_rng(92)
    of_category = dict(zip(dict.fromkeys(CATEGORIES), generator.standard_normal((6, n_channels)), strict=True))
    return np.stack([of_category[name] for name in CATEGORIES]) + 0.3 * generator.standard_normal((92, n_channels))


def write_archive(folder: Path, triggers=range(92)) -> None:
    """Write the files that MNE unpacks, in small: 30 sensors, each object twice a run, and codes that are no object."""
    folder.mkdir(parents=True)
    published_table(triggers).to_csv(folder / "visual_stimuli.csv", index=False)
    full = helmet_info(RATE)
    info = mne.pick_info(full, [*range(30), len(full["ch_names"]) - 1])
    units = np.tile([1e-12, 1e-12, 1e-14], 10)
    for run in range(4):
        generator = np.random.default_rng(run)
        order = np.concatenate([generator.permutation(92), generator.permutation(92)])
        codes = np.insert(np.array(triggers)[order] + 1, [20, 90], 200)
        shown = np.insert(order, [20, 90], -1)
        onsets = 100 + 50 * np.arange(len(codes))
        n_samples = onsets[-1] + (200 if run else 9000)
        data = units[:, None] * generator.standard_normal((30, n_samples))
        pulse = np.zeros((1, n_samples))
        for onset, code, index in zip(onsets, codes, shown, strict=True):
            pulse[:, onset : onset + 2] = code
            if index >= 0:
                data[:, onset + 10 : onset + 20] += (2 * units * fields(30)[index])[:, None]
        raw = mne.io.RawArray(np.vstack([data, pulse]), info, verbose="error")
        # the first run was a part of a longer file, whose next part it still names
        raw.save(folder / "a_raw.fif", fmt="single", split_size="2MB", overwrite=True, verbose="error")
        (folder / "a_raw-1.fif").unlink(missing_ok=run > 0)
        (folder / "a_raw.fif").rename(folder / f"sample_subject_{run}_tsss_mc.fif")


@pytest.fixture
def shown(monkeypatch) -> Stimuli:
    stimuli = Stimuli(np.zeros((92, 8, 8, 3), np.uint8), np.array([f"image_{i + 1:02d}" for i in range(92)]), CATEGORIES)
    monkeypatch.setattr(cichy92, "load_stimuli", lambda progress=None: stimuli)
    return stimuli


def let_mne_fetch(monkeypatch, **how) -> list[Path]:
    calls: list[Path] = []

    def data_path(path, *, update_path, verbose):
        assert update_path is False  # a library does not write a user's settings
        calls.append(Path(path))
        write_archive(Path(path) / "MNE-visual_92_categories-data", **how)

    monkeypatch.setattr("mne.datasets.visual_92_categories.data_path", data_path)
    return calls


def test_recording_is_fetched_once_and_read(own_cache, monkeypatch, shown):
    calls = let_mne_fetch(monkeypatch)
    recording = visual92_meg.load(options=OPTIONS)
    assert recording.modality == "meg" and recording.name == "visual92_meg" and not recording.simulated
    assert list(recording.regions) == ["magnetometers", "gradiometers"]
    times = recording.times
    for name, chips in (("magnetometers", slice(2, None, 3)), ("gradiometers", [i for i in range(30) if i % 3 < 2])):
        region = recording.regions[name]
        assert region.conditions == tuple(shown.ids) and region.patterns_by_run()[0].shape[0] == 4
        truth = rsa.rdm(fields(30)[:, chips], "euclidean")
        rdms = rsa.rdm(region.patterns()[0], "euclidean")
        scores = np.array([np.corrcoef(each, truth)[0, 1] for each in rdms])
        assert scores[(times > 0.105) & (times < 0.195)].min() > 0.8 and np.abs(scores[times < 0.09]).max() < 0.2
    again = visual92_meg.load(options=OPTIONS)
    np.testing.assert_array_equal(again.regions["gradiometers"].patterns()[0], recording.regions["gradiometers"].patterns()[0])
    assert calls == [own_cache / "visual92_meg"]
    assert visual92_meg.RECORDING.size_bytes > 5e9 and "2014" in visual92_meg.RECORDING.citation


def test_triggers_are_the_tables(own_cache, monkeypatch, shown):
    triggers = np.random.default_rng(0).permutation(92).tolist()
    let_mne_fetch(monkeypatch, triggers=triggers)
    region = visual92_meg.load(options=OPTIONS).regions["magnetometers"]
    found = region.patterns()[0][25]
    expected = fields(30)[:, 2::3]
    match = np.corrcoef(found, expected)[:92, 92:].argmax(axis=1)
    assert (CATEGORIES[match] == CATEGORIES).mean() > 0.9 and (match == np.arange(92)).mean() > 0.5


def test_default_options_do_not_alias():
    info = mne.create_info(3, 1000.0, "mag")
    with info._unlock():
        info["lowpass"] = visual92_meg.OPTIONS.h_freq
    check_decimation(info, visual92_meg.OPTIONS.decimate, "the recording")
    with pytest.raises(InputError, match="which aliases"):
        check_decimation(info, visual92_meg.OPTIONS.decimate + 1, "the recording")


def test_categories_have_to_be_the_published_ones(tmp_path):
    path = tmp_path / "visual_stimuli.csv"
    table = published_table()
    table.to_csv(path, index=False)
    assert visual92_meg.read_triggers(path, list(CATEGORIES)) == list(range(92))
    swapped = table.copy()
    swapped.loc[[12, 30], "human"] = [0, 1]
    for spoiled, expected in (
        (swapped, r"visual_stimuli.csv: the object of row 13 \(human face\) has human 0"),
        (table.iloc[:90], "visual_stimuli.csv has 90 rows; expected trigger, human, face, animal, natural of 92 objects"),
        (table.drop(columns="face"), "visual_stimuli.csv has no column 'face'"),
        (table.assign(natural=1), r"the object of row 72 \(artificial inanimate\) has natural 1"),
    ):
        spoiled.to_csv(path, index=False)
        with pytest.raises(InputError, match=expected):
            visual92_meg.read_triggers(path, list(CATEGORIES))


def test_what_cannot_be_had_is_one_sentence(own_cache, monkeypatch, shown):
    def refuse(*_, **__):
        raise ConnectionError("no network\nat all")

    monkeypatch.setattr("mne.datasets.visual_92_categories.data_path", refuse)
    assert not visual92_meg.RECORDING.cached
    with pytest.raises(InputError, match="could not be downloaded into .*visual92_meg.*6 GB and a connection") as caught:
        visual92_meg.load()
    assert "\n" not in str(caught.value)
    monkeypatch.setattr("mne.datasets.visual_92_categories.data_path", lambda **_: None)
    with pytest.raises(InputError, match="MNE-visual_92_categories-data has no visual_stimuli.csv"):
        visual92_meg.load()
