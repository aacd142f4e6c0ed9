"""The architectures by name. To add one: its own file, a line in `ARCHITECTURES`, a row in `architecture_table.py` of the tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from flax import nnx

from architectures.cnn import CnnOptions, cnn
from architectures.flax_modules import from_nnx
from architectures.front_end import FrontEnd, no_front_end
from architectures.mlp import MlpOptions, mlp
from architectures.network import Network
from architectures.recurrent import RecurrentOptions, SpikingOptions, recurrent, spiking
from architectures.resnet import ResnetOptions, resnet
from architectures.transformer import TransformerOptions, transformer
from architectures.vgg import VggOptions, vgg
from bioplausible.foundation.errors import InputError
from bioplausible.foundation.options import make_options
from bioplausible.foundation.resolve import is_reference, load_object, resolve

__all__ = ["ARCHITECTURES", "Architecture", "build", "names"]


class Architecture(NamedTuple):
    """How a network is made: its options and the function from shapes to a network.

    Attributes
    ----------
    options
        The frozen dataclass of its options.
    make
        (input_shape, n_classes, options, front_end) -> network.
    summary
        One sentence.
    """

    options: type
    make: Callable[..., Network]
    summary: str


ARCHITECTURES: dict[str, Architecture] = {
    "mlp": Architecture(MlpOptions, mlp, "dense layers on flattened images"),
    "cnn": Architecture(CnnOptions, cnn, "strided 3x3 convolutions, then dense layers"),
    "vgg": Architecture(VggOptions, vgg, "eight weight layers for small images: convolutions and pooling, then dense layers"),
    "resnet": Architecture(ResnetOptions, resnet, "blocks of two convolutions with skips, without statistics of a batch"),
    "recurrent": Architecture(RecurrentOptions, recurrent, "Elman, leaky or gated units that read an image row by row"),
    "spiking": Architecture(SpikingOptions, spiking, "leaky integrate-and-fire units that are shown an image as a current"),
    "transformer": Architecture(TransformerOptions, transformer, "attention among the rows of an image, with skips"),
}
"""Architectures by the name that `build` takes. To add one: its own file, a line here, a row in the tests' table."""


def names() -> tuple[str, ...]:
    """Names that `build` takes; it also takes `module:name` and `path.py:name`."""
    return tuple(ARCHITECTURES)


def build(
    name: str,
    *,
    input_shape: tuple[int, ...],
    n_classes: int,
    front_end: FrontEnd | None = None,
    **options: Any,
) -> Network:
    """Build a network.

    Parameters
    ----------
    name
        One of `names()`; or `module:name` or `path.py:name` of a function `(input_shape, n_classes, **options)` that returns a
        `Network`, or flax modules as `from_nnx` takes them.
    input_shape
        Shape of one example, (height, width, channels) of an image.
    n_classes
        Number of scores.
    front_end
        From `fit_front_end`; none by default.
    **options
        Fields of the architecture's options, `MlpOptions` or `CnnOptions`, say; or whatever the user's function takes.

    Raises
    ------
    InputError
        Unknown architecture or option (the valid ones are listed), or shapes that do not fit.

    >>> build("mlp", input_shape=(28, 28, 1), n_classes=10, hidden=(256, 256)).node_names
    ('hidden_0', 'hidden_1', 'output')
    """
    shape = (input_shape,) if isinstance(input_shape, int) else tuple(input_shape)
    if not shape or min(shape) < 1:
        raise InputError(f"input_shape={shape} was given, expected (height, width, channels), each at least 1")
    if n_classes < 2:
        raise InputError(f"n_classes={n_classes} was given, a network tells at least 2 classes apart")
    front_end = front_end or no_front_end()
    if is_reference(name):
        return _of_user(name, load_object(name, "architecture"), shape, n_classes, front_end, options)
    architecture: Architecture = resolve(name, ARCHITECTURES, "architecture")
    chosen: Any = make_options(architecture.options, options, f"architecture '{name}'")
    record = {**dataclasses.asdict(chosen), "front_end": front_end.name}
    return dataclasses.replace(architecture.make(shape, n_classes, chosen, front_end), options=record)


def _of_user(
    name: str, make: Any, input_shape: tuple[int, ...], n_classes: int, front_end: FrontEnd, options: Mapping[str, Any]
) -> Network:
    """The network that a user's function makes, behind the front end."""
    if not callable(make):
        raise InputError(f"'{name}' is {type(make).__name__}, expected a function (input_shape, n_classes, **options) -> Network")
    seen = front_end.output_shape(input_shape)
    try:
        made = make(seen, n_classes, **options)
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 a user's function may raise anything
        raise InputError(
            f"'{name}' was called with input_shape={seen}, n_classes={n_classes}"
            f"{''.join(f', {key}={value!r}' for key, value in options.items())} and failed: {type(error).__name__}: "
            f"{str(error).splitlines()[0] if str(error) else ''}"
        ) from error
    if isinstance(made, nnx.Module | list | tuple):
        made = from_nnx(made, input_shape=seen, n_classes=n_classes)
    if not isinstance(made, Network):
        raise InputError(f"'{name}' returned {type(made).__name__}, expected a Network or flax modules (architectures.from_nnx)")
    if made.n_classes != n_classes or made.input_shape != seen:
        raise InputError(
            f"'{name}' returned a network for inputs of {made.input_shape} and {made.n_classes} classes, asked were {seen} and "
            f"{n_classes}: build it from the arguments that it is given"
        )
    record = {**made.options, **options, "front_end": front_end.name}
    return dataclasses.replace(made, name=name, input_shape=input_shape, front_end=front_end, options=record)
