# Each goal does its own set-up: a machine with Python 3.11 to 3.13 is enough.
#   make demo                      train the demo into runs/demo
#   make test                      run the unit tests
#   make test-all                  run the programs and all campaigns too; all but campaigns on other Pythons
#   make explore                   open a page on which runs/demo is tried out; ARGS=--workdir=... for another run
#   make exits                     install what exports to ONNX and LiteRT and mlflow need into .venv-exits
#   make notebook                  run docs/notebook.md, which writes runs/notebook.ipynb with its pictures
#   make docs                      build docs/ into the site .site/index.html
#   make test PYTHON=python3.12    choose the Python that .venv is made with

PYTHON ?= python3
REQUIREMENTS ?= requirements.txt
ARGS ?=
PIP_ARGS ?=
PYTEST_ARGS ?=

VENV ?= .venv
VENV_PYTHON := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
COMMAND := $(VENV)/bin/ltgans
ON_PATH := command -v ltgans > /dev/null || echo 'For these commands, first: source $(VENV)/bin/activate'
DOCS_INSTALLED := .venv-docs/.installed

.PHONY: demo smoke test test-all explore exits notebook docs clean

demo: $(COMMAND)
	$(COMMAND) train --preset=demo --workdir=runs/demo $(ARGS)
	@$(ON_PATH)

smoke: $(COMMAND)
	$(COMMAND) train --preset=smoke --push_policy=always --workdir=runs/smoke $(ARGS)
	@$(ON_PATH)

test: $(COMMAND)
	$(VENV_PYTHON) -m pytest -n 2 --dist=worksteal $(PYTEST_ARGS)

test-all: $(COMMAND)
	$(VENV_PYTHON) -m tests.campaigns --run
	$(VENV_PYTHON) -m tests.interpreters --run

explore:
	$(MAKE) VENV=.venv-explore REQUIREMENTS=requirements-explore.txt .venv-explore/bin/ltgans
	.venv-explore/bin/ltgans explore --workdir=runs/demo $(ARGS)

exits:
	$(MAKE) VENV=.venv-exits REQUIREMENTS=requirements-exits.txt .venv-exits/bin/ltgans
	@echo 'To export: .venv-exits/bin/ltgans export --workdir=runs/demo --format=onnx --out=runs/demo-onnx'

# Without compiling all files of all packages first, the picture is there sooner.
notebook:
	$(MAKE) VENV=.venv-notebook REQUIREMENTS=requirements-notebook.txt PIP_ARGS=--no-compile .venv-notebook/bin/ltgans
	.venv-notebook/bin/python -m docs.run_notebook runs/notebook.ipynb

docs: $(DOCS_INSTALLED)
	.venv-docs/bin/mkdocs build --strict
	@echo 'Open .site/index.html or, to search too, http://localhost:8000 after: $(PYTHON) -m http.server --directory .site'

$(DOCS_INSTALLED): requirements-docs.txt
	$(PYTHON) -m venv --clear .venv-docs
	.venv-docs/bin/python -m pip install -r requirements-docs.txt
	touch $@

# The stamp is written last, so an installation that broke off starts again.
$(INSTALLED): $(REQUIREMENTS)
	@$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit("Python 3.11 to 3.13 is needed and $(PYTHON) is " + sys.version.split()[0] + ": name another one with PYTHON=python3.11")'
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV_PYTHON) -m pip install $(PIP_ARGS) -r $(REQUIREMENTS)
	touch $@

# The command runs the files of this checkout. setuptools, which makes it, is among the requirements.
$(COMMAND): $(INSTALLED) pyproject.toml
	$(VENV_PYTHON) -m pip install --no-deps --no-build-isolation --editable .
	touch $@

clean:
	rm -rf .venv .venv-* .site .build dist *.egg-info .pytest_cache
