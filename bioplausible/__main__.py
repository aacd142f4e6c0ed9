"""The command `bioplausible`, also as `python -m bioplausible`: nothing is imported from a package that is not ours."""

from __future__ import annotations

import os
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
        from experiments.cli import main as run
        from experiments.cli import stopped
        from experiments.interruption import STATUS, at_once
    except InputError as error:
        print(f"bioplausible: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("bioplausible: stopped", file=sys.stderr)
        sys.exit(130)  # 128 and the number of the signal, as in `experiments.interruption`

    with at_once(stopped(arguments)):
        try:
            run(arguments)
        except SystemExit as ended:
            if ended.code != STATUS:
                raise
            # Compiled programs may still be at work in other threads, and an interpreter that is taken down under them falls.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(STATUS)


if __name__ == "__main__":
    main()
