# `make app` opens the app, `make test` runs all tests; both make the virtual environment they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Compiled tests and modules are kept: compiling them takes every process of tests seconds.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: app test test-fast test-slow test-browser lint docs coverage bench bench-load bench-accuracy bench-lineages bench-scale clean

app: $(VENV)/.installed
	$(BIN)/deepvelo app

# One after the other: a page that waits for a busy machine fails a browser test.
test: lint coverage
	$(MAKE) test-slow
	$(MAKE) test-browser
	$(BIN)/python -m pytest -m alone

# Two processes, a file of tests in one of them.
# Stored runs are many small files: they lie in memory where there is a place with 4 GB for that.
test-fast: $(VENV)/.installed-test
	PYTEST_DEBUG_TEMPROOT=$$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 > 4e6 {print "/dev/shm"}') \
	$(BIN)/python -m pytest -m "not slow and not browser" -n 2 --dist loadfile

# Two processes; the first that is done takes over tests of the other.
test-slow: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m "slow and not browser and not alone" -n 2 --dist worksteal

test-browser: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m browser

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The site in docs/_build; its tutorials are executed, and a warning is an error.
docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build

# The fast tests, and the share of lines and branches of deepvelo/ and app/ that they run.
coverage: export PYTEST_ADDOPTS := -p pytest_cov.plugin --cov
coverage: test-fast

bench: $(VENV)/.installed-test
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/views.py
	$(BIN)/python benchmarks/compare.py

# Twenty visitors at once for two minutes, then 200 one after the other; only over the loopback address.
bench-load: $(VENV)/.installed-test
	$(BIN)/python benchmarks/load.py

# The quoted table: every kind of tissue, both depths, the seeds 100 to 102.
bench-accuracy: $(VENV)/.installed-test
	$(BIN)/python benchmarks/accuracy.py --json accuracy.json

# Trees, ends, times and drivers of simulated branching tissue, ours and scVelo's dynamical mode, and the time it takes.
bench-lineages: $(VENV)/.installed-test
	$(BIN)/python benchmarks/lineages.py --json lineages.json
	$(BIN)/python benchmarks/lineages.py --time

# Time and memory of every step from a file to a stream plot, at 3,000, 10,000 and 100,000 cells.
bench-scale: $(VENV)/.installed-test
	$(BIN)/python benchmarks/scale.py --json scale.json

# The stamps are newer than the requirements only while the environment holds them.
$(VENV)/.installed: requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed requirements-test.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-test.txt
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed requirements-docs.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-docs.txt
	touch $@

clean:
	rm -rf $(VENV) docs/_build docs/generated docs/.jupyter_cache docs/jupyter_execute .pytest_cache .mypy_cache .ruff_cache
