"""Who is ranked: every rule's networks, the same networks before the first image, and models that are no networks.

A rule's control is its own network as it was drawn: of the same units, behind the same front end, from the same weights. Rules that
start from the same network share it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from experiments.config import CONTROL
from experiments.studying.conditions import LAST, WITH_READOUT, Condition
from experiments.studying.shown import START, Shown

__all__ = ["Contest", "Layers", "contest"]

Layers = dict[str, np.ndarray]
"""Layer -> condensed RDM."""


class Contest(NamedTuple):
    """Networks by name and seed, and whose control is whose.

    Attributes
    ----------
    networks
        Name -> seed -> layers. Names are rules, controls and models that are no networks.
    controls
        Rule -> the name of its control.
    """

    networks: dict[str, dict[int, Layers]]
    controls: dict[str, str]


def contest(shown: Sequence[Shown], condition: Condition, references: Mapping[str, np.ndarray]) -> Contest:
    """Who is ranked under a condition.

    Parameters
    ----------
    shown
        What the networks of every training made of the stimuli, the control's first; several of one rule are more seeds of it.
    condition
        Which look, layers and seeds count.
    references
        Models that are no networks -> their RDM.
    """
    networks: dict[str, dict[int, Layers]] = {}
    controls: dict[str, str] = {}
    for rule in dict.fromkeys(each.rule for each in shown):
        own = [each for each in shown if each.rule == rule]
        trained, start = (_of_rule(own, condition, when) for when in (condition.look.when, START))
        if not start or (rule != CONTROL and not trained):
            continue
        same = next((name for name in dict.fromkeys(controls.values()) if _equal(networks[name], start)), None)
        if same is None:
            same = CONTROL if rule == CONTROL else f"{rule} before learning"
            networks[same] = start
        controls[rule] = same
        if rule != CONTROL:
            networks[rule] = trained
    if networks:
        networks |= {name: {0: {name: rdm}} for name, rdm in references.items()}
    return Contest(networks, controls)


def _of_rule(shown: Sequence[Shown], condition: Condition, when: str) -> dict[int, Layers]:
    found: dict[int, Layers] = {}
    for each in shown:
        layers = each.rdms(condition.look._replace(when=when))
        if condition.like is not None:
            there = each.rdms(condition.like)
            layers = {key: rdm for key, rdm in layers.items() if key in there}
        found |= _by_seed(layers, each, condition)
    return dict(sorted(found.items()))


def _by_seed(layers: Mapping[tuple[int, str], np.ndarray], shown: Shown, condition: Condition) -> dict[int, Layers]:
    found: dict[int, Layers] = {}
    for (seed, layer), rdm in layers.items():
        counts = layer == shown.last if condition.layers == LAST else condition.layers == WITH_READOUT or layer != shown.readout
        if counts and condition.seed in (None, seed):
            found.setdefault(seed, {})[layer] = rdm
    return found


def _equal(one: Mapping[int, Layers], other: Mapping[int, Layers]) -> bool:
    return one.keys() == other.keys() and all(
        one[seed].keys() == other[seed].keys() and all(np.array_equal(one[seed][name], other[seed][name]) for name in one[seed])
        for seed in one
    )
