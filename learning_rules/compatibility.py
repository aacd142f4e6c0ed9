"""Which rules train which networks: the table that a person chooses from."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import architectures
from architectures import Network
from learning_rules.contract import Support
from learning_rules.registry import names, support
from learning_rules.temporal_credit import TEMPORAL

__all__ = ["support_matrix", "temporal_support_matrix", "typical_networks"]

# Name of a column -> architecture and options, as small as it may be: what a rule needs is no question of size.
_TYPICAL: dict[str, tuple[str, dict[str, Any]]] = {
    "mlp": ("mlp", {"hidden": (4, 4)}),
    "cnn": ("cnn", {"channels": (2, 2), "hidden": (4,)}),
    "vgg": ("vgg", {"channels": (2, 2), "halved": (1,), "hidden": (4,)}),
    "resnet": ("resnet", {"channels": (2,), "strides": (2,)}),
    "residual mlp": ("mlp", {"hidden": (4, 4), "residual": True}),
    "recurrent elman": ("recurrent", {"hidden": (4,)}),
    "recurrent leaky": ("recurrent", {"hidden": (4,), "units": "leaky_activity"}),
    "recurrent gated": ("recurrent", {"hidden": (4,), "units": "gated"}),
    "spiking": ("spiking", {"hidden": (4,), "n_steps": 2}),
    "transformer": ("transformer", {"n_units": 4}),
}


def typical_networks() -> dict[str, Network]:
    """A small network of each kind that the architectures make.

    Returns
    -------
    dict
        Kind -> network, for images of (8, 8, 1) and two classes.

    >>> list(typical_networks())[-5:]
    ['recurrent elman', 'recurrent leaky', 'recurrent gated', 'spiking', 'transformer']
    """
    return {
        kind: architectures.build(name, input_shape=(8, 8, 1), n_classes=2, **options) for kind, (name, options) in _TYPICAL.items()
    }


def support_matrix(networks: Mapping[str, Network] | None = None) -> dict[str, dict[str, Support]]:
    """Whether each rule and each network go together under the rule's own objective, and why not.

    Parameters
    ----------
    networks
        Name -> network; by default one of each kind, `typical_networks()`.

    Returns
    -------
    dict
        `family/variant` -> name of the network -> `Support`.

    >>> support_matrix()["backprop"]["recurrent gated"]
    Support(supported=True, reason='')
    """
    found = _of_typical_networks() if networks is None else _support(networks)
    return {rule: dict(row) for rule, row in found.items()}


def temporal_support_matrix(networks: Mapping[str, Network] | None = None) -> dict[str, dict[str, dict[str, Support]]]:
    """Whether a rule can credit what happened earlier in each of the ways that `temporal` names, and why not.

    Parameters
    ----------
    networks
        Name -> network in time; by default those of `typical_networks()`.

    Returns
    -------
    dict
        `family/variant` -> one of `TEMPORAL` -> name of the network -> `Support`.

    >>> matrix = temporal_support_matrix({"mine": typical_networks()["recurrent elman"]})
    >>> {temporal: row["mine"].supported for temporal, row in matrix["feedback_alignment/sign"].items()}
    {'through_time': True, 'online': True, 'eligibility': True}
    """
    in_time = {kind: each for kind, each in typical_networks().items() if each.temporal} if networks is None else networks
    return {
        rule: {temporal: {kind: support(rule, each, temporal=temporal) for kind, each in in_time.items()} for temporal in TEMPORAL}
        for rule in names(variants=True)
    }


def _support(networks: Mapping[str, Network]) -> dict[str, dict[str, Support]]:
    return {rule: {kind: support(rule, network) for kind, network in networks.items()} for rule in names(variants=True)}


@functools.cache
def _of_typical_networks() -> dict[str, dict[str, Support]]:
    return _support(typical_networks())
