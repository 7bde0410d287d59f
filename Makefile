# Two commands do everything: `make run` and `make test`. Both set up .venv the first time.
PYTHON ?= python3
BIN := .venv/bin
NOTEBOOKS := $(sort $(wildcard notebooks/*.ipynb))
# What conda would install, read from the one file that says it.
PIP_SECTION = $(shell sed -n 's/^ *- \(-.*\)$$/\1/p' environment.yml)

.PHONY: run test lab sweep notebooks lint lock clean

run: .venv/ready        ## prepare, train, evaluate, and compare with the published metrics
	@$(BIN)/python -m pipeline run

test: .venv/ready       ## unit tests, the pipeline end to end, and every notebook under nbval
	$(BIN)/pytest

lab: .venv/ready        ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks/01_prepare.ipynb

sweep: .venv/ready      ## run the points of a sweep: make sweep FILE=notebooks/sweeps/original_images.yaml
	$(BIN)/python -m pipeline sweep $(or $(FILE),notebooks/sweeps/small.yaml)

notebooks: .venv/ready  ## run the committed notebooks again, in place
	$(BIN)/python -m pipeline notebooks $(NOTEBOOKS)

lint: .venv/ready       ## ruff over code and notebooks, mypy over the package and helpers.py
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lock: .venv/ready       ## refresh requirements.txt from pyproject.toml
	$(BIN)/uv pip compile --quiet --upgrade --universal --fork-strategy fewest --python-version 3.11 \
		--group dev --custom-compile-command "make lock" --output-file requirements.txt pyproject.toml

clean:                  ## remove .venv, runs/ and caches; nothing that is committed
	rm -rf .venv runs *.egg-info .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/ready: environment.yml requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "Python 3.11, 3.12 or 3.13 is needed, and $(PYTHON) is " + sys.version.split()[0] + ": try make PYTHON=python3.13")'
	@echo "Setting up .venv (once, two minutes or so)"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check $(PIP_SECTION)
	@touch $@
