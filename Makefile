# What a person does here. `make help` lists it.

PYTHON := .venv/bin/python
STAMP  := .venv/installed-locks
PYTEST := $(PYTHON) -m pytest
# Two at a time; the tests of one file share what they start. In the order of their folders, in
# which the long ones (cloudflare, drills) come early: xdist would begin with the files of most tests.
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder
# Staging as it would run, which has a command of its own.
PARITY := tests/parity

# Of the simulated fleet: MACHINES (default 50), DAYS (90), SEED (7), FAULTS and API_FAULTS (none,
# all, or names); DATA=completejourney takes a year of real retail transactions instead.
# PUBLISH=local publishes the marts to a Cloudflare on this machine.
OPTIONS := $(if $(DATA),--data $(DATA)) $(if $(MACHINES),--machines $(MACHINES)) \
	$(if $(DAYS),--days $(DAYS)) $(if $(SEED),--seed $(SEED)) \
	$(if $(FAULTS),--faults $(FAULTS)) $(if $(API_FAULTS),--api-faults $(API_FAULTS)) \
	$(if $(PUBLISH),--publish $(PUBLISH))

.DEFAULT_GOAL := help
.PHONY: help env run up down pictures rebuild manifest contract contracts lineage detokenise test test-full parity lint bench bench-short clean clean-all
.PHONY: mwaa-bundle mwaa-check mwaa-deploy

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1@/p' $(MAKEFILE_LIST) | awk -F@ '{printf "  %-12s %s\n", $$1, $$2}'
	@echo "  Variables of run and up: DATA, MACHINES, DAYS, SEED, FAULTS, API_FAULTS, PUBLISH."

env: $(STAMP) ## Make or update the environment, .venv; every target does when needed

run: $(STAMP) ## From files to tested marts, once, with a summary (data/run-summary.json)
	@$(PYTHON) -m deploy.local run $(OPTIONS)

up: $(STAMP) ## Start Airflow and leave it running; prints its address and login
	@$(PYTHON) -m deploy.local up $(OPTIONS)

down: $(STAMP) ## Stop what `make up` started
	@$(PYTHON) -m deploy.local down

pictures: $(STAMP) ## Take README's pictures again, of what `make up` and `make run` show
	@$(PYTHON) -m deploy.local pictures

rebuild: $(STAMP) ## Make the DuckDB warehouse again from raw, marts included
	@$(PYTHON) -m include.rebuild

manifest: $(STAMP) ## Build the dbt manifest, if a source of the project has changed
	@$(PYTHON) -m include.transform.manifest

contract: $(STAMP) ## Draft a source contract from a sample: FILE=… (SOURCE=…, DATASET=…)
	@$(PYTHON) -m include.contracts.draft "$(FILE)" $(if $(SOURCE),--source $(SOURCE)) \
		$(if $(DATASET),--dataset $(DATASET))

contracts: $(STAMP) ## Generate what follows from the dataset contracts
	@$(PYTHON) -m include.contracts.dbt_sources
	@$(PYTHON) -m deploy.snowflake.classification

lineage: $(STAMP) ## Generate the column lineage of the dbt models, after changing one
	@$(PYTHON) -m deploy.lineage.columns

detokenise: $(STAMP) ## Print what stands behind a token: TOKEN=… REASON=…
	@$(PYTHON) -m include.privacy.detokenise "$(TOKEN)" --reason "$(REASON)"

test: $(STAMP) ## Run every test that takes less than minutes
	@$(PYTEST) -m "not slow" $(PARALLEL) --ignore=$(PARITY)

test-full: $(STAMP) ## Run every test
	@$(PYTEST) $(PARALLEL)

parity: $(STAMP) ## Run staging against emulated S3 and Snowflake; hold its marts equal to DuckDB's
	@$(PYTEST) -m "not slow" $(PARITY) $(PARALLEL)

lint: $(STAMP) ## Lint Python, SQL and shell
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/sqlfluff lint --config dbt/.sqlfluff --disable-progress-bar dbt/models
	@.venv/bin/zizmor --offline --quiet .github
	@git grep -lIzE '^#!.*[ /](ba)?sh$$' | PATH="$$PWD/.venv/bin:$$PATH" xargs -0 .venv/bin/shellcheck

mwaa-bundle: $(STAMP) ## Build dist/mwaa, everything that Amazon MWAA is given
	@$(PYTHON) -m deploy.mwaa bundle

mwaa-check: $(STAMP) ## Install, import and run that bundle as MWAA would
	@$(PYTHON) -m deploy.mwaa check
	@$(PYTEST) tests/mwaa/test_two_workers.py

mwaa-deploy: mwaa-bundle ## Deploy: ENV=staging or prod; NAME=, DRY_RUN=1, ROLLBACK=1 if wanted
	@$(PYTHON) -m deploy.mwaa deploy $(ENV) $(if $(NAME),--name $(NAME)) \
		$(if $(DRY_RUN),--dry-run) $(if $(ROLLBACK),--rollback)

bench: $(STAMP) ## Measure against the speeds that must be reached
	@$(PYTHON) -m benchmarks

bench-short: $(STAMP) ## Hold the steadiest ratios to those kept, as CI does (3 minutes)
	@$(PYTHON) -m benchmarks --short

clean: ## Stop Airflow and remove data, Airflow's home and what tools left
	@if [ -f $(STAMP) ]; then $(PYTHON) -m deploy.local down; fi
	rm -rf data .airflow dbt/manifests dbt/target dbt/logs dist logs
	rm -rf .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv*/*' -prune -exec rm -rf {} +

clean-all: clean ## The same, and the environment
	rm -rf .venv .venv-mwaa .venv-parity* .venv-terraform .venv-containers

$(STAMP): locks/uv.txt locks/dev.txt $(PYTHON)
	@python=$$(deploy/local/find-python) && "$$python" deploy/local/bootstrap.py

# No recipe: where it is missing, make takes it for new, and so makes the environment.
$(PYTHON): ;
