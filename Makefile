# make demo: crawl the sample site, build the corpus, train a small model, write a report.
# make test: the test suite. Both set up .venv first if it is missing or older than the pins.
# TORCH_INDEX=<url> takes torch from another package index (for example one with CPU or CUDA builds).
PYTHON ?= python3.11
VENV := .venv
STAMP := $(VENV)/installed
DEMO ?= site.store=.siku

.PHONY: demo test lint setup clean

demo: $(STAMP)
	$(VENV)/bin/siku run $(DEMO)

test: $(STAMP)
	$(VENV)/bin/python -m pytest $(TESTS)

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt requirements.txt
	@command -v $(PYTHON) >/dev/null || { echo "siku needs Python 3.11: install it, or run make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "siku needs Python 3.11, but $(PYTHON) is $$($(PYTHON) -V): run make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv module is missing: install it (on Debian and Ubuntu: apt-get install python3.11-venv)"; exit 1; }
	@command -v c++ >/dev/null || command -v g++ >/dev/null || { echo "a C++ compiler is missing (fasttext is built from source): install one (on Debian and Ubuntu: apt-get install g++)"; exit 1; }
	@$(PYTHON) -c 'import sysconfig, pathlib, sys; sys.exit(not (pathlib.Path(sysconfig.get_path("include")) / "Python.h").exists())' || { echo "Python's headers are missing (fasttext is built from source): install them (on Debian and Ubuntu: apt-get install python3.11-dev)"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/pip install -q --require-hashes --no-deps -r requirements.txt
	$(VENV)/bin/pip install -q $(if $(TORCH_INDEX),--index-url "$(TORCH_INDEX)") -c constraints.txt torch
	$(VENV)/bin/pip install -q --no-deps -e .
	$(VENV)/bin/pip check
	@touch $(STAMP)

clean:
	rm -rf $(VENV) build dist *.egg-info
