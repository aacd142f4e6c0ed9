"""What tests of the command and of the report share."""

import json

import fake_comparison as fake
import pytest

import neurodata
from experiments.cli import main
from experiments.commands import compare as compare_command
from experiments.compare_config import CompareConfig
from experiments.config import write_yaml
from experiments.results import Comparison

MLP = {"architecture": "mlp", "architecture_options": {"hidden": (8,)}, "epochs": 1, "batch_size": 32, "n_train": 200}


@pytest.fixture(autouse=True)
def own_store(monkeypatch, tmp_path):
    """Networks that one test trains are not found by another."""
    monkeypatch.setattr(compare_command, "_STORE", tmp_path / "store")


@pytest.fixture
def run(capsys):
    """Run the command in this process: (exit status, stdout, stderr)."""

    def run(*arguments):
        capsys.readouterr()
        status = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stopped:
            status = stopped.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def run_json(run):
    """Run with --json: what was printed, read back; NaN and infinities are not JSON."""

    def run_json(*arguments):
        status, out, err = run(*arguments, "--json")
        assert status == 0, err
        return json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))

    return run_json


@pytest.fixture(scope="session")
def recording(tmp_path_factory):
    shown = neurodata.default_stimuli()
    simulated = neurodata.simulate(shown, {"early": "pixel_energy"}, n_subjects=4, n_channels=16, n_runs=1)
    return neurodata.save(simulated, tmp_path_factory.mktemp("recordings") / "observers")


@pytest.fixture(scope="session")
def study(recording, tmp_path_factory):
    """The configuration of a small comparison, in YAML."""
    path = tmp_path_factory.mktemp("studies") / "study.yaml"
    path.write_text(
        write_yaml(
            CompareConfig.of(
                rules=("backprop",), recording=str(recording), seeds=1, n_draws=19, scorecard="none", readout_images=0, **MLP
            )
        )
    )
    return path


@pytest.fixture(scope="session")
def comparisons() -> dict[str, Comparison]:
    """Made-up comparisons of every kind, to be read and not changed."""
    return {name: fake.fake_comparison(**options) for name, options in fake.VARIANTS.items()}


@pytest.fixture(scope="session")
def cluster_in_threads():
    """The address of a scheduler and two workers in threads of this process: to whoever asks it a cluster, and started at once."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
        yield cluster.scheduler_address
