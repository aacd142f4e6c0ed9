"""Where a run takes place: versions, device, and the compiler's cache."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
import pooch
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import architectures
import bioplausible
import learning_rules

__all__ = ["describe_code", "describe_environment", "keep_compiled_programs", "spread_over_devices"]

Tree = TypeVar("Tree")

_PACKAGES = ("bioplausible", "jax", "flax", "optax", "numpy", "scipy", "rsatoolbox", "nilearn", "mne", "scikit-learn")
_NUMERICAL = ("jax", "jaxlib", "flax", "optax", "numpy")


def describe_environment() -> dict[str, Any]:
    """Versions and device, as plain values; `code` is the start of what `describe_code` says."""
    device = jax.devices()[0]
    return {
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _PACKAGES},
        "code": describe_code()[:10],
        "platform": f"{platform.system()} {platform.machine()}",
        "device": f"{device.platform} ({device.device_kind})",
        "n_devices": jax.device_count(),
    }


@functools.cache
def describe_code() -> str:
    """A digest of the code of rules and networks and of the versions below it: what is the same under it need not be made again."""
    digest = hashlib.sha256(json.dumps([metadata.version(name) for name in _NUMERICAL]).encode())
    for package in (architectures, bioplausible, learning_rules):
        folder = Path(package.__path__[0])
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def keep_compiled_programs() -> Path | None:
    """Keep compiled programs on disk, so that a second run starts at once; where there is no room for them, compile anew.

    A cache that the user chose (`JAX_COMPILATION_CACHE_DIR`) is left alone.
    """
    chosen = jax.config.values["jax_compilation_cache_dir"]
    if chosen:
        return Path(chosen)
    folder = Path(pooch.os_cache("bioplausible")) / "compiled"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    if not os.access(folder, os.W_OK):
        return None
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    return folder


def spread_over_devices(tree: Tree, n_seeds: int) -> Tree:
    """Put seeds, the leading axis, on as many devices as divide them; a single device gets all."""
    devices = jax.devices()
    usable = max(count for count in range(1, len(devices) + 1) if n_seeds % count == 0)
    if usable == 1:
        return tree
    sharding = NamedSharding(Mesh(np.array(devices[:usable]), ("seed",)), PartitionSpec("seed"))
    return jax.device_put(tree, sharding)
