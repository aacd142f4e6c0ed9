"""The command `bioplausible`, also as `python -m bioplausible`: nothing is imported from a package that is not ours."""

from __future__ import annotations

import sys

from bioplausible.foundation.errors import InputError
from bioplausible.packages import check_packages

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Run the command.

    Parameters
    ----------
    arguments
        of the command line; by default those that the process was started with.

    Raises
    ------
    SystemExit
        with status 2 after a user's mistake, which is one line on stderr.
    """
    try:
        check_packages()
    except InputError as error:
        print(f"bioplausible: {error}", file=sys.stderr)
        sys.exit(2)
    from experiments.cli import main as run

    run(arguments)


if __name__ == "__main__":
    main()
