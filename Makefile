# Two commands set everything up on a fresh machine: `make demo` and `make test`.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help setup demo test unit check lint types audit bench load soak fault-table verdict-table mutants docs pictures terminal-pictures coverage other-processor lock unbound spelling clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/' | expand -t 26

setup: $(STAMP) ## make .venv and install DataWorks with everything for development

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "$$($(PYTHON) --version) is too old: DataWorks needs 3.11 or newer. Try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) \
	  || { rm -rf $(VENV); echo "python -m venv failed. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "installing into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(STAMP) ## generate, migrate and verify 200,000 documents on embedded services
	@$(BIN)/dataworks demo

test: check ## lint, types and every test; with Python 3.12 or newer, also coverage

# Most of a test's time is waiting for servers: two tests at once hardly slow each other.
PROCESSES ?= $(shell echo $$(( $$(nproc 2>/dev/null || echo 2) + 1 )))
TESTS := -m pytest --numprocesses $(PROCESSES) --maxprocesses 4 --dist loadfile --no-loadscope-reorder
PYTEST := $(BIN)/python $(TESTS)
# From 3.12 on Python reports each line once. Before, counting makes the suite half as long again.
COUNTS_LINES = $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 12))'

check: lint spelling types audit $(STAMP) ## ruff, codespell, mypy --strict, dependencies and every test
	@if $(COUNTS_LINES); then $(MAKE) --no-print-directory coverage; else $(PYTEST); fi

unit: $(STAMP) ## the quick tests: unit and contract
	@$(PYTEST) tests/unit tests/contract

lint: $(STAMP) ## ruff: lint and format
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

spelling: $(STAMP) ## codespell over code, tests and pages
	@$(BIN)/codespell $$(git ls-files 2>/dev/null || echo .)

types: $(STAMP) ## mypy --strict on both packages
	@$(BIN)/mypy

audit: $(STAMP) ## check that dependencies fit together, and whether advisories are known
	@$(BIN)/python -m tests.support.dependency_audit

bench: $(STAMP) ## measure generation and migration as ratios of this machine's own limit
	@$(BIN)/python -m benchmarks

load: $(STAMP) ## DOCUMENTS=10000000 by the CLI: memory over time, exact count; RANGES=1000000 acknowledged
	@$(BIN)/python -m benchmarks.load --documents $(or $(DOCUMENTS),10000000)
	@$(BIN)/python -m benchmarks.acknowledgements --ranges $(or $(RANGES),1000000)

other-processor: $(STAMP) ## compare generated documents with those of an emulated ARM processor
	@$(BIN)/python -m tests.support.other_processor

# Percent of the lines of both packages. It is here and not in pyproject.toml, because only every
# test together reaches it.
LEAST_COVERAGE := 92

coverage: $(STAMP) ## run every test and count the lines that run, in workers and commands too
	@rm -rf build/coverage && mkdir -p build/coverage
	@if $(COUNTS_LINES); then export COVERAGE_CORE=sysmon; fi; $(BIN)/python -m coverage run $(TESTS)
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage report --fail-under $(LEAST_COVERAGE)

soak: $(STAMP) ## runs under random faults for MINUTES=10; SEED=n repeats a schedule
	@$(BIN)/python -m tests.faults.soak --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED))
	@$(BIN)/python -m pytest -m soak tests/faults tests/integration/sync

verdict-table: $(STAMP) ## run the tests of situations, and put what they show into docs/reliability.md
	@$(BIN)/python -m tests.support.verdict_table --numprocesses 2

mutants: $(STAMP) ## change the code in small ways, and put into docs/reliability.md what tests notice
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[mutants]'
	@$(BIN)/python -m tests.support.mutants $(if $(AREA),'$(AREA)') \
	  $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED))

fault-table: $(STAMP) ## put the last soak test's figures into docs/reliability.md
	@$(BIN)/python -m tests.support.fault_record

docs: $(STAMP) ## build the pages into build/docs; a broken link is an error
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	@$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs
	@echo "open build/docs/index.html"

lock: $(STAMP) ## pin what .venv has: constraints.txt, and requirements.lock with hashes
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev --no-header \
	  --no-annotate --no-emit-index-url --output-file constraints.txt pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-annotate --no-emit-index-url -c constraints.txt --output-file requirements.lock pyproject.toml

unbound: ## tests with other dependencies than the pinned ones: RESOLUTION=lowest-direct or highest
	@$(PYTHON) -m venv --clear .venv-unbound
	@.venv-unbound/bin/python -m pip install --quiet --disable-pip-version-check uv
	@VIRTUAL_ENV=$$PWD/.venv-unbound .venv-unbound/bin/uv pip install --quiet \
	  --resolution $(or $(RESOLUTION),lowest-direct) -e '.[dev]'
	@.venv-unbound/bin/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile \
	  tests/unit tests/contract tests/integration/test_generation_runs.py \
	  tests/integration/test_migration_runs.py

pictures: $(STAMP) ## take the pictures of the pages again, from a real run
	@$(BIN)/python -m tests.support.pictures

terminal-pictures: $(STAMP) ## draw the pictures of the terminal again, from a real run
	@$(BIN)/python -m tests.support.terminal_pictures

clean: ## remove the virtual environment, caches and local state
	rm -rf $(VENV) .venv-unbound build .dataworks .mypy_cache .ruff_cache .pytest_cache .hypothesis
