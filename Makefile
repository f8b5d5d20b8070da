# Everything here sets itself up first, in .venv, from requirements/*.lock; `make run` is all that a newcomer needs.

PYTHON ?= python3
VENV := .venv/bin
SET_UP := $(PYTHON) requirements/install.py
LOCK := $(VENV)/uv pip compile --quiet --system-certs --universal --python-version 3.11 --only-binary :all: \
	--generate-hashes --no-annotate --custom-compile-command "make lock" --no-emit-package torch --no-emit-package pip

.DEFAULT_GOAL := help
.PHONY: help run test lint fix lock example clean

help: ## say what can be made
	@sed -n 's/^\([a-z%-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

run: ## set up what is missing, and start Mynah; commands may be piped in
	@$(SET_UP) run && exec $(VENV)/python -m bot.cli run

test: ## run every test
	@$(SET_UP) dev && exec $(VENV)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

lint: ## check style, formatting, types and who imports whom
	@$(SET_UP) dev && $(VENV)/ruff check && $(VENV)/ruff format --check && $(VENV)/mypy && $(VENV)/lint-imports

fix: ## put style and formatting right where a tool can
	@$(SET_UP) dev && $(VENV)/ruff check --fix && $(VENV)/ruff format

lock: ## take the newest releases that pyproject.toml allows into requirements/*.lock
	@$(SET_UP) dev
	@$(LOCK) --upgrade pyproject.toml --group base --group build --output-file requirements/run.lock
	@$(LOCK) --upgrade --group pyproject.toml:dev --constraint requirements/run.lock --output-file requirements/dev.lock

example: ## train the example persona that ships with the package anew
	@$(SET_UP) dev && exec $(VENV)/python -m bot.example

bench-%: ## measure one claim, such as bench-speed; `ls bench` names them
	@$(SET_UP) dev && exec $(VENV)/python -m bench.$(subst -,_,$*)

clean: ## remove what set-up and the tools made; data/ stays
	@rm -rf .venv .venv.lock .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build *.egg-info
