"""How much memory and time a large run takes: writes one of about 2 GB, estimates patterns from it, prints the peak.

    python tests/neurodata/measure_fmri_memory.py [--gzip] [--model lsa|lss] [--mask brain|region]

Not a test: it needs some gigabytes of disk and minutes.
"""

import argparse
import gzip
import resource
import sys
import tempfile
import time
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd

from neurodata.fmri import FmriOptions, FmriRun, patterns

SHAPE, N_VOLUMES, SECONDS = (96, 96, 60), 900, 1.0
BLOCK = 30


def write_large(folder: Path, compressed: bool) -> Path:
    """Write the volumes piece by piece: a header and float32 data, Fortran order as NIfTI has it."""
    path = folder / ("run_bold.nii.gz" if compressed else "run_bold.nii")
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.float32)
    header.set_data_shape((*SHAPE, N_VOLUMES))
    header.set_xyzt_units("mm", "sec")
    header.set_zooms((2.0, 2.0, 2.0, SECONDS))
    header.set_sform(np.diag([2.0, 2.0, 2.0, 1.0]), code=1)
    header["vox_offset"] = 352
    header["magic"] = b"n+1"
    generator = np.random.default_rng(0)
    with gzip.open(path, "wb", compresslevel=1) if compressed else path.open("wb") as file:
        file.write(header.binaryblock + b"\0" * 4)
        for _ in range(N_VOLUMES // BLOCK):
            volumes = 1000 + np.round(10 * generator.standard_normal((*SHAPE, BLOCK), dtype=np.float32))
            file.write(volumes.tobytes(order="F"))
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gzip", action="store_true")
    parser.add_argument("--model", default="lsa", choices=["lsa", "lss", "block"])
    parser.add_argument("--noise-model", default="ar1", choices=["ar1", "ols"])
    parser.add_argument("--mask", default="brain", choices=["brain", "region"])
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        bold = write_large(folder, chosen.gzip)
        mask = np.zeros(SHAPE, dtype=np.uint8)
        mask[(slice(None), slice(None), slice(None)) if chosen.mask == "brain" else (slice(40, 50),) * 3] = 1
        nibabel.Nifti1Image(mask, np.diag([2.0, 2.0, 2.0, 1.0])).to_filename(folder / "mask.nii.gz")
        shown = np.random.default_rng(1).permutation(np.repeat(np.arange(20), 5))
        events = pd.DataFrame({"onset": 10 + 8.0 * np.arange(100), "duration": 2.0, "trial_type": [f"c{each}" for each in shown]})
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.perf_counter()
        options = FmriOptions(model=chosen.model, noise_model=chosen.noise_model)
        found = patterns([FmriRun(bold, events)], {"region": folder / "mask.nii.gz"}, options, folder / "cache")["region"]
        seconds = time.perf_counter() - start
        size = bold.stat().st_size
    scale = 1e9 if sys.platform == "darwin" else 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale
    print(
        f"{size / 1e9:.2f} GB on disk, {found.n_channels[0]} voxels, {chosen.model} {chosen.noise_model}: peak {peak:.2f} GB "
        f"({before / scale:.2f} before), {seconds:.0f} s"
    )


if __name__ == "__main__":
    main()
