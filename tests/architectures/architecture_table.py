"""One row an architecture: what the shared tests build it with."""

TABLE = {
    "mlp": {"input_shape": (8, 8, 1), "n_classes": 4, "hidden": (12, 10)},
    "cnn": {"input_shape": (8, 8, 3), "n_classes": 4, "channels": (4, 6), "hidden": (10,)},
}
