# Everything a newcomer does has a target here; `make` alone explains them.
#
# Two environments: .venv (Airflow, the command line, the gates) and .venv-spark (what runs inside Spark). A test runs in
# the Airflow environment unless its directory is listed in SPARK_TESTS.

SHELL := /bin/bash
GOLDMILL_HOME ?= $(CURDIR)/.goldmill
export GOLDMILL_HOME

SPARK_TESTS := $(wildcard $(addprefix tests/,spark unit/text unit/landing unit/lake unit/stages unit/exports unit/runtime))
AIRFLOW := .venv/bin/python
SPARK := .venv-spark/bin/python
# Spark and its tests find the Java that setup chose, and the interpreter of their own environment.
SPARK_ENVIRONMENT = JAVA_HOME="$$($(SPARK) -m goldmill.runtime.java)" PYSPARK_PYTHON="$(CURDIR)/$(SPARK)"

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo test test-oldest lint format docs lock bench conformance clean

help: ## Show this
	@echo "Goldmill mills raw data into versioned gold training data. Start with: make demo"
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)$$/\1|\2/p' Makefile | while IFS='|' read -r target text; do \
		printf '  make %-11s %s\n' "$$target" "$$text"; done
	@echo
	@echo "  make demo INPUT=path   builds your own data: a directory, a file or a URI"
	@echo "  make demo EXIT=1       ends after the build; succeeds only if a version is published"
	@echo "  make test ONLY=path    runs the tests under one path"

setup: ## Build the environments from the locks, find Java, fetch the jars (make demo does it too)
	@scripts/bootstrap

setup-dev: ## The same, with what tests and linters need
	@scripts/bootstrap --dev

demo: setup ## Start Airflow, land real input, build a corpus version, show it; Ctrl-C stops everything
	@export $(SPARK_ENVIRONMENT) && exec $(AIRFLOW) -m goldmill.demo.run $(if $(INPUT),--input "$(INPUT)") $(if $(EXIT),--exit)

# Airflow reads its home when it is imported: tests must not touch the one of the demo, nor ~/airflow.
test: setup-dev ## Run all tests
	@export AIRFLOW_HOME="$(GOLDMILL_HOME)/test/airflow" AIRFLOW__CORE__LOAD_EXAMPLES=False \
		AIRFLOW__CORE__UNIT_TEST_MODE=False AIRFLOW__CORE__DAGS_FOLDER="$(CURDIR)/dags" && \
	export $(SPARK_ENVIRONMENT) && failed=0 && \
	airflow_tests() { $(AIRFLOW) -m pytest $(if $(ONLY),$(ONLY),tests) $(addprefix --ignore=,$(if $(ONLY),,$(SPARK_TESTS))) || failed=1; } && \
	spark_tests() { $(SPARK) -m pytest $(if $(ONLY),$(ONLY),$(SPARK_TESTS)) || failed=1; } && \
	$(if $(ONLY),$(if $(filter $(addsuffix %,$(SPARK_TESTS)),$(ONLY)),spark_tests,airflow_tests),airflow_tests && spark_tests) ; \
	exit $$failed

test-oldest: setup-dev ## Parse and check the DAGs with the oldest Airflow that is supported
	@scripts/bootstrap --oldest
	@export AIRFLOW_HOME="$(GOLDMILL_HOME)/test/airflow-oldest" AIRFLOW__CORE__LOAD_EXAMPLES=False && \
		.venv-oldest/bin/python -m pytest tests/integrity/test_dags.py

lint: setup-dev ## Check style, imports, formatting and types
	@$(AIRFLOW) -m ruff check . && $(AIRFLOW) -m ruff format --check .
	@$(AIRFLOW) -m mypy include dags $(patsubst %/,%,$(dir $(wildcard plugins/goldmill_plugin.py spark_jobs/refine_documents.py)))

format: setup-dev ## Put imports and layout in order
	@$(AIRFLOW) -m ruff check --fix --quiet . ; $(AIRFLOW) -m ruff format --quiet .

docs: setup-dev ## Write the pages of docs/ that are made from the code
	@AIRFLOW_HOME="$(GOLDMILL_HOME)/test/airflow" $(AIRFLOW) -m goldmill.docs

lock: ## Resolve pyproject.toml into the locks; UPGRADE=1 takes newer versions, UPGRADE=name those of one package
	@UPGRADE="$(UPGRADE)" scripts/lock

bench: ## Hold the contests against other toolkits; BENCH="--help" says how, BENCH=list names the other benchmarks
	@if [ "$(BENCH)" = list ]; then \
		for file in bench/*.py; do printf '  %-34s %s\n' "$$file" "$$(sed -n '1s/^"""//p' "$$file")"; done; \
	else scripts/bootstrap --peers && exec $(AIRFLOW) bench/contest.py $(BENCH); fi

conformance: ## Compare the prose rules with the toolkits' own packages, rule by rule; writes docs/conformance.md
	@scripts/bootstrap --peers && $(SPARK) bench/conformance.py

clean: ## Remove the environments and everything a demo made (versions included)
	@rm -rf .venv .venv-spark .venv-bootstrap "$(GOLDMILL_HOME)" .pytest_cache .mypy_cache .ruff_cache .hypothesis
