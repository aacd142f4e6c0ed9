"""Where a value comes from: tokens, and what becomes of them where values meet.

- `("weights", place, how)`: weights that belong to a place in the network. `how` is "forward" where they were summed over their
  fan-in, as a synapse does; "backward" where they were summed over their units, as an error carried down through them is, or "sign
  backward" where their signs were; "value" where they were looked at without either.
- `("activity", k)`, `("labels",)`, `("images",)`, `("random",)`, `("params", name)`, `("carry",)`.
- `("scalar", token)`: no more than a number an example, or one in all, is left of it.

Some values are still a place's weights: moved, resized or rescaled, with their axes known (`weight_after`).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

from learning_rules.plausibility.axes import Axes, broadcast, reshape, union
from learning_rules.plausibility.jaxprs import Step, shape_of, summed_of

__all__ = [
    "NOTHING",
    "REDUCTIONS",
    "Origin",
    "Token",
    "Weight",
    "as_vector",
    "copied",
    "joined",
    "meets_a_signal",
    "mixed",
    "together",
    "weight_after",
    "without_first_axis",
]

Token = tuple[Any, ...]


class Weight(NamedTuple):
    """That a value is still an array of weights.

    Attributes
    ----------
    place
        Whose weights they are.
    axes
        Which axes are which.
    sign
        Whether only signs are left.
    multiplied
        Whether a signal came in.
    """

    place: Hashable
    axes: Axes
    sign: bool = False
    multiplied: bool = False


class Origin(NamedTuple):
    """Where a value comes from.

    Attributes
    ----------
    tokens
        What went into it.
    weight
        Whose weights it still is, None where it is none.
    copy
        The input of which this is a copy, number by number, "" where it is none.
    """

    tokens: frozenset[Token] = frozenset()
    weight: Weight | None = None
    copy: str = ""


NOTHING = Origin()
"""Constants, and what was not followed."""

_RESIZING = ("slice", "dynamic_slice", "pad", "rev", "dynamic_update_slice")
_OPAQUE = ("pure_callback", "io_callback", "gather", "sort", "cumsum", "cumlogsumexp", "cummax", "cummin", "cumprod")
REDUCTIONS = ("reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or", "argmax", "argmin")
_MOVES = ("reshape", "transpose", "broadcast_in_dim", "squeeze", "expand_dims", "slice", "rev", "dynamic_slice", "gather", "pad",
          "concatenate", "dynamic_update_slice", "scatter", "scatter-add", "scatter_add", "select_n", "copy",
         "convert_element_type", "stack")  # fmt: skip


def as_vector(origin: Origin) -> Origin:
    """Numbers an example that are put side by side are no longer one number."""
    return origin._replace(tokens=frozenset(token[1] if token[0] == "scalar" else token for token in origin.tokens))


def meets_a_signal(other: Origin) -> bool:
    """Whether a weight's partner in a product is a signal rather than weights or constants."""
    return any(token[0] not in ("weights", "params") for token in other.tokens)


def mixed(weight: Weight, step: Step, factor: int, over: frozenset[str]) -> Weight:
    """A weight times a constant matrix: its own free axes, and the partner's, which stand for what was summed.

    Parameters
    ----------
    weight
        The weight.
    step
        A matrix product.
    factor
        Which of the two factors the weight is.
    over
        The weight's own axes that were summed over.
    """
    summed, shared = summed_of(step)
    n_other = len(shape_of(step.inputs[1 - factor]))
    free = [axis for i, axis in enumerate(weight.axes) if i not in summed[factor] and i not in shared[factor]]
    partner = [over] * (n_other - len(summed[1 - factor]) - len(shared[1 - factor]))
    beside = [weight.axes[axis] for axis in shared[factor]]
    return weight._replace(axes=(*beside, *free, *partner) if factor == 0 else (*beside, *partner, *free), sign=False)


def copied(step: Step, inputs: Sequence[Origin]) -> str:
    """The input of which an equation's output is still a copy: moved, or rescaled by constants, but not mixed.

    Parameters
    ----------
    step
        The equation.
    inputs
        Origins of its inputs.
    """
    sources = {origin.copy for origin in inputs if origin.copy}
    if len(sources) != 1:
        return ""
    # What is written among other things of the same kind is still stored.
    if step.name in _MOVES:
        return next(iter(sources))
    others = [origin for origin in inputs if not origin.copy]
    plain = all(not origin.tokens for origin in others)
    same = shape_of(step.outputs[0]) in [shape_of(variable) for variable in step.inputs]
    return next(iter(sources)) if plain and same and step.name not in REDUCTIONS else ""


def together(inputs: Sequence[Origin]) -> Origin:
    """Of a value into which all of these may have gone."""
    tokens = frozenset().union(*(origin.tokens for origin in inputs)) if inputs else frozenset()
    lost = {("weights", origin.weight.place, "value") for origin in inputs if origin.weight is not None}
    return Origin(tokens | lost)


def _is_blank(origin: Origin) -> bool:
    """Whether nothing is known to have come here yet, but what a rule started with."""
    return origin.weight is None and not origin.copy and all(token[0] in ("carry", "params") for token in origin.tokens)


def joined(one: Origin, other: Origin, keep: Origin | None = None) -> Origin:
    """Either of two: all tokens, and what both agree on, or one has while the other is blank.

    Parameters
    ----------
    one, other
        Origins.
    keep
        What is known whichever of the two it is; all else of it stays.
    """
    if keep is not None:
        return keep._replace(tokens=one.tokens | other.tokens)
    tokens = one.tokens | other.tokens
    weight = one.weight if one.weight == other.weight else None
    if _is_blank(one) or _is_blank(other):
        # A place that nothing was put into yet may hold the other's weights.
        weight = one.weight or other.weight
    if weight is None:
        tokens |= {("weights", each.weight.place, "value") for each in (one, other) if each.weight is not None}
    # An empty buffer that images are written into holds images.
    copy = one.copy or other.copy if not (one.copy and other.copy and one.copy != other.copy) else ""
    return Origin(tokens, weight, copy)


def without_first_axis(origin: Origin) -> Origin:
    """Of one entry of an array along its first axis."""
    return origin if origin.weight is None else origin._replace(weight=origin.weight._replace(axes=origin.weight.axes[1:]))


def weight_after(step: Step, inputs: Sequence[Origin]) -> Weight | None:
    """The weight that an equation's output still is, None where it is none any more.

    Parameters
    ----------
    step
        The equation.
    inputs
        Origins of its inputs.
    """
    held = [(index, origin.weight) for index, origin in enumerate(inputs) if origin.weight is not None]
    if not held or len({weight.place for _, weight in held}) != 1:
        return None
    name, parameters = step.name, step.parameters
    first, weight = held[0]
    before, after = shape_of(step.inputs[first]), shape_of(step.outputs[0])
    if name == "reshape":
        return weight._replace(axes=reshape(weight.axes, before, after))
    if name == "transpose":
        return weight._replace(axes=tuple(weight.axes[axis] for axis in parameters["permutation"]))
    if name == "broadcast_in_dim":
        return weight._replace(axes=broadcast(weight.axes, tuple(map(int, parameters["broadcast_dimensions"])), len(after)))
    if name == "squeeze":
        return weight._replace(axes=tuple(axis for i, axis in enumerate(weight.axes) if i not in parameters["dimensions"]))
    if name == "concatenate" and len({len(each.axes) for _, each in held}) == 1:
        return weight._replace(axes=union([each.axes for _, each in held]), sign=all(each.sign for _, each in held))
    if name in REDUCTIONS:
        return None
    fits = len(before) == len(after) and all(size in (1, whole) for size, whole in zip(before, after, strict=True))
    if len(after) == len(before) == len(weight.axes) and (fits or name in _RESIZING) and name not in _OPAQUE:
        axes = union([each.axes for _, each in held if len(each.axes) == len(after)])
        others = [origin for origin in inputs if origin.weight is None]
        multiplies = name in ("mul", "div") and any(_is_signal(origin) for origin in others)
        # A sign times what is known of the same weights may be the weights again.
        known = any(token[0] == "weights" and token[1] == weight.place for origin in others for token in origin.tokens)
        sign = (name == "sign" or all(each.sign for _, each in held)) and not known
        return Weight(weight.place, axes, sign, multiplies or any(each.multiplied for _, each in held))
    return None


def _is_signal(origin: Origin) -> bool:
    return any(token[0] not in ("weights", "params", "scalar") for token in origin.tokens)
