# `make run` and `make test` are what most people need. Each command sets up .venv the first time.
PYTHON ?= python3
BIN := .venv/bin
# All but speed, which measures PyTorch and scikit-learn, too, where they are installed.
NOTEBOOKS := $(filter-out notebooks/speed.ipynb, $(sort $(wildcard notebooks/*.ipynb)))
# Tests that take seconds: no browser, no cluster, no notebook.
UNITS := tests/explore tests/sweeps/test_definition.py tests/sweeps/test_pool.py $(patsubst %,tests/test_%.py,\
	checkpoints datasets errors helpers parameters provenance ranking records run_folder startup storage)
# Jupyter refuses to run as root, as in a container, unless it is asked to. It listens on this machine alone, by token.
AS_ROOT = $(if $(filter 0,$(shell id -u)),--allow-root)
# What conda would install, read from the one file that says it.
PIP_SECTION = $(shell sed -n 's/^ *- \(-.*\)$$/\1/p' environment.yml)

.PHONY: help run test check bench torture lab sweep notebooks site lint lock clean

help:                   ## list these targets
	@sed -n 's/^\([a-z]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

run: .venv/ready        ## prepare, train, evaluate, and compare with the published metrics
	@$(BIN)/python -m pipeline run

test: .venv/ready       ## unit tests, the pipeline end to end, and every notebook under nbval
	$(BIN)/pytest

check: lint             ## after each edit, in less than a minute: lint, types, unit tests, one default run
	$(BIN)/pytest -q $(UNITS)
	$(BIN)/python -m pipeline run

bench: .venv/ready      ## time what users wait for, as ratios; some minutes on a quiet machine
	$(BIN)/python -m tests.bench

torture: .venv/ready    ## kill, stop, starve and misplace commands in many ways, and count; most of an hour
	$(BIN)/python -m tests.torture

lab: .venv/ready        ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab $(AS_ROOT) --KernelManager.transport_encryption=auto --ServerApp.log_level=ERROR --ExtensionApp.log_level=ERROR --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks/01_prepare.ipynb $(OPTIONS)

sweep: .venv/ready      ## run the points of a sweep: make sweep FILE=notebooks/sweeps/original_images.yaml
	$(BIN)/python -m pipeline sweep $(or $(FILE),notebooks/sweeps/small.yaml)

notebooks: .venv/ready  ## run the committed notebooks again, in place; all but speed
	$(BIN)/python -m pipeline notebooks $(NOTEBOOKS)

site: .venv/ready       ## the notebooks and three reports as a static site, in runs/site
	@$(BIN)/python -m pipeline site

lint: .venv/ready       ## ruff over code and notebooks, mypy over the package and helpers.py
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lock: .venv/ready       ## refresh requirements.txt from pyproject.toml
	$(BIN)/uv pip compile --quiet --upgrade --universal --fork-strategy fewest --python-version 3.11 \
		--group dev --custom-compile-command "make lock" --output-file requirements.txt pyproject.toml

clean:                  ## remove .venv, runs/ and caches; nothing that is committed
	rm -rf .venv runs .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/ready: environment.yml requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "Python 3.11, 3.12 or 3.13 is needed, and $(PYTHON) is " + sys.version.split()[0] + ": try make PYTHON=python3.13")'
	@echo "Setting up, once: making .venv"
	@$(PYTHON) -m venv --clear .venv
	@echo "Setting up, once: installing $$(grep -c == requirements.txt) packages, in half a minute or so"
	@$(BIN)/pip install --quiet --disable-pip-version-check "$$(grep ^uv== requirements.txt)"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode $(PIP_SECTION) || { \
		echo "uv could not install them; pip tries, in two minutes or so" && \
		$(BIN)/pip install --quiet --disable-pip-version-check $(PIP_SECTION); }
	@touch $@
