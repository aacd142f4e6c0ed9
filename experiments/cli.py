"""The command: `bioplausible list | train | scorecard | compare | searchlight | sweep | report | export | benchmark | data`.

Results go to stdout, with `--json` as one JSON document and nothing else; progress goes to stderr. A user's mistake ends in
one line on stderr and exit status 2.
"""

from __future__ import annotations

import errno
import io
import os
import re
import sys
import warnings

import click

from bioplausible.foundation.errors import InputError, shortened
from experiments.commands.benchmark import benchmark_command
from experiments.commands.compare import compare_command
from experiments.commands.data import data_command
from experiments.commands.export import export_command
from experiments.commands.listing import list_command
from experiments.commands.report import report_command
from experiments.commands.scorecard import scorecard_command
from experiments.commands.searchlight import searchlight_command
from experiments.commands.sweep import sweep_command
from experiments.commands.train import train_command
from experiments.interruption import STATUS
from experiments.terminal import examples

__all__ = ["main", "stopped"]

_OF_NAMES = (errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EINVAL)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=examples(
        "bioplausible list rules",
        "bioplausible train feedback_alignment --epochs 5 --out runs/first",
        "bioplausible compare --rules untrained,backprop,feedback_alignment --out runs/compared",
        "bioplausible data list",
    ),
)
@click.version_option(package_name="bioplausible")
def command() -> None:
    """Train one network with many learning rules and compare what it learned with human brains."""


for _subcommand in (
    list_command,
    train_command,
    scorecard_command,
    compare_command,
    searchlight_command,
    sweep_command,
    report_command,
    export_command,
    benchmark_command,
    data_command,
):
    command.add_command(_subcommand)


def main(arguments: list[str] | None = None) -> None:
    """Run the command; a user's mistake is one line on stderr and exit status 2."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal in ASCII or a Windows code page shows what it can.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace" if stream is sys.stderr else "replace")
    told, warnings.formatwarning = warnings.formatwarning, _in_one_line
    _refuse_empty_names(sys.argv[1:] if arguments is None else arguments)
    try:
        command.main(args=arguments, prog_name="bioplausible", standalone_mode=False)
    except InputError as error:
        _fail(str(error))
    except click.exceptions.Abort:
        click.echo(stopped(arguments), err=True)
        sys.exit(STATUS)
    except click.exceptions.NoArgsIsHelpError as error:
        # Whoever gave no command is shown what there is, as it is laid out.
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        _fail(error.format_message())
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        sys.exit(0)
    except OSError as error:
        # A name that no file can have, a folder that cannot be entered; what else goes wrong with files is a defect of ours.
        if error.filename is None or error.errno not in _OF_NAMES:
            raise
        _fail(f"{shortened(str(error.filename))} cannot be used ({error.strerror}): give another path")
    except Exception as error:
        sentence = _of_the_environment(error)
        if sentence is None:
            raise
        _fail(sentence)
    finally:
        warnings.formatwarning = told


def _of_the_environment(error: Exception) -> str | None:
    """What an error comes from where variables of the environment ask JAX for what is not there or cannot be; None elsewhere."""
    asked = {name: value for name, value in os.environ.items() if name.startswith("JAX_") and value}
    if not asked:
        return None
    # JAX refuses a value as soon as it is imported, so that nothing of it can be asked any more.
    named = next((name for name in asked if re.search(rf"\b{name}\b", str(error), re.IGNORECASE)), None)
    if isinstance(error, ValueError) and named is not None:
        return f"{named}={asked[named]} is no value that JAX takes: correct or unset it"
    if "FloatingPointError" in type(error).__name__:
        stops = next((name for name in ("JAX_DEBUG_NANS", "JAX_DEBUG_INFS") if name in asked), None)
        if stops is not None:
            return f"a number is not finite, where {stops}={asked[stops]} stops: unset it to see which network diverged"
    from experiments.environment import check_devices, check_settings

    try:
        check_settings()
        # A device that is not there is met wherever the first array is made, as whatever JAX's plugins raise.
        if "JAX_PLATFORMS" in asked and isinstance(error, RuntimeError | AssertionError | ImportError):
            check_devices()
    except InputError as found:
        return str(found)
    return None


def _refuse_empty_names(arguments: list[str]) -> None:
    """An empty name, as of a variable of a shell that is not set, would stand for the folder one is in."""
    for before, given in zip(["", *arguments], arguments, strict=False):
        option, equals, value = given.partition("=")
        if given == "" or (option in ("--out", "--store", "--recording", "--dataset") and equals and not value):
            whose = option if equals else before if before.startswith("--") else "an argument"
            _fail(f"{whose} was given as an empty name: give one, or leave it out")


def _in_one_line(message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None) -> str:
    """A warning as the command's other lines are: which line of which file gave it is nothing to whoever ran the command."""
    return f"warning: {' '.join(str(message).split())}\n"


def stopped(arguments: list[str] | None = None) -> str:
    """What is told when a command is interrupted: whether what was done is kept, and what goes on with it.

    Parameters
    ----------
    arguments
        Of the command line; by default those that the process was started with.
    """
    given_to = arguments if arguments is not None else sys.argv[1:]
    has_folder = any(each == "--out" or each.startswith("--out=") for each in given_to)
    command_name, told = (given_to or [""])[0], ""
    if command_name == "sweep" or (command_name == "scorecard" and has_folder):
        told = "; what is done is kept, and the same command goes on"
    if command_name == "compare" and not any(each in ("none", "--store=none") for each in given_to):
        told = "; networks are kept, and the same comparison goes on with them"
    if command_name == "train" and has_folder:
        told = "; what is done is kept, and goes on with --resume and the same --out alone"
    return f"bioplausible: stopped{told}"


def _fail(message: str) -> None:
    click.echo(f"bioplausible: {' '.join(message.split())}", err=True)
    sys.exit(2)


if __name__ == "__main__":
    main()
