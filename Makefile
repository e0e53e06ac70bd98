# Two commands for everybody: `make demo` and `make test`. The rest is for who works on the hub.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help requirements demo test live lint env clean openapi
help:
	@echo "make demo   start the hub here with a simulated cluster (KUBECONFIG=... uses a real one)"
	@echo "make test   the default test suite"
	@echo "make live   the suite on a real control plane, PostgreSQL and Redis (needs Go)"
	@echo "make lint   ruff, mypy, import contracts, dependencies"

env: $(STAMP) $(BIN)/hub
$(STAMP): requirements/dev.txt
	@echo "  installing packages into $(VENV): once, about a minute"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	touch $(STAMP)

# The command line of this checkout: .venv/bin/hub app list
$(BIN)/hub: $(STAMP)
	@printf '#!/bin/sh\nPYTHONPATH="%s" exec "%s/python" -m hub.cli "$$@"\n' "$(CURDIR)" "$(CURDIR)/$(BIN)" > $(BIN)/hub
	@chmod +x $(BIN)/hub

demo: env
	$(BIN)/python manage.py demo

test: env
	$(BIN)/python -m pytest -n auto

live: env
	HUB_LIVE=1 $(BIN)/python -m pytest tests/live -p no:randomly

lint: env
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports && $(BIN)/deptry .

openapi: env
	$(BIN)/python manage.py spectacular --file docs/openapi.yaml

requirements:
	$(PYTHON) -m pip install --quiet uv
	for name in base dev; do $(PYTHON) -m uv pip compile --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --universal --python-version 3.11 --custom-compile-command "make requirements" requirements/$$name.in -o requirements/$$name.txt; done

clean:
	rm -rf $(VENV) var .mypy_cache .ruff_cache .pytest_cache
