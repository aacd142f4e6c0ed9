"""Scorecards of several rules, in processes of their own, and rules of a user's own by `module:name` or `path.py:name`.

To ask all rules takes hours: each card is kept in a file of its own as soon as it is there, and is not asked for again as long as
the code that made it is the same.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import warnings as python_warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import architectures
import learning_rules
from bioplausible.foundation.errors import InputError, unknown_name
from bioplausible.foundation.files import write_text
from bioplausible.foundation.progress import Progress
from bioplausible.foundation.resolve import is_reference, resolve, source_of
from experiments.config import check_seed
from experiments.engine import Failure, run_all
from experiments.environment import check_workers, describe_code
from experiments.results import plain
from learning_rules import plausibility
from learning_rules.plausibility.images import small_network

__all__ = ["CORE", "UNFINISHED", "Card", "examinable", "scorecards"]

CORE = ("weight transport", "local credit", "single phase", "update unlocking", "teaching signal", "spiking communication")
"""Criteria that need no training."""

Card = dict[str, dict[str, Any]]
"""Criterion -> verdict, value, evidence, claimed, difference."""

UNFINISHED = "unfinished"
"""Folder of cards that wait for the others."""

_HASTY = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"


def _card(text: str, architecture: str, criteria: Sequence[str] | None, seed: int, options: dict[str, Any]) -> Card:
    card = plausibility.scorecard(text, architecture, criteria, seed, learning_rules.spec(text).name, **options)
    return {criterion: dataclasses.asdict(entry) for criterion, entry in card.items()}


def scorecards(
    rules: Sequence[str],
    architecture: str = "mlp",
    criteria: Sequence[str] | None = None,
    seed: int = 0,
    workers: int = 1,
    rule_options: dict[str, dict[str, Any]] | None = None,
    progress: Progress | None = None,
    keep: Path | None = None,
) -> dict[str, Card]:
    """Put every criterion to every rule.

    Parameters
    ----------
    rules
        Names, or `module:name` and `path.py:name` of a user's own.
    architecture
        Of the small network that they are examined on; also `module:name` or `path.py:name`.
    criteria
        By default all.
    seed
        Of everything that is drawn.
    workers
        Rules at a time, each in a process of its own.
    rule_options
        Rule -> options other than its defaults.
    progress
        Called with rules done, in all, and a line to show.
    keep
        Folder in which cards are kept as they come, and looked for first.

    Returns
    -------
    dict
        Rule -> criterion -> verdict, value, evidence, claimed, difference.

    Raises
    ------
    InputError
        Unknown rules, criteria or architectures, or a rule that cannot be made.
    """
    resolve(architecture, architectures.ARCHITECTURES, "architecture")
    check_seed(seed)
    check_workers(workers)
    for criterion in criteria or ():
        if criterion not in plausibility.CRITERIA:
            raise unknown_name("criterion", criterion, plausibility.CRITERIA)
    for text in rules:
        learning_rules.spec(text)
    given = rule_options or {}
    # Programs run for seconds and there are many: compiling them well would take longer than running them.
    hasty = {"XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {_HASTY}".strip()} if workers > 1 else {}
    asked = {text: (text, architecture, criteria, seed, given.get(text, {})) for text in rules}
    files = {} if keep is None else {text: keep / _file_name(*of_rule) for text, of_rule in asked.items()}
    found = {text: card for text, path in files.items() if (card := _kept(path)) is not None}
    jobs = {text: functools.partial(_card, *of_rule) for text, of_rule in asked.items() if text not in found}
    failed: dict[str, Failure] = {}
    if found and progress is not None:
        progress(len(found), len(rules), "")
    with _environment(hasty), python_warnings.catch_warnings():
        # joblib replaces a process whose memory has grown, which compiled programs make it do.
        python_warnings.filterwarnings("ignore", message="A worker stopped while some jobs were given")
        for text, card in run_all(jobs, workers):
            if isinstance(card, Failure):
                failed[text] = card
            else:
                found[text] = card
            if text in files and text in found:
                write_text(files[text], json.dumps(card) + "\n")
            if progress is not None:
                progress(len(found) + len(failed), len(rules), text)
    if failed:
        told = "; ".join(f"{text}: {failure.reason}" if len(rules) > 1 else failure.reason for text, failure in failed.items())
        if details := "\n".join(failure.details for failure in failed.values() if failure.details):
            raise RuntimeError(f"{told}\n{details}")
        raise InputError(told)
    return {text: found[text] for text in rules}


def examinable(architecture: str = "mlp") -> tuple[str, ...]:
    """All variants that the small network of an architecture can be trained by.

    Parameters
    ----------
    architecture
        As `scorecards` takes it.
    """

    def fits(rule: str) -> bool:
        network = plausibility.network_for(rule, architecture)
        return learning_rules.support(rule, small_network(network)).supported

    return tuple(rule for rule in learning_rules.names(variants=True) if fits(rule))


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Processes that are started meanwhile inherit these."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _kept(path: Path) -> Card | None:
    """A card that is there; one that is damaged is made again."""
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        return card if isinstance(card, dict) else None
    except (OSError, ValueError):
        return None


def _file_name(text: str, *arguments: Any) -> str:
    """Of a card, by all that decides it: what is asked, our code, and a user's own file."""
    sources = [source_of(each) for each in (text, arguments[0]) if is_reference(each)]
    identity = json.dumps(plain([text, *arguments, sources, describe_code()]), sort_keys=True)
    return f"{hashlib.sha256(identity.encode()).hexdigest()[:16]}.json"
