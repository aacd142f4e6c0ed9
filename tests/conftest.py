"""Shapes and types in the signatures of our packages are checked while the tests run; programs are compiled in haste.

Those of networks, rules and experiments are checked with `--thorough`: they take a fifth to a quarter of such tests' time.

The tests compile many small programs and run each for milliseconds, so optimisation costs far more than it gives: LLVM's is off,
and loops are written out by XLA's older emitters, whose code is slower and compiled in half the time.
"""

import gc
import os
import resource
import sys
import threading
import zlib
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")
_QUICK = [
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
    "--xla_cpu_use_fusion_emitters=false",
    "--xla_cpu_parallel_codegen_split_count=1",  # small programs in 32 parts are compiled more slowly, as is the test run in parts
]
os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *_QUICK]).strip()

# Programs that several tests compile are compiled once, and the user's own cache is left alone. Most are small, an addition of two
# arrays, say, which takes ten milliseconds to compile and one to read.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".pytest_cache" / "compiled"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

# A tenth of the time of lowering a program is to write down where each of its lines came from.
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")

# Traced programs are millions of objects that live on: to look through them again and again for cycles costs as much.
gc.set_threshold(200_000, 20, 50)

import jax  # noqa: E402
import pytest  # noqa: E402
from jax._src.interpreters import mlir  # noqa: E402
from jax.extend.mlir import ir  # noqa: E402
from jaxtyping import install_import_hook  # noqa: E402

# Workers of pytest-xdist are not told what was asked for before they import what is to be checked.
if "--thorough" in sys.argv:
    os.environ["BIOPLAUSIBLE_CHECK_ALL"] = "1"
_MORE = ["architectures", "learning_rules", "experiments"] if "BIOPLAUSIBLE_CHECK_ALL" in os.environ else []
install_import_hook(["bioplausible", "neurodata", "rsa", *_MORE], "beartype.beartype")


def _share_contexts():
    """Programs of one thread are written in one context of MLIR; JAX fills a new one for each, a fifth of the suite's time.

    Who writes a program may have to run another (random bits are lowered so): that one gets a context of its own, since in the
    shared one its module would land inside the other's.
    """
    anew, kept = mlir.make_ir_context, threading.local()

    def context():
        if ir.Context.current is not None:
            return anew()
        if not hasattr(kept, "context"):
            kept.context = anew()
        return kept.context

    mlir.make_ir_context = context


if hasattr(mlir, "make_ir_context"):  # a private function of JAX's, which a later version may take away
    _share_contexts()


def pytest_addoption(parser):
    parser.addoption(
        "--thorough", action="store_true", help="also run what is marked thorough: known cases on more networks and data"
    )


# What is shown of layers (dense ones among them), of skips and of time is shown; other networks are tried by the conformance suite.
_REPRESENTATIVE = {"cnn", "residual", "elman"}
_NETWORKS = {"mlp", "gated", "attention", "spiking", "flax"} | _REPRESENTATIVE


def _network_of(item):
    given = getattr(getattr(item, "callspec", None), "params", {}).values()
    return next((value for value in given if isinstance(value, str) and value in _NETWORKS), None)


def _but_for_the_network(item):
    """A test and all that it is given besides a network."""
    given = getattr(getattr(item, "callspec", None), "params", {})
    network = _network_of(item)
    return item.nodeid.partition("[")[0] + repr([(name, value) for name, value in given.items() if value is not network])


def _mark_other_networks(items):
    """A test that is tried on representative networks is thorough on the others, unless it is marked for every network.

    Of the representative ones each statement is tried on one in turn, and thorough on the others. Whose turn it is follows from the
    test's name alone: it is the same in every run.
    """
    tried = {}
    for item in items:
        if (network := _network_of(item)) in _REPRESENTATIVE:
            tried.setdefault(item.nodeid.partition("[")[0], {}).setdefault(_but_for_the_network(item), set()).add(network)
    for item in items:
        network, of_test = _network_of(item), tried.get(item.nodeid.partition("[")[0])
        if network is None or not of_test or item.get_closest_marker("on_all_networks"):
            continue
        statement = _but_for_the_network(item)
        alike = sorted(of_test.get(statement, ()))
        if network not in _REPRESENTATIVE or network != alike[zlib.crc32(statement.encode()) % len(alike)]:
            item.add_marker("thorough")


def _mark_costly_cases(items):
    """Of a test that is marked costly the first cases are run, as many as it says, and the others are thorough."""
    n_cases = {}
    for item in items:
        marker = item.get_closest_marker("costly")
        if marker is None or item.get_closest_marker("thorough"):
            continue
        test = item.nodeid.partition("[")[0]
        n_cases[test] = n_cases.get(test, 0) + 1
        if n_cases[test] > marker.kwargs.get("cases", 1):
            item.add_marker("thorough")


# What compiles most, then what takes a worker longest without a break, then the rest: at the end no worker should have long nothing
# to do. Finished recordings come late: whoever makes one listens to every file that Python opens (neurodata.opened_files), which
# cannot be undone and makes whatever is traced and compiled afterwards take a tenth longer.
_TURNS = (
    "tests/learning_rules/",
    "tests/architectures/",
    "learning_rules/",
    "architectures/",
    "tests/bioplausible/",
    "tests/rsa/",
    "rsa/",
    "tests/test_notebooks.py",
    "tests/experiments/test_comparing.py",
    "tests/experiments/test_cli.py",
    "tests/experiments/test_sweeping.py",
    "tests/neurodata/test_meg_simulation.py",
    "tests/experiments/test_report.py",
    "tests/experiments/test_of_ones_own.py",
    "tests/experiments/test_raw_recordings.py",
    "tests/test_fuzz.py",
)


def _turn_of(item):
    return next((turn for turn, start in enumerate(_TURNS) if item.nodeid.startswith(start)), len(_TURNS))


def pytest_configure(config):
    """Files are taken in the order above; by itself pytest-xdist begins with those of many tests, however short."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(config, items):
    """Tests of one file share what they train, so they go to one worker; those of the conformance suite by rule and network.

    What is marked thorough is left out unless it is asked for, by the option, by `-m`, or by its own name.
    """
    _mark_other_networks(items)
    _mark_costly_cases(items)
    by_name = any("::" in argument for argument in config.args)
    if not (config.getoption("--thorough") or config.getoption("-m") or by_name):
        left_out = [item for item in items if item.get_closest_marker("thorough")]
        if left_out:
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if not item.get_closest_marker("thorough")]
    items.sort(key=_turn_of)
    for item in items:
        unit = item.nodeid.partition("::")[0]
        given = getattr(getattr(item, "callspec", None), "params", {})
        if {"name", "architecture"} <= given.keys():
            unit += f" {given['name']} {given['architecture']}"
        item.add_marker(pytest.mark.xdist_group(unit))


# Compiled programs stay in memory: after a thousand tests a worker holds many gigabytes of them, in so many pieces that Linux gives
# it no more. To let them go costs compiling what the next tests share, so this is done when it must be.
_PAGE = os.sysconf("SC_PAGE_SIZE")
_MOST_BYTES = os.sysconf("SC_PHYS_PAGES") * _PAGE / 2 / int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_MOST_PIECES = 30_000  # of 65,530, Linux's default


def _is_crowded():
    try:
        if int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE > _MOST_BYTES:
            return True
        return Path("/proc/self/maps").read_bytes().count(b"\n") > _MOST_PIECES
    except OSError:  # elsewhere than on Linux the most memory that it ever had
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) > _MOST_BYTES


def _unit(item):
    marker = None if item is None else item.get_closest_marker("xdist_group")
    return None if marker is None else marker.args


def pytest_runtest_teardown(item, nextitem):
    """Let programs go that the next tests do not share."""
    if _unit(item) != _unit(nextitem) and _is_crowded():
        jax.clear_caches()
