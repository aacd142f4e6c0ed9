"""Groups of networks that differ in their training seed: generalised over the seeds of each, contrasted over those that two share.

A layer that tells no stimuli apart has no RDM, so that a group may lack seeds. Networks of one seed start from the same weights
and see the same batches: they are paired by seed, never by their place in a list, and a seed that one rule lacks is drawn for all
others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

import rsa

__all__ = ["Generalised", "Members", "factors_drawn", "generalised", "missing_seeds"]

Members = Mapping[int, int]
"""Seed -> place of its network among all that were scored."""

Generalise = Callable[[list[list[int]], tuple[str, ...]], rsa.Generalisation]
"""Generalises groups of as many places each, in one order of seeds, over the factors named."""

_NO_INTERVAL = {"lower": np.nan, "upper": np.nan}


class Generalised(NamedTuple):
    """Groups of networks, and what holds beyond them.

    Attributes
    ----------
    members
        Of every group.
    scores
        Of every network, mean over subjects, (n_models,).
    found
        For every group the evaluation of all groups with its seeds, and its place there; None without draws.
    factors
        What is drawn, seeds where there are enough.
    generalise
        Makes one for other seeds.
    """

    members: Sequence[Members]
    scores: np.ndarray
    found: Sequence[tuple[rsa.Generalisation, int] | None]
    factors: tuple[str, ...]
    generalise: Generalise

    def interval(self, index: int) -> dict[str, float]:
        """Lower and upper bound of one group's mean, NaN without draws."""
        found = self.found[index]
        return (
            _NO_INTERVAL if found is None else {"lower": float(found[0].lower[found[1]]), "upper": float(found[0].upper[found[1]])}
        )

    def contrast(self, a: int, b: int) -> dict[str, float] | None:
        """Difference of two groups over the seeds that both have, with interval and p-value; None where they share no seed."""
        members = self.members[a], self.members[b]
        shared = _shared(*members)
        if not shared:
            return None
        found = self.found[a], self.found[b]
        if members[0].keys() == members[1].keys() and found[0] is not None and found[1] is not None:
            result, places = found[0][0], (found[0][1], found[1][1])
        elif factors := _of_seeds(self.factors, len(shared)):
            result, places = self.generalise([[group[seed] for seed in shared] for group in members], factors), (0, 1)
        else:
            first, second = (self.scores[[group[seed] for seed in shared]].mean() for group in members)
            return {"difference": float(first - second), **_NO_INTERVAL, "p_value": np.nan}
        tested = rsa.generalised_contrast(result, *places)
        return {"difference": tested.difference, "lower": tested.lower, "upper": tested.upper, "p_value": tested.p_value}


def generalised(scores: np.ndarray, members: Sequence[Members], factors: tuple[str, ...], generalise: Generalise) -> Generalised:
    """Generalise every group over its own seeds, those with the same seeds together.

    Parameters
    ----------
    scores
        (n_models, n_subjects).
    members
        Of every group.
    factors
        What is to be drawn; nothing where there are no draws.
    generalise
        Generalises groups of as many networks each.
    """
    batches: dict[tuple[int, ...], list[int]] = {}
    for index, group in enumerate(members):
        batches.setdefault(tuple(sorted(group)), []).append(index)
    found: list[tuple[rsa.Generalisation, int] | None] = [None] * len(members)
    for seeds, indices in batches.items():
        if drawn := _of_seeds(factors, len(seeds)):
            result = generalise([[members[index][seed] for seed in seeds] for index in indices], drawn)
            for place, index in enumerate(indices):
                found[index] = result, place
    return Generalised(members, scores.mean(axis=1), found, factors, generalise)


def factors_drawn(members: Sequence[Members], pairs: Iterable[tuple[int, int]], factors: tuple[str, ...]) -> tuple[str, ...]:
    """What was drawn for every group and every pair of groups that is contrasted.

    Parameters
    ----------
    members
        Of every group.
    pairs
        Which of them are contrasted.
    factors
        What is drawn where there are seeds enough.
    """
    fewest = min([*map(len, members), *(len(shared) for a, b in pairs if (shared := _shared(members[a], members[b])))])
    return _of_seeds(factors, fewest)


def missing_seeds(names: Sequence[tuple[str, str]], members: Sequence[Members], pairs: Iterable[tuple[int, int]]) -> list[str]:
    """One sentence for each rule on layers that lack seeds, and one for each pair of groups that share too few.

    Parameters
    ----------
    names
        Rule and layer of every group.
    members
        Of every group.
    pairs
        Which of them are contrasted.
    """
    every = sorted({seed for group in members for seed in group})
    lacking: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for (rule, layer), group in zip(names, members, strict=True):
        if absent := tuple(seed for seed in every if seed not in group):
            lacking.setdefault((rule, absent), []).append(layer)
    told = []
    for (rule, absent), layers in lacking.items():
        others = [seed for seed in every if seed not in absent]
        told.append(
            f"no scores of {rule}, {_layers(layers)}, {_seeds(absent)}: means are of {_seeds(others)} alone"
            f"{_too_few(others, every)}, differences of the seeds that both rules have"
        )
    few: dict[tuple[str, str, tuple[int, ...]], list[str]] = {}
    for a, b in pairs:
        shared = tuple(_shared(members[a], members[b]))
        if len(shared) < min(rsa.MINIMUM["seeds"], len(every)):
            few.setdefault((names[a][0], names[b][0], shared), []).append(names[a][1])
    for (first, second, common), layers in few.items():
        what = f"{_seeds(common)} in common{_too_few(common, every)}" if common else "no seed in common, and no difference"
        told.append(f"{first} and {second}, {_layers(layers)}, have {what}")
    return told


def _shared(a: Members, b: Members) -> list[int]:
    return sorted(a.keys() & b.keys())


def _of_seeds(factors: tuple[str, ...], n_seeds: int) -> tuple[str, ...]:
    """The factors without seeds, where these are too few to draw from."""
    return factors if n_seeds >= rsa.MINIMUM["seeds"] else tuple(factor for factor in factors if factor != "seeds")


def _layers(layers: Sequence[str]) -> str:
    return f"{'layer' if len(layers) == 1 else 'layers'} {', '.join(repr(layer) for layer in layers)}"


def _seeds(seeds: Sequence[int]) -> str:
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"


def _too_few(seeds: Sequence[int], every: Sequence[int]) -> str:
    """What follows where there are seeds enough to draw from, and not here."""
    return ", too few to say anything of other seeds" if len(seeds) < rsa.MINIMUM["seeds"] <= len(every) else ""
