"""Whether the top-level packages that Python finds are ours.

Another distribution that installs a package of the same name writes its files over ours, or stands before them on Python's path.
"""

from __future__ import annotations

from importlib import util
from pathlib import Path

from bioplausible.foundation.errors import InputError

__all__ = ["PACKAGES", "check_package", "check_packages"]

PACKAGES = ("architectures", "learning_rules", "neurodata", "rsa", "experiments")

# What the __init__ of each of ours imports from, and that of no other distribution.
_SIGNS = ("bioplausible", "architectures.network")
_REPAIR = "pip install --force-reinstall --no-deps bioplausible"


def _source(name: str) -> Path | None:
    """The file that Python runs as a package; a folder without one is no package of ours."""
    found = util.find_spec(name)
    return None if found is None or found.origin is None else Path(found.origin)


def _is_ours(source: Path) -> bool:
    # Its source is read rather than run: importing it would take seconds, and a foreign one is not ours to run.
    try:
        text = source.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return any(sign in text for sign in _SIGNS)


def check_package(name: str) -> None:
    """Check that a package is ours, without importing it.

    Parameters
    ----------
    name
        one of :data:`PACKAGES`.

    Raises
    ------
    InputError
        when it is missing, or another's; with what repairs that.
    """
    source = _source(name)
    if source is None:
        raise InputError(f"the package '{name}' of bioplausible is missing: {_REPAIR} puts it back")
    if _is_ours(source):
        return
    told = f"the package '{name}' that Python finds ({source}) is not bioplausible's but another's"
    here = Path(__file__).parents[1]
    if source.parent.parent.resolve() != here.resolve():
        raise InputError(f"{told}, which stands before ours ({here / name}) on Python's path: rename it, or start elsewhere")
    # Found slowly, and needed here alone.
    from importlib import metadata

    others = [each for each in metadata.packages_distributions().get(name, ()) if each != "bioplausible"]
    who = f" (the distribution {' and '.join(others)})" if others else ""
    raise InputError(
        f"{told}{who}, which was installed over ours: {_REPAIR} puts ours back, and the other one needs an environment of its own "
        "(uninstalling it here would delete ours)"
    )


def check_packages() -> None:
    """Check that all five packages are ours, without importing them.

    Raises
    ------
    InputError
        for the first that is missing, or another's.
    """
    for name in PACKAGES:
        check_package(name)
