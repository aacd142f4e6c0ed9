"""Pictures, names and arrays as people have them: nothing turned, cut, passed over or put into another order without a word."""

import unicodedata
import zlib

import h5py
import numpy as np
import pytest
from PIL import Image, ImageCms
from real_files import write_stimuli
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import calc_rdm
from scipy.spatial.distance import pdist, squareform

import neurodata
from experiments import datasets
from neurodata import InputError, array_files
from neurodata.picture_files import read_picture
from neurodata.spellings import find_names

IDS = [f"img_{index}" for index in range(1, 13)]
PATTERNS = np.random.default_rng(0).normal(size=(12, 30))
TRUE = pdist(PATTERNS, "correlation")


def save_rdms(folder, key, labels):
    made = calc_rdm(Dataset(PATTERNS, obs_descriptors={key: labels}), method="correlation", descriptor=key)
    (folder / "rdms_IT.h5").unlink(missing_ok=True)
    made.save(str(folder / "rdms_IT.h5"), file_type="hdf5")


@pytest.mark.parametrize("key", ["conds", "stim", "image", "a name of one's own"])
@pytest.mark.parametrize(
    "spell", [str, "{}.png".format, "{}.PNG".format, lambda name: name.upper(), lambda name: f"img_{int(name[4:]):03d}"]
)
def test_rows_of_rdms_are_found_by_name(tmp_path, key, spell):
    write_stimuli(tmp_path, IDS)
    save_rdms(tmp_path, key, [spell(name) for name in IDS])  # which rsatoolbox sorts as text
    region = neurodata.load(tmp_path).regions["IT"]
    np.testing.assert_allclose(region.rdms()[0], TRUE)
    assert region.conditions == tuple(IDS)


def test_rows_with_other_names_are_said_and_half_of_them_refused(tmp_path):
    write_stimuli(tmp_path, IDS)
    save_rdms(tmp_path, "stim", [f"object {letter}" for letter in "abcdefghijkl"])
    assert "rows have names other than the stimuli's ('stim': object a, …)" in neurodata.load(tmp_path).notes
    save_rdms(tmp_path, "stim", [*IDS[:11], "img_77"])
    with pytest.raises(InputError, match="rdms_IT.h5: row 10 is 'img_77' by 'stim', which is no stimulus, while 11 of 12"):
        neurodata.load(tmp_path)


def test_arrays_that_name_their_rows_are_ordered_too(tmp_path):
    write_stimuli(tmp_path, IDS)
    order = np.random.default_rng(1).permutation(12)
    labels = np.array([f"{IDS[row]}.png" for row in order])
    with open(tmp_path / "rdms_IT.NPZ", "wb") as file:
        np.savez(file, rdms=pdist(PATTERNS[order], "correlation")[None], names=labels)
    np.savez(tmp_path / "patterns_V1.npz", patterns=PATTERNS[order][None], conditions=labels)
    recording = neurodata.load(tmp_path)
    np.testing.assert_allclose(recording.regions["IT"].rdms()[0], TRUE)
    np.testing.assert_array_equal(recording.regions["V1"].patterns()[0], PATTERNS)


def test_a_region_in_a_format_that_is_not_read_is_not_passed_over(tmp_path):
    write_stimuli(tmp_path, IDS)
    save_rdms(tmp_path, "conds", IDS)
    (tmp_path / "rdms_V1.mat").write_bytes(b"")
    with pytest.raises(InputError, match="rdms_V1.mat is no .h5 or .hdf5 or .npz or .npy file; expected one of region 'V1'"):
        neurodata.load(tmp_path)


def test_names_are_one_where_that_leaves_no_doubt():
    composed, apart = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    assert find_names([apart, composed], [composed]) == {apart: composed, composed: composed}
    assert find_names(["img_1", "img_01"], ["img_1"]) == {"img_1": "img_1"}
    assert find_names(["IMG_1"], ["img_1", "Img_1"]) == {}
    assert find_names(["caf\\xe9"], [composed]) == {"caf\\xe9": composed}


def test_stimuli_may_be_listed_in_another_spelling_than_the_disk_has(tmp_path):
    write_stimuli(tmp_path, [unicodedata.normalize("NFD", "café"), "Dog", "img_01"])
    np.savez(tmp_path / "rdms_IT.npz", rdms=1 - np.eye(3))
    (tmp_path / "recording.yaml").write_text(
        "stimuli: [img_1, dog.PNG, café]\ncategories: {café: drink, dog: animal, img_1: thing}\n"
    )
    stimuli = neurodata.load(tmp_path).stimuli
    assert list(stimuli.ids) == ["img_01", "Dog", unicodedata.normalize("NFC", "café")]
    assert list(stimuli.categories) == ["thing", "animal", "drink"]


def test_people_do_not_become_one(tmp_path):
    write_stimuli(tmp_path, IDS[:3])
    np.savez(tmp_path / "rdms_IT.npz", rdms=np.stack([1 - np.eye(3)] * 3))
    for stated, expected in (("[a, b, a]", "'subjects': the name 'a' stands for two of 3"), ("[01, 010, 1.0]", "names in quotes")):
        (tmp_path / "recording.yaml").write_text(f"subjects: {stated}\n")
        with pytest.raises(InputError, match=expected):
            neurodata.load(tmp_path)
    (tmp_path / "recording.yaml").write_text("subjects: [01, 010, 1]\n")
    assert neurodata.load(tmp_path).regions["IT"].subjects == ("01", "010", "1")


def ramp(shift: int = 0) -> Image.Image:
    return Image.fromarray(np.roll(np.linspace(0, 65535, 256).reshape(16, 16).astype(np.uint16), shift))


def write_upright(path, shift: int) -> None:
    """Bright above, as a viewer shows it; stored on its side with a note of that."""
    upright = np.zeros((16, 16, 3), np.uint8)
    upright[:4] = 255
    note = Image.Exif()
    note[0x0112] = 6
    Image.fromarray(np.ascontiguousarray(np.rot90(np.roll(upright, shift, 1)))).save(path, exif=note, quality=100)


def test_sixteen_bits_and_cameras_on_their_side(tmp_path):
    write_stimuli(tmp_path, ["a"])
    ramp().save(tmp_path / "stimuli" / "b.png")
    ramp(3).save(tmp_path / "stimuli" / "c.tiff")
    write_upright(tmp_path / "stimuli" / "d.JPG", 0)
    np.savez(tmp_path / "rdms_IT.npz", rdms=1 - np.eye(4))
    _, grey, deep, photograph = neurodata.load(tmp_path).stimuli.images.astype(float)
    assert len(np.unique(grey)) == 256 == len(np.unique(deep)) and grey.mean() == 127.5
    assert photograph[:4].mean() > 250 and photograph[8:].mean() < 5
    for name in "xy":
        (tmp_path / "classes" / name).mkdir(parents=True)
        for shift in range(5):
            ramp(shift).save(tmp_path / "classes" / name / f"{shift}.png")
        write_upright(tmp_path / "classes" / name / "held.jpg", 0)
    images = datasets.load(tmp_path / "classes")
    assert images.train.images.max() == 255 and len(np.unique(images.train.images[0])) >= 2
    np.testing.assert_array_equal(read_picture(tmp_path / "stimuli" / "b.png")[..., 0], np.arange(256).reshape(16, 16))


def test_pictures_are_not_passed_over(tmp_path):
    write_stimuli(tmp_path, ["a", "b", "c"])
    write_stimuli(tmp_path, ["d"], ending="bmp")
    np.savez(tmp_path / "rdms_IT.npz", rdms=1 - np.eye(4))
    assert list(neurodata.load(tmp_path).stimuli.ids) == ["a", "b", "c", "d"]
    (tmp_path / "stimuli" / "e.heic").write_bytes(b"")
    with pytest.raises(InputError, match=r"e.heic is a picture in a format that is not read; expected .png, .* save it as PNG"):
        neurodata.load(tmp_path)
    (tmp_path / "stimuli" / "e.heic").unlink()
    frames = [Image.new("L", (16, 16), shade) for shade in (0, 200)]
    frames[0].save(tmp_path / "stimuli" / "d.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match="d.gif has 2 frames or pages; expected one"):
        neurodata.load(tmp_path)


@pytest.mark.parametrize(("fit", "edge"), [("pad", 10), ("stretch", 200), ("crop", 200)])
def test_stimuli_that_differ_by_a_pixel_are_made_alike_as_stated(tmp_path, fit, edge):
    write_stimuli(tmp_path, ["a", "b"], size=40)
    Image.new("RGB", (39, 40), (200, 200, 200)).save(tmp_path / "stimuli" / "c.png")
    np.savez(tmp_path / "rdms_IT.npz", rdms=1 - np.eye(3))
    with pytest.raises(InputError, match=r"differ in size: .* or state 'stimuli: {size: 40, fit: pad}' in recording.yaml"):
        neurodata.load(tmp_path)
    (tmp_path / "recording.yaml").write_text(f"stimuli: {{size: 40, fit: {fit}}}\nbackground_colour: [10, 10, 10]\n")
    recording = neurodata.load(tmp_path)
    assert recording.stimuli.images.shape == (3, 40, 40, 3) and recording.stimuli.images[2, 20, -1, 0] == edge
    assert recording.stimuli.images[2, 20, 20, 0] == 200 and f"brought to 40 x 40 pixels ({fit})" in recording.notes
    (tmp_path / "recording.yaml").write_text("stimuli: {size: 40, fit: squeeze}\n")
    with pytest.raises(InputError, match="'stimuli' is .* with fit pad, crop or stretch"):
        neurodata.load(tmp_path)


def rdm_folder(folder):
    write_stimuli(folder, IDS)
    np.save(folder / "rdms_IT.npy", TRUE)
    return folder


def write_deep_colours(path, values):
    """A PNG of 16 bits a colour, which Pillow does not write; ISO/IEC 15948."""
    height, width = values.shape[:2]

    def chunk(kind, content):
        checksum = zlib.crc32(kind + content).to_bytes(4, "big")
        return len(content).to_bytes(4, "big") + kind + content + checksum

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([16, 2, 0, 0, 0])
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


@pytest.mark.parametrize("highest", [255, 1023, 4095])
def test_ten_bits_saved_in_sixteen_are_not_black(tmp_path, highest):
    ramp = np.linspace(0, highest, 256).round().astype(np.uint16).reshape(16, 16)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    Image.fromarray(ramp.astype(np.int32)).save(tmp_path / "b.tif")
    write_deep_colours(tmp_path / "c.png", np.repeat(ramp[..., None], 3, axis=2))
    for name in ("a.png", "b.tif", "c.png"):
        with pytest.raises(InputError, match=f"{name} has 16 bits a pixel and none above .*, which is almost black"):
            read_picture(tmp_path / name)
    bright = np.repeat(ramp[..., None], 3, axis=2) * (65535 // highest)
    write_deep_colours(tmp_path / "d.png", bright)
    assert read_picture(tmp_path / "d.png").max() == 255
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "black.png")
    assert read_picture(tmp_path / "black.png").max() == 0


def test_colour_profiles_and_pictures_in_deeper_folders_are_said(tmp_path):
    folder = rdm_folder(tmp_path)
    for name, kind in (("img_1", "sRGB"), ("img_2", "XYZ")):
        path = folder / "stimuli" / f"{name}.png"
        with Image.open(path) as image:
            image.load()
        image.save(path, icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile(kind)).tobytes())
    assert "1 picture has a colour profile other than sRGB (such as img_2.png: XYZ identity" in neurodata.load(folder).notes
    (folder / "stimuli" / "more").mkdir()
    (folder / "stimuli" / "img_12.png").rename(folder / "stimuli" / "more" / "img_12.png")
    np.save(folder / "rdms_IT.npy", pdist(PATTERNS[:11]))
    assert "Pictures in folders within" in neurodata.load(folder).notes


@pytest.mark.parametrize("written", ["0x10", "1_0", "0o17", "12:30", "010"])
def test_names_stay_as_they_are_written(tmp_path, written):
    (tmp_path / "recording.yaml").write_text(f"name: {written}\nsubjects: [{written}]\n")
    recording = neurodata.load(rdm_folder(tmp_path))
    assert recording.name == written and recording.regions["IT"].subjects == (written,)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("name: 2024", "'name' is 2024; expected text, put it in quotes"),
        ("name:", "'name' is None; expected text, or leave the key out"),
        ("subjects: [+1]", "YAML takes 1.0 for no name, put names in quotes"),
        ("times: {start: -100, step: 10}", r"at most 60 \(100 ms are 0.1\)"),
    ],
)
def test_what_yaml_takes_for_numbers_is_said(tmp_path, line, expected):
    (tmp_path / "recording.yaml").write_text(line + "\n")
    with pytest.raises(InputError, match=expected):
        neurodata.load(rdm_folder(tmp_path))


@pytest.mark.parametrize("name", ["recording.yml", "Recording.yaml", "recording.yaml.txt"])
def test_settings_under_another_name_are_not_passed_over(tmp_path, name):
    (tmp_path / name).write_text("name: mine\n")
    if (tmp_path / "recording.yaml").is_file():
        pytest.skip("the file system knows no upper and lower case")
    with pytest.raises(InputError, match=f"{name} is not read; expected recording.yaml, rename it"):
        neurodata.load(rdm_folder(tmp_path))


def test_arrays_that_are_not_read_say_what_they_are(tmp_path):
    folder = rdm_folder(tmp_path)
    (folder / "rdms_IT.npy").unlink()
    path = folder / "rdms_IT.h5"
    with h5py.File(path, "w") as file:
        file["rdms"] = np.repeat(squareform(TRUE)[..., None], 3, axis=2)
    with pytest.raises(InputError, match="the subjects' axis is the last, as MATLAB has it, move it to the front"):
        neurodata.load(folder)
    with h5py.File(path, "a"), pytest.raises(InputError, match=r"rdms_IT.h5 is open in a program that writes into it"):
        raise array_files._unreadable(path, OSError("unable to lock file, error message = 'Resource temporarily unavailable'"))
    path.unlink()
    np.save(folder / "rdms_IT.npy", np.array([TRUE, "x"], dtype=object))
    with pytest.raises(InputError, match="holds objects of Python; expected one array of numbers"):
        neurodata.load(folder)
