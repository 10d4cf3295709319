# Needs make, Python 3.11 – 3.14 with venv, and nothing else; `make` alone lists the targets.
.DEFAULT_GOAL := help
.PHONY: help demo serve test test-all validate check format docs lock clean

PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11 python3.14; do \
	"$$name" -c 'import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null \
	&& echo "$$name" && break; done)
# What the geometry kernel's wheel expects of the machine (a desktop has them, a bare server may not).
LIBRARIES = libgl1 libx11-6 libexpat1
BIN = .venv/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check --no-input -qq
LOCK = uv pip compile pyproject.toml --extra test --python-version 3.11 \
	--generate-hashes --no-annotate --no-header --no-emit-index-url -q
ARGS ?=
DATA ?=

help:  ## this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1	\2/p' Makefile | expand -t 18

demo: .venv/installed  ## sample parts, the service, and what a user would do with them [DATA=folder: your own files]
	@$(BIN)/python scripts/demo.py "$(DATA)"

serve: .venv/installed  ## the service on 127.0.0.1:8000 with the demo library, until Ctrl-C [DATA=folder]
	@$(BIN)/python scripts/demo.py --serve "$(DATA)"

test: .venv/installed  ## every test but those marked slow, a file at a time in each of two processes [ARGS=…]
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile $(ARGS)

test-all: .venv/installed  ## every test, and then the slow ones, one by one
	$(MAKE) test
	$(BIN)/python -m pytest -m slow

validate: .venv/installed  ## the contract's fixed tests with metrics on and off, dashboards, rules, the smoke: one table
	@$(BIN)/python scripts/validate.py

check: .venv/installed  ## format, lint, types, import contracts
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: .venv/installed  ## rewrites the code in the house format
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

docs: .venv/installed  ## writes docs/reference from the tables in the code, and the picture of the README
	$(BIN)/python scripts/reference.py
	$(BIN)/python scripts/sheet.py

lock:  ## resolves pyproject.toml into requirements.lock (names, versions, hashes)
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip --disable-pip-version-check -qq install uv
	build/lock/bin/$(LOCK) -o requirements.lock

clean:  ## removes the environment, caches and demo data
	rm -rf .venv build demo-data .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "cadml needs Python 3.11 – 3.14 with venv (on Debian: apt install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/locked: requirements.lock | .venv/bin/python
	@echo "installing the locked dependencies into .venv (a minute or two, once)"
	@$(PIP) install --no-compile --require-hashes -r requirements.lock
	@touch .venv/locked

.venv/installed: .venv/locked pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation -e .
	@$(BIN)/python -c 'import OCP.OCP' 2>/dev/null || { \
		echo "the geometry kernel needs system libraries: $(LIBRARIES)"; \
		test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
		apt-get -qq update && apt-get -qq install -y --no-install-recommends $(LIBRARIES) >/dev/null; }
	@$(BIN)/python -c 'import OCP.OCP' || { echo "install them, on Debian: apt install $(LIBRARIES)" >&2; exit 1; }
	@touch .venv/installed
