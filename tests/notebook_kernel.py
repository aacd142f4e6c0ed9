"""Runs notebooks from top to bottom in Jupyter kernels, and writes them back with outputs that are small: `make notebooks`.

One kernel that has imported everything runs one notebook after the other, each in a namespace of its own; or each has a fresh one.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from jupyter_client.manager import KernelManager, start_new_kernel
from nbclient import NotebookClient
from nbformat import NotebookNode

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
PICTURES = ("image/png", "image/svg+xml")
_TIMEOUT_SECONDS = 600


@contextmanager
def kernel(folder: Path) -> Iterator[KernelManager]:
    """A kernel that works in a folder, imports what stands in this checkout, and keeps matplotlib's own choice of a backend."""
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment["PYTHONWARNINGS"] = "ignore:IProgress not found"  # of tqdm, where there are no widgets
    environment["IPYTHONDIR"] = str(folder / ".ipython")
    manager, client = start_new_kernel(kernel_name="python3", env=environment, cwd=str(folder))
    client.stop_channels()
    try:
        yield manager
    finally:
        manager.shutdown_kernel(now=True)


def _execute(manager: KernelManager, notebook: NotebookNode) -> None:
    NotebookClient(notebook, km=manager, timeout=_TIMEOUT_SECONDS, record_timing=False).execute()


def run(path: Path, manager: KernelManager) -> NotebookNode:
    """Run a notebook from top to bottom with an empty namespace.

    Parameters
    ----------
    path
        Of the notebook.
    manager
        Of the kernel, which may have run others.

    Returns
    -------
    NotebookNode
        With its outputs, counted from one.
    """
    notebook = nbformat.read(path, as_version=4)
    _execute(manager, nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("%reset -f")]))
    _execute(manager, notebook)
    for count, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), start=1):
        cell.execution_count = count
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = count
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python", "pygments_lexer": "ipython3"},  # which the site colours code by
    }
    return notebook


def pictures(cell: NotebookNode) -> list[str]:
    """The kinds of pictures among a cell's outputs."""
    kinds = [kind for output in cell.get("outputs", []) for kind in output.get("data", {})]
    return [kind for kind in kinds if kind in PICTURES]


def main() -> None:
    """Run the notebooks that are named, or all, each in a fresh kernel, and write them with their outputs."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("paths", nargs="*", type=Path)
    for path in parser.parse_args().paths or NOTEBOOKS:
        with tempfile.TemporaryDirectory() as folder, kernel(Path(folder)) as manager:
            notebook = run(path, manager)
        nbformat.write(notebook, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
