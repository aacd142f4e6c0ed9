# Everything that a newcomer needs: `make demo` and `make test` set up what they use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install demo docs notebooks test test-all tests check mutate calibrate clean
.DEFAULT_GOAL := install

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "bioplausible needs Python 3.11 or newer, found $$($(PYTHON) --version): set PYTHON=python3.12, say"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	@touch $@

# The main job on the embedded default: simulated observers of scikit-learn's digits. No network needed.
demo: install
	$(BIN)/bioplausible compare

# The documentation site, examples run and warnings counted as errors. No network needed once the packages are installed.
docs: $(VENV)/docs-installed
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --nitpicky -b html docs/site docs/site/_build/html
	@echo "site: $(CURDIR)/docs/site/_build/html/index.html"

$(VENV)/docs-installed: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev,docs]"
	@touch $@

# Runs every notebook in a fresh kernel and writes it back with its outputs; with real recordings where BIOPLAUSIBLE_DATA has them.
notebooks: install
	$(BIN)/python tests/notebook_kernel.py $(PATHS)

# Linters beside the tests; those that need data which is not here are skipped by name (set BIOPLAUSIBLE_DATA).
test: install
	@$(MAKE) --no-print-directory -j 2 check tests

tests: install
	$(BIN)/python -m pytest --doctest-modules -q --durations=10 -n auto --maxprocesses 4 --dist loadgroup $(THOROUGH)

# The same statements on more networks, variants and data: before a release.
test-all: THOROUGH := --thorough
test-all: install check tests

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Breaks the rules one line at a time and names the test that notices; takes long.
mutate: install
	$(BIN)/python tests/mutations/run.py --out docs/results/mutations.md

# Counts on simulated studies how often p-values and intervals are wrong; takes some minutes.
calibrate: install
	$(BIN)/python tests/rsa/calibrate.py --out docs/results/calibration

clean:
	rm -rf $(VENV) docs/site/_build .pytest_cache .mypy_cache .ruff_cache build dist *.egg-info
