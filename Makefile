# Everything runs from one virtual environment, .venv, with all extras and the development tools.
# Works with GNU make 3.81 and later; needs Python 3.11 or later and nothing else.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run-all test check lint format docs bench clean setup

# Set on the command line: make run-all SUITE=paper ARGS="--data DIR"; make test ARGS="-k wheel".
SUITE ?=
ARGS ?=
# Tried in this order; the first that is new enough makes .venv.
PYTHON ?= python3 python3.14 python3.13 python3.12 python3.11

VENV := .venv
# A file's tests share what they train, so a file goes to one process; tests/conftest.py says which begin.
PYTEST = $(VENV)/bin/pytest -n auto --dist loadfile --no-loadscope-reorder
# The stamp is named after all that the set-up was made from: when one of the two files changes, or
# the folder moves, the set-up is done again, and otherwise never. It is written last, so a set-up
# that was interrupted leaves none.
STAMP := $(VENV)/.setup-$(shell { pwd -P; cat pyproject.toml constraints.txt; } | cksum | cut -d ' ' -f 1)

help: ## print this help
	@echo 'make TARGET, where TARGET is'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-8s  %s\n", $$1, $$2 }' Makefile
	@echo 'Examples: make run-all    make run-all SUITE=paper ARGS="--data DIR"    make test ARGS="-k wheel"'

run-all: $(STAMP) ## train, evaluate, check and report one suite (SUITE=quick, ARGS=)
	$(VENV)/bin/milkreport run-all $(SUITE) $(ARGS)

test: $(STAMP) ## run the tests (ARGS go to pytest)
	$(PYTEST) $(ARGS)

check: lint ## check style and types, and run the quick tests: the loop of daily work
	$(PYTEST) -m "not slow" $(ARGS)

lint: $(STAMP) ## check style and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/python scripts/plain_english.py

format: $(STAMP) ## put the code into the house style
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

docs: $(STAMP) ## build the documentation site: site/index.html, which opens from disk
	$(VENV)/bin/mkdocs build --strict

bench: $(STAMP) ## run every benchmark, one after the other
	@set -e; for file in benchmarks/*.py; do \
	    if [ -e "$$file" ]; then echo "== $$file"; $(VENV)/bin/python "$$file"; fi; \
	done

clean: ## delete caches and built packages, never .venv and never a run
	rm -rf build dist site ./*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

setup: $(STAMP) ## make .venv, or bring it up to date (the other targets do this by themselves)
	@echo '$(VENV) is ready'

$(STAMP):
	@rm -f $(VENV)/.setup-*
	@$(ENSURE_VENV)
	@$(VENV)/bin/python -m pip install -q --disable-pip-version-check --no-input \
	    -c constraints.txt -e '.[all,dev,docs]' </dev/null \
	    || { echo 'Set-up stopped; "make setup" takes it up again.' >&2; exit 1; }
	@sh scripts/system_libraries.sh $(VENV)/bin/python
	@touch $@

# Keeps a .venv that works and was made in this very folder, else makes a new one.
define ENSURE_VENV
set -e; \
new_enough='import sys; sys.exit(sys.version_info < (3, 11))'; \
case "$$($(VENV)/bin/pip --version 2>/dev/null)" in \
    *" from $$(pwd -P)/$(VENV)/"*) \
        if $(VENV)/bin/python -c "$$new_enough" 2>/dev/null; then \
            echo 'Bringing $(VENV) up to date with pyproject.toml and constraints.txt ...'; exit 0; \
        fi ;; \
esac; \
python=; without_venv=; \
for candidate in $(PYTHON); do \
    "$$candidate" -c "$$new_enough" >/dev/null 2>&1 || continue; \
    if "$$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then python=$$candidate; break; fi; \
    without_venv=$${without_venv:-$$candidate}; \
done; \
if [ -z "$$python" ] && [ -n "$$without_venv" ]; then \
    version=$$("$$without_venv" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
    echo "Python $$version lacks its venv module; on Debian and Ubuntu type: sudo apt-get install python$$version-venv" >&2; \
    exit 1; \
fi; \
if [ -z "$$python" ]; then \
    echo 'No Python 3.11 or later found; install one, or name it: make setup PYTHON=/path/to/python3' >&2; \
    exit 1; \
fi; \
echo "Setting up $(VENV) with $$("$$python" --version): about 6 GB and some minutes the first time, because PyTorch brings its CUDA libraries on Linux ..."; \
"$$python" -m venv --clear $(VENV)
endef
