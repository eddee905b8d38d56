# Needs python3 (3.11 or newer) with pip, and make. Everything else is fetched into .venv and .tools.
PYTHON ?= python3
JOBS ?= 2
ARGS ?=
BIN := .venv/bin
OPENAPI := $(BIN)/python -m mainspring.doors.rest.openapi
OPENRPC := $(BIN)/python -m mainspring.doors.jsonrpc.openrpc

# What a shell has set for another project must not leak into this one.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

.DEFAULT_GOAL := help
.PHONY: help setup run test test-browser test-clients check lint imports types fix lock spec spec-check bench soak failover screenshots wheel clean

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## Create or update the environment in .venv; every other target does so by itself
	@command -v $(PYTHON) >/dev/null || { echo "Mainspring needs Python 3.11 or newer, and there is no '$(PYTHON)' here."; exit 1; }
	@$(PYTHON) tools/bootstrap.py

run: setup ## Start the server in the foreground, ready to use (ARGS="--temp" keeps nothing)
	@exec $(BIN)/mainspring dev $(ARGS)

test: setup ## Run the test suite on JOBS=2 processes (ARGS="-k words tests/core" for a part of it)
	@$(BIN)/python -m pytest -n $(JOBS) --no-loadscope-reorder $(ARGS)

test-browser: setup ## Test the console in a real Chromium (Debian: chromium)
	@$(BIN)/python -m pytest -m browser tests/browser $(ARGS)

test-clients: setup clients/typescript/node_modules/.package-lock.json ## Test the TypeScript client; needs Node.js 20 with npm
	@cd clients/typescript && npm test

clients/typescript/node_modules/.package-lock.json: clients/typescript/package.json clients/typescript/package-lock.json
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' && command -v npm >/dev/null || \
	  { echo "The TypeScript client needs Node.js 20 or newer with npm; it is not here."; exit 1; }
	@cd clients/typescript && npm ci --ignore-scripts --no-progress

check: lint imports types spec-check ## Run every check that is not a test

lint: setup ## Check style and formatting with ruff
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

imports: setup ## Check who may import whom with import-linter
	@$(BIN)/lint-imports --no-logo

types: setup ## Check types with mypy --strict
	@$(BIN)/mypy

fix: setup ## Let ruff repair and format what it can
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

lock: ## Write constraints.txt anew from pyproject.toml (ARGS="--upgrade" takes newer versions)
	@PYTHON=$(PYTHON) tools/lock.sh $(ARGS)

spec: setup ## Write spec/openapi.json and spec/openrpc.json from the tables of operations and methods
	@mkdir -p spec
	@$(OPENAPI) > .tools/openapi.json && mv .tools/openapi.json spec/openapi.json
	@$(OPENRPC) > .tools/openrpc.json && mv .tools/openrpc.json spec/openrpc.json

spec-check: setup ## Check that spec/ is what `make spec` would write
	@$(OPENAPI) > .tools/openapi.json
	@$(OPENRPC) > .tools/openrpc.json
	@diff -u spec/openapi.json .tools/openapi.json || { echo "spec/openapi.json is stale: run 'make spec'"; exit 1; }
	@diff -u spec/openrpc.json .tools/openrpc.json || { echo "spec/openrpc.json is stale: run 'make spec'"; exit 1; }

bench: setup ## Measure (ARGS names benchmarks; without it all of them)
	@$(BIN)/python -m bench $(ARGS)

soak: setup ## Run the long tests, minutes each
	@$(BIN)/python -m pytest -m soak $(ARGS)

failover: setup ## Kill the leaders of a replicated database under load and look for losses (ARGS="--kills 1")
	@$(BIN)/python -m tools.failover $(ARGS)

screenshots: setup ## Photograph every screen of the console into build/screenshots (Debian: chromium fonts-noto-cjk)
	@$(BIN)/python -m tools.screenshots $(ARGS)

wheel: setup ## Build the wheel into dist/
	@$(BIN)/hatchling build -t wheel

clean: ## Remove everything that make has made; the data in mainspring-data stays
	@rm -rf .venv .tools dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .schemathesis
	@rm -rf clients/typescript/node_modules clients/typescript/dist clients/typescript/.try
	@find src tests tools bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
