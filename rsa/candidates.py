"""Candidates of model recovery: the networks of several rules, layer by layer, checked and turned into RDMs."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from bioplausible.foundation.errors import InputError
from rsa.checks import check_rdms, check_varies
from rsa.pairs import Array, condition_count, to_square
from rsa.simulated_subjects import layer_rdm

__all__ = ["Candidates", "Networks", "check_layers", "condition_count_of", "networks_of", "some_conditions"]

Candidates = Mapping[str, Sequence[Sequence[Array]]]

MINIMUM_SEEDS = 2


class Networks(NamedTuple):
    """All layers of all networks.

    Attributes
    ----------
    layers
        Patterns (n_conditions, n_units) or RDMs (n_pairs,), by candidate, seed and layer.
    rdms
        Of all of them, one after the other, (n_models, n_pairs).
    members
        Which of the RDMs are a network's, by candidate and seed.
    """

    layers: list[list[list[np.ndarray]]]
    rdms: np.ndarray
    members: list[list[list[int]]]


def condition_count_of(layer: np.ndarray, where: str) -> int:
    """How many conditions patterns (n_conditions, n_units) or a condensed RDM (n_pairs,) are of."""
    if layer.ndim not in (1, 2):
        raise InputError(
            f"{where} has shape {layer.shape}: expected patterns (n_conditions, n_units) or a condensed RDM (n_pairs,)"
        )
    return condition_count(len(layer)) if layer.ndim == 1 else len(layer)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} ({name})" for name, count in counts.items())


def _checked_rdm(layer: np.ndarray, where: str, measure: str, comparator: str) -> np.ndarray:
    try:
        rdms = check_rdms(layer_rdm(layer, measure)[None], "layer")
        check_varies(rdms, "layer", comparator)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return rdms[0]


def networks_of(names: Sequence[str], candidates: Candidates, measure: str, comparator: str) -> Networks:
    """Check the candidates, and work out their RDMs.

    Parameters
    ----------
    names
        Of the candidates, in the order of what is returned.
    candidates
        For each name, for each seed, for each layer, patterns or an RDM.
    measure, comparator
        One of `rsa.MEASURES` and of `rsa.COMPARATORS`.

    Raises
    ------
    InputError
        For fewer than two candidates or seeds, numbers of seeds, layers or conditions that do not fit, and layers without an RDM
        that could be compared.
    """
    if len(names) < 2:
        raise InputError(f"{len(names)} candidate(s) were given: at least two are needed to tell which of them data came from")
    n_seeds = {name: len(candidates[name]) for name in names}
    if min(n_seeds.values()) < MINIMUM_SEEDS or len(set(n_seeds.values())) > 1:
        raise InputError(
            f"the candidates have {_counted(n_seeds)} seeds: each needs as many as the others and at least two, because the seed "
            "that data are made from is left out of the scoring"
        )
    layers = [[[np.asarray(layer) for layer in network] for network in candidates[name]] for name in names]
    rdms: list[np.ndarray] = []
    members: list[list[list[int]]] = []
    expected = None
    for name, networks in zip(names, layers, strict=True):
        members.append([])
        for seed, network in enumerate(networks):
            if len(network) != len(networks[0]) or not network:
                raise InputError(
                    f"seed {seed} of '{name}' has {len(network)} layers and seed 0 {len(networks[0])}: give the same layers of "
                    "every seed, at least one"
                )
            for index, layer in enumerate(network):
                where = f"layer {index} of '{name}', seed {seed}"
                found = condition_count_of(layer, where)
                expected = expected or found
                if found != expected:
                    raise InputError(f"{where} has {found} conditions and the first layer {expected}: give the same ones in all")
                rdms.append(_checked_rdm(layer, where, measure, comparator))
            members[-1].append(list(range(len(rdms) - len(network), len(rdms))))
    return Networks(layers, np.stack(rdms), members)


def check_layers(names: Sequence[str], networks: Networks, generating_layer: str | int, scoring: str) -> None:
    """Refuse layers that are asked for and are not there.

    Parameters
    ----------
    names
        Of the candidates.
    networks
        From :func:`networks_of`.
    generating_layer, scoring
        As :func:`rsa.model_recovery` takes them.
    """
    n_layers = {name: len(seeds[0]) for name, seeds in zip(names, networks.members, strict=True)}
    if scoring == "known" and len(set(n_layers.values())) > 1:
        raise InputError(
            f"the candidates have {_counted(n_layers)} layers, so that a known layer is not the same in all: use scoring='best'"
        )
    fewest = min(n_layers.values())
    if isinstance(generating_layer, int) and not -fewest <= generating_layer < fewest:
        raise InputError(f"generating_layer={generating_layer} was given and a candidate has {fewest} layers, counted from 0")


def some_conditions(candidates: Candidates, kept: np.ndarray) -> dict[str, list[list[np.ndarray]]]:
    """The same candidates on some of the conditions, by their indices in rising order."""
    first, second = np.triu_indices(len(kept), 1)

    def some(layer: np.ndarray) -> np.ndarray:
        return layer[kept] if layer.ndim == 2 else np.asarray(to_square(layer)[kept[first], kept[second]])

    return {name: [[some(np.asarray(layer)) for layer in network] for network in networks] for name, networks in candidates.items()}
