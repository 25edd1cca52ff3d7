# Each goal does its own set-up: a machine with Python 3.11 to 3.13 is enough.
#   make demo                      train the demo into runs/demo
#   make test                      run the unit tests
#   make test-all                  run the programs and all campaigns too
#   make docs                      build docs/ into the site .site/index.html
#   make test PYTHON=python3.12    choose the Python that .venv is made with

PYTHON ?= python3
REQUIREMENTS ?= requirements.txt
ARGS ?=
PYTEST_ARGS ?=

VENV_PYTHON := .venv/bin/python
INSTALLED := .venv/.installed
DOCS_INSTALLED := .venv-docs/.installed

.PHONY: demo smoke test test-all docs clean

demo: $(INSTALLED)
	$(VENV_PYTHON) -m trainers.train --preset=demo --workdir=runs/demo $(ARGS)

smoke: $(INSTALLED)
	$(VENV_PYTHON) -m trainers.train --preset=smoke --push_policy=always --workdir=runs/smoke $(ARGS)

test: $(INSTALLED)
	$(VENV_PYTHON) -m pytest -n 2 --dist=worksteal $(PYTEST_ARGS)

test-all: $(INSTALLED)
	$(VENV_PYTHON) -m tests.campaigns --run

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
	$(PYTHON) -m venv --clear .venv
	$(VENV_PYTHON) -m pip install -r $(REQUIREMENTS)
	touch $@

clean:
	rm -rf .venv .venv-docs .site .build dist *.egg-info .pytest_cache
