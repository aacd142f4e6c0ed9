"""One row or several an architecture: what the shared tests build it with."""

TABLE = {
    "mlp": {"input_shape": (8, 8, 1), "n_classes": 4, "hidden": (12, 10)},
    "mlp residual": {"input_shape": (8, 8, 1), "n_classes": 4, "hidden": (10, 10, 10), "residual": True, "activation": "tanh"},
    "cnn": {"input_shape": (8, 8, 3), "n_classes": 4, "channels": (4, 6), "hidden": (10,)},
    "vgg": {"input_shape": (8, 8, 3), "n_classes": 4, "channels": (3, 4), "halved": (1,), "hidden": (10,)},
    "resnet": {"input_shape": (8, 8, 3), "n_classes": 4, "channels": (4,), "strides": (2,)},
    "recurrent elman": {"input_shape": (8, 6, 1), "n_classes": 4, "hidden": (10, 7)},
    "recurrent leaky_rate": {"input_shape": (8, 6, 1), "n_classes": 4, "hidden": (10, 7), "units": "leaky_rate"},
    "recurrent leaky_activity": {"input_shape": (8, 6, 1), "n_classes": 4, "hidden": (7,), "units": "leaky_activity"},
    "recurrent gated": {"input_shape": (5,), "n_classes": 3, "hidden": (7,), "units": "gated", "reading": "sequence"},
    "spiking": {"input_shape": (6, 6, 1), "n_classes": 4, "hidden": (12, 10), "n_steps": 6, "recurrent": True},
    "spiking adaptive": {"input_shape": (6, 6, 1), "n_classes": 4, "hidden": (8,), "n_steps": 6, "adaptation": 0.5},
    "transformer": {"input_shape": (8, 6, 1), "n_classes": 4, "n_units": 8, "n_blocks": 2},
}
