# Works with GNU make 3.81, which macOS has.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo dev check test test-unit test-whole test-argilla test-model test-deploy spark-archive compiled-tests \
	lint bench audit lock clean \
	set-up-runtime set-up-dev set-up-argilla set-up-opensearch set-up-model set-up-audit set-up-deploy set-up-linters

BIN := .venv/bin
# Compiled modules are kept, but inside .venv: starting Dagster without them takes 3 seconds more.
export PYTHONPYCACHEPREFIX := $(CURDIR)/.venv/bytecode
unexport PYTHONDONTWRITEBYTECODE
# Another environment's packages must not come before the locked ones.
unexport PYTHONPATH PYTHONHOME

help:
	@echo 'make demo   set up, and run the whole job on a sample batch'
	@echo 'make dev    set up, and open the Dagster web interface'
	@echo 'make check  set up, check style, formatting and types, and run the unit tests'
	@echo 'make test   set up, and run all tests'
	@echo 'make test-argilla   set up, let Argilla judge what is published, and look at it in its web page'
	@echo 'make test-model     set up, and run the pipeline against a real model server with a real, small model'
	@echo 'make test-deploy    set up, and run the processes of a deployment on PostgreSQL and Spark, with kill -9'
	@echo 'make lint   check style, formatting and types'
	@echo 'make bench  run the benchmarks'
	@echo 'make audit  hold licences and known vulnerabilities of the locked packages against the rules'
	@echo 'make lock   lock the dependencies of pyproject.toml'
	@echo 'make clean  remove the environment and what tools left'

demo: set-up-runtime
	$(BIN)/preannotate demo

dev: set-up-runtime
	$(BIN)/preannotate dev

check: lint test-unit

test: test-unit test-whole

test-unit: set-up-dev
	$(BIN)/pytest -q -m unit --numprocesses auto

# One test after the other to whichever process is free; groups are those of shared/together.py. Three for two cores,
# because half of the time is waiting.
test-whole: set-up-dev spark-archive
	$(BIN)/pytest -q -m "not unit" --numprocesses 3 --dist loadgroup

# Some forty JVMs are started by the tests: each takes half as long with it.
spark-archive: set-up-dev
	@$(BIN)/python preannotation_assets_tests/shared/spark_archive.py || \
		echo 'no archive of the classes of Spark: the tests take longer'

# What each process of the tests would compile by itself, of the tests and of what they import.
compiled-tests: set-up-dev
	@$(BIN)/pytest -q --collect-only >/dev/null || echo 'tests cannot be collected'

test-argilla: set-up-dev set-up-argilla
	@requirements/opensearch/set-up.sh || echo 'the tests of the web page will be skipped'
	$(BIN)/pytest -q preannotation_assets_tests/argilla

test-model: set-up-dev set-up-model
	$(BIN)/pytest -q preannotation_assets_tests/real_model

test-deploy: set-up-dev set-up-deploy set-up-linters
	$(BIN)/pytest -q preannotation_assets_tests/deployment

lint: set-up-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: set-up-dev
	$(BIN)/python -m benchmarks

audit: set-up-dev set-up-audit
	$(BIN)/python requirements/audit.py

lock: set-up-dev
	PATH="$(CURDIR)/$(BIN):$$PATH" requirements/compile.sh

clean:
	rm -rf .venv .venv-argilla .venv-model .venv-audit .venv-deploy .venv-linters .opensearch .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

set-up-runtime:
	@requirements/set-up.sh runtime

set-up-dev:
	@requirements/set-up.sh dev

set-up-argilla:
	@requirements/set-up.sh argilla

set-up-opensearch:
	@requirements/opensearch/set-up.sh

set-up-model:
	@requirements/set-up.sh model

set-up-audit:
	@requirements/set-up.sh audit

set-up-deploy:
	@requirements/set-up.sh deploy

set-up-linters:
	@requirements/set-up.sh linters
