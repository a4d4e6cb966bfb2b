# Everything a person or a machine runs here. `make demo` and `make test` need nothing but Python 3.11, Node 20 and this file.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000

.PHONY: help setup demo test e2e faults race crowd check sensor freeze bench browsers

help:
	@echo "make demo    two brands, a blog and the endpoint with a live graph, on this machine (PORT=8000)"
	@echo "make test    every check and test, real browsers included"
	@echo "make check   linters, types, import directions; no tests"
	@echo "make e2e     the browser tests alone"
	@echo "make faults  kill, stop, starve and corrupt for longer than make test does"
	@echo "make race    the race for one token, 100 times over on each database"
	@echo "make crowd   20,000 events from many clients at once, on every store"
	@echo "make sensor  build sensor_js/dist"
	@echo "make freeze VERSION=2    release sensor_js/dist/onefold.js as onefold.v2.js, which never changes again"
	@echo "make bench   measurements, as ratios against baselines of the same run"

$(VENV)/.ready: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

sensor_js/node_modules/.ready: sensor_js/package.json sensor_js/package-lock.json
	cd sensor_js && npm ci --no-audit --no-fund --silent
	touch $@

sensor_js/bench/node_modules/.ready: sensor_js/bench/package.json sensor_js/bench/package-lock.json
	cd sensor_js/bench && npm ci --no-audit --no-fund --silent
	touch $@

setup: $(VENV)/.ready sensor_js/node_modules/.ready

demo: $(VENV)/.ready
	$(BIN)/onefold demo --port $(PORT)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	cd sensor_js && npm run --silent typecheck && npm run --silent check-dist
	sensor_js/node_modules/.bin/tsc -p tsconfig.json

test: check browsers
	cd sensor_js && npm test --silent
	$(BIN)/pytest $(if $(filter off,$(ONEFOLD_E2E)),--ignore=tests/e2e)

crowd: setup
	ONEFOLD_CROWD=20000 $(BIN)/pytest tests/contract/test_many_writers.py

e2e: setup browsers
	$(BIN)/pytest tests/e2e

faults: setup
	ONEFOLD_FAULTS=full $(BIN)/pytest tests/faults

race: setup
	ONEFOLD_RACE_ROUNDS=100 $(BIN)/pytest tests/contract/test_tokens_race.py

browsers:
	@tests/e2e/install-browsers

sensor: setup
	cd sensor_js && npm run --silent build
	$(BIN)/python docs/generate.py

freeze: setup
	cd sensor_js && npm run --silent freeze -- $(VERSION)
	$(MAKE) sensor

bench: setup browsers sensor_js/bench/node_modules/.ready
	PYTHONPATH=tests $(BIN)/python -m bench
