"""Every notebook runs from top to bottom, in cells that draw there is a picture, and so there is in what is kept of it."""

import os
import re

import nbformat
import pytest
from notebook_kernel import FOLDER, NOTEBOOKS, kernel, pictures, run

# A cell that draws ends in a figure, or shows one that it made.
DRAWS = re.compile(r"(?:\.plot|draw_dissimilarity|plot_fusion)\([^\n]*\)\s*$|plt\.subplots\(")
KEPT_KILOBYTES = 400
# Those are run with the other tests, and all of them thoroughly: what takes a few seconds each, and most of what there is to draw.
QUICK = ("first_comparison", "read_the_study", "recurrent_and_spiking", "write_your_own_rule")
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def check_pictures(notebook):
    drawing = [cell for cell in code_cells(notebook) if DRAWS.search(cell.source)]
    assert len(drawing) >= 2
    for cell in drawing:
        assert pictures(cell), f"no picture under\n{cell.source}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("notebooks")


@pytest.fixture(scope="module")
def warm(folder):
    """One kernel for all: to start and import is most of what a short notebook costs."""
    with kernel(folder) as manager:
        yield manager


@pytest.mark.parametrize("name", QUICK)
def test_notebook_runs_and_shows_its_figures(name, warm, folder):
    check_pictures(run(FOLDER / f"{name}.ipynb", warm))
    assert os.listdir(folder) in ([], [".ipython"])  # a notebook of ours leaves nothing behind


@pytest.mark.thorough
@each_notebook
def test_notebook_shows_its_figures_in_a_fresh_kernel(path, tmp_path):
    with kernel(tmp_path) as manager:
        check_pictures(run(path, manager))


@each_notebook
def test_what_is_kept_of_a_notebook_can_be_read_without_running_it(path):
    notebook = nbformat.read(path, as_version=4)
    check_pictures(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {"execute_result", "display_data", "stream"}
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert "/home/" not in str(outputs) and "site-packages" not in str(outputs)
    assert path.stat().st_size < 1000 * KEPT_KILOBYTES


@each_notebook
def test_notebook_ends_in_what_its_figures_say(path):
    last = nbformat.read(path, as_version=4).cells[-1]
    assert last.cell_type == "markdown" and ("## What the figures say" in last.source or "As kept here" in last.source)
