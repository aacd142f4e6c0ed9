"""Shared by the tests of neurodata: a server on this machine, small folders of a user's own, real data where it is."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import nibabel
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from neurodata import Stimuli, cache, describe
from neurodata.derived import CACHE_VARIABLE
from neurodata.fmri import FmriRun


class Server:
    """Serves bytes by path, counts requests, can cut an answer short, and goes on from a byte where it knows ranges."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.truncated: set[str] = set()
        self.knows_ranges = True
        self.answers: dict[str, tuple[int, bytes]] = {}  # status and body in a file's stead; of 302 the new address
        self.ranges: list[str] = []
        self.requests: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append(self.path)
                if self.path in outer.answers:
                    status, other = outer.answers[self.path]
                    self.send_response(status)
                    if status == 302:
                        self.send_header("Location", other.decode())
                    self.send_header("Content-Length", str(len(other)))
                    self.end_headers()
                    self.wfile.write(other)
                    return
                body = outer.content.get(self.path)
                if body is None:
                    self.send_error(404)
                    return
                asked = self.headers.get("Range") if outer.knows_ranges else None
                start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
                outer.ranges += [asked] if asked else []
                if start >= len(body) > 0:
                    self.send_error(416)
                    return
                self.send_response(206 if asked else 200)
                self.send_header("Content-Length", str(len(body) - start))
                if asked:
                    self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
                self.end_headers()
                rest = body[start:]
                self.wfile.write(rest[: len(rest) // 2] if self.path in outer.truncated else rest)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def remote(self, name: str, body: bytes, **changes: object) -> cache.RemoteFile:
        self.content[f"/{name}"] = body
        fields = {"url": f"{self.url}/{name}", "sha256": hashlib.sha256(body).hexdigest(), "size_bytes": len(body)}
        return cache.RemoteFile(f"set/{name}", **(fields | changes))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = Server()
    thread = threading.Thread(target=running.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield running
    running.http.shutdown()
    running.http.server_close()
    thread.join()


@pytest.fixture
def real_data() -> None:
    """Skip where the published recordings are not in the cache folder."""
    for name in ("kriegeskorte92", "cichy92"):
        if not describe(name)["cached"]:
            pytest.skip(f"{name} is not in {cache.data_path()}: set {cache.ENVIRONMENT_VARIABLE} to a folder with it")


@pytest.fixture
def stimuli() -> Stimuli:
    generator = np.random.default_rng(5)
    return Stimuli(
        images=generator.integers(0, 256, (12, 24, 24, 3), dtype=np.uint8),
        ids=np.array([f"object_{index + 1:02d}" for index in range(12)]),
        categories=np.repeat(["face", "house", "tool"], 4),
        source="random images",
    )


def random_rdms(*shape: int, n_conditions: int = 12, seed: int = 0) -> np.ndarray:
    """Symmetric, zero diagonal, (*shape, n_conditions, n_conditions)."""
    half = np.triu(np.random.default_rng(seed).uniform(0.1, 2.0, (*shape, n_conditions, n_conditions)), 1)
    return half + np.swapaxes(half, -1, -2)


@pytest.fixture
def make_rdms():
    return random_rdms


@pytest.fixture
def bold():
    """What writes small runs, masks and volumes."""
    return SimpleNamespace(run=write_run, mask=write_mask, volume=write_volume, affine=AFFINE)


AFFINE = np.diag([3.0, 3.0, 3.5, 1.0])


def write_volume(path: Path, values: np.ndarray, seconds: float | None = 2.0, affine: np.ndarray = AFFINE) -> Path:
    """A NIfTI file; without seconds its header has no unit of time."""
    image = nibabel.Nifti1Image(values, affine)
    if values.ndim == 4 and seconds is not None:
        image.header.set_xyzt_units("mm", "sec")
        image.header.set_zooms((*image.header.get_zooms()[:3], seconds))
    image.to_filename(path)
    return path


def write_run(folder: Path, run: str = "1", *, n_volumes: int = 60, shape=(4, 4, 3), repeats: int = 3, **given) -> FmriRun:
    """One run of smooth noise with three conditions in turn, every 12 seconds; 'given' goes to the NIfTI file."""
    generator = np.random.default_rng(int(run))
    values = (
        100 + np.cumsum(generator.standard_normal((*shape, n_volumes)), axis=-1) + generator.standard_normal((*shape, n_volumes))
    )
    bold = write_volume(folder / f"run-{run}_bold.nii.gz", values.astype(np.float32), **given)
    shown = np.concatenate([generator.permutation(3) for _ in range(repeats)])
    table = pd.DataFrame(
        {"onset": 3.0 + 12.0 * np.arange(len(shown)), "duration": 2.0, "trial_type": np.array(["a", "b", "c"])[shown]}
    )
    events = folder / f"run-{run}_events.tsv"
    table.to_csv(events, sep="\t", index=False)
    return FmriRun(bold, events, run=run)


def write_mask(folder: Path, name: str = "mask", shape=(4, 4, 3), affine: np.ndarray = AFFINE) -> Path:
    """A mask of all but the first plane."""
    mask = np.ones(shape, dtype=np.uint8)
    mask[0] = 0
    return write_volume(folder / f"{name}.nii.gz", mask, affine=affine)


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    """A user's folder with twelve stimuli and no region yet; natural and alphabetical order differ."""
    folder = tmp_path / "own"
    (folder / "stimuli").mkdir(parents=True)
    for index in range(12):
        grey = np.full((6, 8, 3), 20 * index, dtype=np.uint8)
        Image.fromarray(grey).save(folder / "stimuli" / f"image_{index + 1}.png")
    return folder


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep derived results in a folder of the test's own."""
    monkeypatch.setenv(cache.ENVIRONMENT_VARIABLE, str(tmp_path / "data"))
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "kept"))
    return tmp_path / "data"


@pytest.fixture(autouse=True, scope="session")
def _derived_results_of_tests(tmp_path_factory) -> Iterator[None]:
    """Tests keep no results in the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_VARIABLE, str(tmp_path_factory.mktemp("kept")))
        yield
