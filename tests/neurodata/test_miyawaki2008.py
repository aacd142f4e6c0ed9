"""The recording of Miyawaki et al. on a tree in the fetcher's layout: small volumes, everything else as it is."""

from pathlib import Path

import numpy as np
import pytest
from nilearn.glm.first_level import glover_hrf
from scipy import signal
from sklearn.utils import Bunch

from neurodata import InputError, miyawaki2008

MASKS = tuple(name for parts in miyawaki2008.REGIONS.values() for name in parts)


def figures() -> np.ndarray:
    """Ten figures; (10, 10, 10) rows by columns, none of them its own mirror image at the diagonal."""
    return np.random.default_rng(3).random((10, 10, 10)) < 0.3


@pytest.fixture
def tree(tmp_path, monkeypatch, bold) -> Path:
    """Twelve runs of five figures, shapes in the even ones and letters in the odd ones, each kind with an answer in common."""
    folder = tmp_path / "data" / "miyawaki2008"
    for name in ("func", "label", "mask"):
        (folder / name).mkdir(parents=True)
    generator = np.random.default_rng(0)
    kinds = np.repeat(2 * generator.standard_normal((2, 4, 4, 4)), 5, axis=0)
    patterns = np.concatenate([kinds + generator.standard_normal((10, 4, 4, 4)), np.zeros((1, 4, 4, 4))])
    for run in range(1, 13):
        order = 5 * (run % 2) + generator.permutation(5)
        shown = [label for index in order for label in [10] * 6 + [index] * 6] + [10] * 6
        flat = np.array([np.full(100, -1) if label == 10 else figures()[label].ravel(order="F").astype(int) for label in shown])
        np.savetxt(folder / "label" / f"data_figure_run{run:02d}_label.csv", flat, fmt="%d", delimiter=",")
        driven = signal.lfilter(glover_hrf(2.0, oversampling=1, time_length=20.0), 1.0, patterns[shown], axis=0)
        series = 500 + 20 * np.moveaxis(driven, 0, -1) + 2 * generator.standard_normal((4, 4, 4, len(shown)))
        bold.volume(folder / "func" / f"data_figure_run{run:02d}.nii.gz", series.astype(np.float32))
    for number, name in enumerate(MASKS):
        mask = np.zeros((4, 4, 4), dtype=np.uint8)
        mask.reshape(-1)[4 * number : 4 * number + 4] = 1
        bold.volume(folder / "mask" / f"{name}.nii.gz", mask)
    monkeypatch.setenv("BIOPLAUSIBLE_DATA", str(tmp_path / "data"))

    def fetch(data_dir, verbose):
        assert Path(data_dir) == tmp_path / "data"
        return Bunch(
            func=[*sorted(map(str, (folder / "func").glob("*.nii.gz"))), "func/data_random_run01.nii.gz"],
            label=[*sorted(map(str, (folder / "label").glob("*.csv"))), "label/data_random_run01_label.csv"],
            mask_roi=[str(folder / "mask" / f"{name}.nii.gz") for name in (*MASKS, "LHlag0to1")],
        )

    monkeypatch.setattr("nilearn.datasets.fetch_miyawaki2008", fetch)
    return folder


def test_ten_figures_in_five_regions(tree):
    assert miyawaki2008.RECORDING.cached
    recording = miyawaki2008.RECORDING.load(None)
    assert recording.modality == "fmri" and list(recording.regions) == ["V1", "V2", "V3", "V3A", "V4"]
    assert {name: region.n_channels for name, region in recording.regions.items()} == {
        "V1": (16,),
        "V2": (16,),
        "V3": (16,),
        "V3A": (8,),
        "V4": (8,),
    }
    (dataset,) = recording.regions["V1"].datasets
    assert len(dataset.measurements) == 60  # five figures in each of twelve runs
    conditions = np.array(dataset.obs_descriptors["condition"])
    runs = np.array(dataset.obs_descriptors["run"], dtype=int)
    halves = [
        np.stack([dataset.measurements[(conditions == name) & chosen].mean(0) for name in recording.stimuli.ids])
        for chosen in (runs <= 6, runs > 6)
    ]
    across = np.corrcoef(*halves)[:10, 10:]
    assert (across.argmax(axis=1) == np.arange(10)).all()  # the blocks are where they were shown
    # figures of one kind come in the same runs, and are yet nearer to each other than to those of the other
    distance = 1 - np.corrcoef(sum(halves))
    letters = np.array([int(name[-2:]) <= 5 for name in recording.stimuli.ids])
    same = letters[:, None] == letters
    off = ~np.eye(10, dtype=bool)
    assert distance[~same].mean() > 1.7 * distance[same & off].mean()
    assert "10 figures" in recording.notes and "915-929" in recording.citation


def test_figures_are_drawn_as_they_were_shown(tree):
    stimuli = miyawaki2008.load().stimuli
    assert stimuli.images.shape == (10, 320, 320, 3)
    patches = stimuli.images[..., 0].reshape(10, 10, 32, 10, 32).swapaxes(2, 3).reshape(10, 10, 10, -1)
    drawn = patches.std(axis=-1) > 0
    wanted = {tuple(figure.ravel()) for figure in figures()}
    assert {tuple(each.ravel()) for each in drawn} == wanted
    assert set(np.unique(stimuli.images)) == {51, 128, 204}  # 60 per cent contrast about grey
    assert patches.mean() == pytest.approx(127.7, abs=0.5)


def test_what_goes_wrong(tree, monkeypatch):
    path = tree / "label" / "data_figure_run03_label.csv"
    whole = path.read_text()
    path.write_text("1,0,1\n")
    with pytest.raises(InputError, match="run03_label.csv has 3 numbers a line .0, 1, ….; expected 100 of -1, 0 and 1"):
        miyawaki2008.load()
    path.write_text("\n".join(whole.splitlines()[:-1]) + "\n")
    with pytest.raises(InputError, match="run03_label.csv labels 65 volumes and .*run03.nii.gz has 66; expected as many"):
        miyawaki2008.load()
    path.write_text("patches\n")
    with pytest.raises(InputError, match="run03_label.csv cannot be read"):
        miyawaki2008.load()
    path.write_text(whole)
    (tree / "mask" / "LHV1d.nii.gz").unlink()
    assert not miyawaki2008.RECORDING.cached

    def offline(**_):
        raise OSError("no connection\nto the server")

    monkeypatch.setattr("nilearn.datasets.fetch_miyawaki2008", offline)
    with pytest.raises(InputError, match="could not be downloaded to .*miyawaki2008 .no connection to the server.; try again"):
        miyawaki2008.load()


def test_the_fetcher_has_the_masks_that_regions_name():
    from nilearn.datasets import func

    there = {Path(str(path)).name.removesuffix(".nii.gz") for path in func.miyawaki2008_file_mask()}
    assert set(MASKS) <= there
