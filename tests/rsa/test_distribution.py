"""Another distribution installs a top-level module called ``rsa``; nothing that we depend on may bring it."""

from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import rsa


def _requirements(distribution: str, extras: frozenset[str]) -> list[Requirement]:
    """Requirements that hold on this machine, with the extras asked for."""
    try:
        lines = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        return []
    wanted = [Requirement(line) for line in lines]
    environments = [{"extra": extra} for extra in (*extras, "")]
    return [each for each in wanted if each.marker is None or any(map(each.marker.evaluate, environments))]


def _everything_required_by(distribution: str) -> set[str]:
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [(distribution, frozenset[str]())]
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        waiting += [(canonicalize_name(r.name), frozenset(r.extras)) for r in _requirements(*current)]
    return {name for name, _ in seen}


def test_nothing_we_depend_on_brings_the_other_module():
    try:
        metadata.distribution("bioplausible")
    except metadata.PackageNotFoundError:
        pytest.skip("the distribution bioplausible is not installed")
    required = _everything_required_by("bioplausible")
    assert {"jax", "numpy", "rsatoolbox", "scipy", "jaxlib"} <= required
    assert "rsa" not in required


def test_the_module_is_ours():
    assert Path(rsa.__file__ or "").resolve() == (Path(__file__).parents[2] / "rsa" / "__init__.py").resolve()


def test_every_public_name_is_there():
    assert all(hasattr(rsa, name) for name in rsa.__all__) and sorted(set(rsa.__all__)) == sorted(rsa.__all__)
