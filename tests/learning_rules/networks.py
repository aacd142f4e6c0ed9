"""The small networks that rules are tried on: dense, convolutional, residual, gated, attention, spiking, recurrent, a user's."""

import functools

from flax import nnx

import architectures

N_CLASSES, SIDE = 4, 8

# Name -> architecture and options.
NETWORKS = {
    "mlp": ("mlp", {"hidden": (24, 16)}),
    "cnn": ("cnn", {"channels": (6, 8), "hidden": (16,)}),
    "residual": ("mlp", {"hidden": (16, 16, 16), "residual": True}),
    "gated": ("recurrent", {"hidden": (12,), "units": "gated"}),
    "attention": ("transformer", {"n_units": 12}),
    "spiking": ("spiking", {"hidden": (16, 12), "n_steps": 6, "recurrent": True}),
    "elman": ("recurrent", {"hidden": (12, 10)}),
    "flax": ("flax", {}),
}
STATIC = ("mlp", "cnn", "residual", "attention", "flax")
TEMPORAL = ("gated", "spiking", "elman")


def users_network(input_shape, n_classes, hidden=20):
    """What a user would write."""
    return architectures.from_nnx(
        [
            lambda x: x.reshape(len(x), -1),
            lambda rngs: nnx.Linear(input_shape[0] * input_shape[1] * input_shape[2], hidden, rngs=rngs),
            nnx.relu,
            lambda rngs: nnx.Linear(hidden, n_classes, rngs=rngs),
        ],
        input_shape=input_shape,
        n_classes=n_classes,
    )


@functools.cache
def network_of(name, n_classes=N_CLASSES, side=SIDE, **options):
    """The small network of that name, for images of (side, side, 1)."""
    architecture, own = NETWORKS[name]
    if architecture == "flax":
        return users_network((side, side, 1), n_classes, **{**own, **options})
    return architectures.build(architecture, input_shape=(side, side, 1), n_classes=n_classes, **{**own, **options})
