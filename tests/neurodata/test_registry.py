import importlib
import pkgutil

import numpy as np
import pytest

import neurodata
from neurodata import InputError, cache
from neurodata.named import NamedRecording
from neurodata.registry import RECORDINGS

# name, conditions, regions with their subjects, image size; a row for each recording with a name
TABLE = [
    ("kriegeskorte92", 92, {"IT": 4}, (175, 175)),
    ("cichy92", 92, {"EVC": 15, "IT": 15}, (175, 175)),
    ("haxby2001", 8, {"VT": 6}, (400, 400)),
    ("miyawaki2008", 10, {"V1": 1, "V2": 1, "V3": 1, "V3A": 1, "V4": 1}, (320, 320)),
    ("visual92_meg", 92, {"magnetometers": 1, "gradiometers": 1}, (175, 175)),
    ("things_fmri", 100, dict.fromkeys(("V1", "V2", "V3", "hV4", "LOC", "EBA", "FFA", "PPA"), 3), (256, 256)),
    ("things_meg", 200, {"MEG": 4}, (256, 256)),
    ("cowley_v4", 640, {"V4": 1}, (112, 112)),
    *((f"cowley_v4_{session}", 1200, {"V4": 1}, (112, 112)) for session in (201025, 190923, 210621)),
    ("zhang_desimone", 21, {"IT": 1}, (8, 8)),
    ("simulated", 60, {"early (simulated)": 12, "pixel (simulated)": 12, "category (simulated)": 12}, (8, 8)),
]


def test_file_line_and_row_for_each_recording():
    modules = [importlib.import_module(f"neurodata.{each.name}") for each in pkgutil.iter_modules(neurodata.__path__)]
    entries = [module.RECORDING for module in modules if isinstance(getattr(module, "RECORDING", None), NamedRecording)]
    # a publication with several recordings names them all; the first is its `RECORDING`
    several = [module.RECORDINGS for module in modules if hasattr(module, "RECORDINGS") and hasattr(module, "RECORDING")]
    entries += [entry for each in several for entry in each.values() if entry not in entries]
    assert {entry.name for entry in entries} == set(RECORDINGS) == {row[0] for row in TABLE} == set(neurodata.names())
    assert all(RECORDINGS[entry.name] is entry for entry in entries)


@pytest.mark.parametrize(("name", "n_conditions", "regions", "size"), TABLE, ids=[row[0] for row in TABLE])
def test_every_recording_is_what_it_says(name, n_conditions, regions, size):
    stated = neurodata.describe(name)
    assert set(stated) == {"name", "modality", "n_conditions", "citation", "licence", "size_bytes", "cached"}
    assert stated["name"] == name and stated["n_conditions"] == n_conditions
    if not stated["cached"]:
        pytest.skip(f"{name} is not in {cache.data_path()}: set {cache.ENVIRONMENT_VARIABLE} to a folder with it")
    recording = neurodata.load(name)
    assert recording.name == name and recording.n_conditions == n_conditions
    assert {key: len(region.subjects) for key, region in recording.regions.items()} == regions
    assert recording.stimuli.images.shape == (n_conditions, *size, 3)
    for field in ("modality", "citation", "licence"):
        assert getattr(recording, field) == stated[field] != ""


def test_files_are_described_before_they_are_there(tmp_path, monkeypatch):
    monkeypatch.setenv("BIOPLAUSIBLE_DATA", str(tmp_path))
    assert neurodata.describe("cichy92")["cached"] is False
    assert neurodata.describe("simulated")["cached"] is True
    files = RECORDINGS["cichy92"].files
    assert len(files) == 94 and neurodata.describe("cichy92")["size_bytes"] == sum(each.size_bytes for each in files)
    for named in RECORDINGS.values():
        for remote in named.files:
            # in a folder of its own name, or of the publication's that it is a part of
            folder = remote.path.partition("/")[0]
            assert folder in RECORDINGS and named.name.startswith(folder)
            assert all(len(checksum) == 64 for checksum in remote.checksums)
            assert all(url.startswith("https://") for url in remote.urls)


def test_download_fetches_what_is_missing(server, tmp_path, monkeypatch):
    entry = NamedRecording("tiny", lambda _: None, "fmri", 3, "c", "l", (server.remote("a.bin", b"abc"),))
    monkeypatch.setattr("neurodata.registry.RECORDINGS", {"tiny": entry})
    monkeypatch.setenv("BIOPLAUSIBLE_DATA", str(tmp_path))
    assert neurodata.describe("tiny")["cached"] is False
    assert [path.read_bytes() for path in neurodata.download("tiny")] == [b"abc"]
    assert neurodata.describe("tiny")["cached"] is True


def test_unknown_names_list_the_valid_ones():
    for call in (neurodata.load, neurodata.describe, neurodata.download):
        with pytest.raises(InputError, match="unknown recording 'cichy29': did you mean 'cichy92'.*miyawaki2008, simulated"):
            call("cichy29")


def test_paths_are_folders(tmp_path, monkeypatch, own_folder, make_rdms):
    with pytest.raises(InputError, match="nowhere does not exist; expected stimuli/"):
        neurodata.load(str(tmp_path / "nowhere"))
    np.save(own_folder / "rdms_IT.npy", make_rdms())
    monkeypatch.chdir(own_folder.parent)
    assert neurodata.load("own").name == "own"
    own_folder.rename(own_folder.parent / "simulated")
    assert neurodata.load("./simulated").regions.keys() == {"IT"}
    assert neurodata.load("simulated").simulated
