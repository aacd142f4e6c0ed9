"""Where a run takes place: versions, device, and the compiler's cache."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import jax
import numpy as np
import pooch
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import architectures
import bioplausible
import learning_rules
from bioplausible.foundation.errors import InputError
from bioplausible.foundation.options import at_least

__all__ = [
    "check_devices",
    "check_settings",
    "check_room",
    "memory_for_arrays",
    "memory_of_the_machine",
    "check_workers",
    "describe_code",
    "describe_environment",
    "keep_compiled_programs",
    "spread_over_devices",
]

Tree = TypeVar("Tree")

_PACKAGES = ("bioplausible", "jax", "flax", "optax", "numpy", "scipy", "rsatoolbox", "nilearn", "mne", "scikit-learn")
_MOST_WORKERS = 1024
_GIB = 2**30
# Settings that change draws or forbid what networks do, and the values under which they do not, the first of them to be set.
_USUAL: dict[str, tuple[Any, ...]] = {
    "jax_disable_jit": (False,),
    "jax_numpy_dtype_promotion": ("standard",),
    "jax_numpy_rank_promotion": ("allow", "warn"),
    "jax_default_prng_impl": ("threefry2x32",),
    "jax_threefry_partitionable": (True,),
    "jax_transfer_guard": ("allow", "log", None),
    "jax_transfer_guard_host_to_device": ("allow", "log", None),
    "jax_transfer_guard_device_to_host": ("allow", "log", None),
    "jax_transfer_guard_device_to_device": ("allow", "log", None),
}
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


def check_devices() -> None:
    """Say that the device which was asked for is not there, where that is so.

    Raises
    ------
    InputError
        The environment variable JAX_PLATFORMS names a kind of device that JAX does not find.
    """
    asked = os.environ.get("JAX_PLATFORMS", "").strip() or jax.config.values.get("jax_platforms") or ""
    try:
        jax.devices()
    # JAX raises whatever its plugins do: RuntimeError, AssertionError, ImportError
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or "no such device, or no JAX built for it"
        raise InputError(
            f"JAX_PLATFORMS={asked} asks for a device that JAX does not find here ({reason}): unset it, or set JAX_PLATFORMS=cpu"
        ) from error


def check_settings() -> None:
    """Say which setting of JAX, from the environment or in Python, changes what is drawn or forbids what is computed here.

    Raises
    ------
    InputError
        Such a setting has another value than JAX's own.
    """
    for name, usual in _USUAL.items():
        value = jax.config.values.get(name, usual[0])
        if value not in usual:
            asked = os.environ.get(name.upper(), value)
            raise InputError(
                f"{name.upper()}={asked} is set, under which networks learn something else or nothing: unset it, or set "
                f"{name.upper()}={usual[0]}"
            )


def check_workers(workers: int) -> None:
    """Check a number of processes.

    Parameters
    ----------
    workers
        How many are to work at a time.

    Raises
    ------
    InputError
        None, or more than anybody's machine has.

    >>> check_workers(0)
    Traceback (most recent call last):
        ...
    bioplausible.foundation.errors.InputError: workers=0 was given, expected at least 1 and at most 1024
    """
    at_least(SimpleNamespace(workers=workers), 1, "workers", at_most=_MOST_WORKERS)


def memory_for_arrays() -> int | None:
    """Bytes that the devices have for arrays, all together, since seeds spread; None where they do not say."""
    stats = jax.devices()[0].memory_stats() or {}
    return int(stats["bytes_limit"]) * jax.device_count() if "bytes_limit" in stats else memory_of_the_machine()


def memory_of_the_machine() -> int | None:
    """Bytes of memory beside that of accelerators; None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # elsewhere than on Linux and macOS
        return None


def check_room(n_bytes: int, what: str, instead: str) -> None:
    """Say what cannot be held before memory is asked for it.

    Parameters
    ----------
    n_bytes
        That it takes at the least.
    what
        It, with a verb.
    instead
        What to try.

    Raises
    ------
    InputError
        More than there is.

    >>> check_room(2**70, "a network of 2**68 parameters takes", "narrower layers")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    bioplausible.foundation.errors.InputError: a network of 2**68 parameters takes 1,099,511,627,776 GiB at the least, ...
    """
    room = memory_for_arrays()
    if room is not None and n_bytes > room:
        device = jax.devices()[0].platform
        raise InputError(
            f"{what} {n_bytes / _GIB:,.0f} GiB at the least, and this machine's {device} has {room / _GIB:,.0f}: try {instead}"
        )


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
