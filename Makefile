# Most people need `make run` and `make test`. The first command sets up .venv: .venv/ready marks that
# it has what users need, and .venv/tests that it also has what tests need.
PYTHON ?= python3
BIN := .venv/bin
# What users need: the locked versions, so that results repeat exactly. environment.yml has the same
# versions. The extras are left out: few users need `cluster`, and `lab` and `keras` are half of the
# size, so only `make lab` adds these two.
PACKAGES ?= -r requirements.txt -e .
# The installer shows its progress in a terminal, but not in a log.
QUIET = $(shell test -t 2 || echo --quiet)
LOCK = $(BIN)/uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 \
	--custom-compile-command "make lock"
INSTALL = $(BIN)/uv pip install $(QUIET) --system-certs --python $(BIN)/python
# The notebooks that the guide lists.
NOTEBOOKS := $(shell sed -n 's/^| \[\([a-z0-9_]*\)\](\1\.ipynb) .*/notebooks\/\1.ipynb/p' \
	notebooks/README.md)
# Tests that need neither a browser nor a cluster, nor a whole run.
UNITS := tests/network tests/images tests/results tests/records \
	$(patsubst %,tests/test_%.py,digests helpers imports parameters records statistics) \
	tests/sweeps/test_definition.py tests/sweeps/test_table.py
# Jupyter refuses to run as root, as in a container, unless this option allows it.
AS_ROOT = $(if $(filter 0,$(shell id -u)),--allow-root)

.PHONY: help run test units check bench lab sweep notebooks pictures records lint lock clean

help:                   ## list these targets
	@sed -n 's/^\([a-z]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

run: .venv/ready        ## prepare, train, evaluate, and compare with the published metrics
	@$(BIN)/python -m pipeline run

test: .venv/tests       ## run all tests, and compare all outputs of the notebooks
	$(BIN)/python -m pytest -n auto --dist loadgroup --nbval --durations=20 tests notebooks

units: .venv/tests      ## run the unit tests; OPTIONS=tests/reports adds those of reports
	$(BIN)/python -m pytest -q -n auto $(UNITS) $(OPTIONS)

check: lint units       ## after each edit: lint, types, unit tests and a default run
	$(BIN)/python -m pipeline run

bench: .venv/tests      ## time what users wait for, as ratios; needs a quiet machine
	PYTHONPATH=. $(BIN)/python .ci/bench.py

lab: .venv/lab          ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab $(AS_ROOT) --Application.log_level=ERROR --ServerApp.root_dir=. \
		--LabApp.app_settings_dir=.jupyter --KernelManager.transport_encryption=auto \
		--LabApp.default_url=/lab/tree/notebooks/01_prepare.ipynb $(OPTIONS)

sweep: .venv/ready      ## run a sweep: make sweep FILE=notebooks/sweeps/original_images.yaml
	$(BIN)/python -m pipeline sweep $(or $(FILE),notebooks/sweeps/small.yaml)

notebooks: .venv/lab    ## regenerate what is committed: all notebooks, the lesson, its pages to print
	@base=$$(mktemp -d) && trap 'rm -rf $$base' EXIT && export DIGITS_BASE=$$base && set -ex && \
	$(BIN)/python -m pipeline run && \
	$(BIN)/python -m pipeline run -p relu_grad_inactive 0 --run-dir $$base/runs/true-derivative && \
	$(BIN)/python -m pipeline notebooks $(NOTEBOOKS) && \
	$(BIN)/python -m lesson

pictures: .venv/tests   ## regenerate the pictures of README from the committed pages
	$(BIN)/python notebooks/pictures/make_pictures.py

records: .venv/ready    ## train 20 random rows of each record of trainings again, and compare
	$(BIN)/python notebooks/records/make_records.py --check 20

lint: .venv/tests       ## check the style of Python and JavaScript, the types, and the workflows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/biome check --error-on-warnings
	$(BIN)/mypy
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

lock: .venv/ready       ## write both locks from pyproject.toml; OPTIONS=--upgrade upgrades them
	$(LOCK) --output-file requirements.txt $(OPTIONS) pyproject.toml
	$(LOCK) --output-file requirements-dev.txt --no-annotate --group dev \
		--all-extras --constraints requirements.txt $(OPTIONS) pyproject.toml

clean:                  ## remove .venv and caches, but not runs/
	rm -rf .venv .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and \
		"Python 3.11, 3.12 or 3.13 is needed, and $(PYTHON) is " + sys.version.split()[0] + \
		". Try: make PYTHON=python3.13")'
	@echo "Setting up .venv, once: this downloads some 190 MB"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/pip install $(QUIET) --disable-pip-version-check "$$(grep ^uv== requirements-dev.txt)"
	@$(INSTALL) $(PACKAGES) || { \
		echo "uv could not install them, so pip tries, which takes about two minutes" && \
		$(BIN)/pip install $(QUIET) --disable-pip-version-check $(PACKAGES); }
	@echo "Set up. The first command compiles the packages, which takes some seconds"
	@touch $@

.venv/lab: .venv/ready requirements-dev.txt
	@echo "Adding JupyterLab and Keras to .venv, once: this downloads some 130 MB"
	@$(INSTALL) --constraint requirements-dev.txt -e '.[lab,keras]'
	@touch $@

.venv/tests: .venv/ready requirements-dev.txt
	@echo "Adding to .venv what tests need, once: this downloads some 230 MB"
	@$(INSTALL) --compile-bytecode -r requirements-dev.txt
	@touch $@
