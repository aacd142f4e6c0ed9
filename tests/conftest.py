"""Shapes and types in the signatures of our packages are checked while the tests run."""

import os

os.environ.setdefault("MPLBACKEND", "Agg")

from jaxtyping import install_import_hook  # noqa: E402

install_import_hook(["architectures", "learning_rules", "neurodata", "rsa", "experiments"], "beartype.beartype")
