"""Shapes and types in the signatures of our packages are checked while the tests run; programs are compiled in haste.

The tests compile many small programs and run each for milliseconds, so LLVM's optimisation costs far more than it gives.
"""

import os

os.environ.setdefault("MPLBACKEND", "Agg")
_QUICK = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_QUICK}".strip()

from jaxtyping import install_import_hook  # noqa: E402

install_import_hook(["architectures", "learning_rules", "neurodata", "rsa", "experiments"], "beartype.beartype")
