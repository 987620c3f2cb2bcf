# Everything runs from .venv, made from requirements.lock; nothing is installed elsewhere. The verifiers
# of others' making (verifiers/) are built into build/ and verifiers/js/node_modules/.
# Needs Python 3.11 or newer with venv, and make. Another Python: make PYTHON=python3.13 check

PYTHON ?= python3
CASE   := examples/case-2024
BIN    := .venv/bin
READY  := .venv/.ready
JOBS   := 2
# Installed first and without a hash, so that each machine takes the build that fits it.
TORCH  := 2.13.0

# Debian's golang-go, golang-golang-x-mod-dev, golang-filippo-edwards25519-dev; no module is fetched.
GO     := GO111MODULE=off GOPATH=/usr/share/gocode go
PARTS  := verifiers/js/node_modules/.ready

# 100 % branch coverage is asked of layers 0-3, by their own fast tests: measuring it makes a test
# three times as slow, so the others run without.
FENCED := tests/policy tests/record tests/test_approval.py tests/test_contracts.py \
	tests/test_domain.py tests/test_ledger.py tests/test_notices.py
FENCE  := src/letterlock/errors.py,src/letterlock/domain.py,src/letterlock/policy/*,src/letterlock/approval.py,src/letterlock/ledger*,src/letterlock/record/*

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo check test lint fence verifiers bench lock clean

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name what; \
	do printf '  make %-9s  %s\n' "$$name" "$$what"; done

demo: $(READY) ## Replay the case of 2024 into demo/
	@rm -rf demo
	@$(BIN)/letterlock replay $(CASE) --out demo

check: lint ## Lint, types, layers and the fast tests; before every commit
	@echo "tests (fast)"
	@$(BIN)/pytest -q -n $(JOBS) -m "not slow"

test: lint ## The same with the slow tests and the coverage fence; what CI runs
	@echo "tests (fast, of layers 0-3, with their coverage)"
	@$(BIN)/pytest -q -n $(JOBS) -m "not slow" --cov --cov-report= $(FENCED)
	@$(MAKE) fence
	@echo "tests (fast, all others)"
	@$(BIN)/pytest -q -n $(JOBS) -m "not slow" $(addprefix --ignore=,$(FENCED))
	@echo "tests (slow)"
	@$(BIN)/pytest -q -n $(JOBS) -m slow

lint: $(READY) ## Lint, format, types, layers
	@echo "lint, format, types, layers"
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { \
		$(BIN)/ruff format --check; echo "mend it with: $(BIN)/ruff format"; exit 1; }
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports > .venv/layers.txt 2>&1 || { cat .venv/layers.txt; exit 1; }

fence: $(READY) ## Fail unless their fast tests, run by make test, covered every branch of layers 0-3
	@echo "coverage of layers 0-3"
	@$(BIN)/coverage report --include='$(FENCE)' --fail-under=100

verifiers: build/letterlock-verify $(PARTS) ## Build the verifiers in Go and JavaScript (verifiers/README.md)

bench: $(READY) verifiers ## Measure on real mail (docs/benchmarks.md)
	@bash bench/enron.sh

lock: ## Pin every dependency anew into requirements.lock
	@rm -rf build/lock && $(PYTHON) -m venv build/lock
	@build/lock/bin/pip install --quiet --disable-pip-version-check pip-tools
	@CUSTOM_COMPILE_COMMAND="make lock" build/lock/bin/pip-compile --quiet --upgrade \
		--generate-hashes --all-extras --strip-extras --no-emit-index-url --no-emit-find-links \
		--output-file requirements.lock pyproject.toml

clean: ## Remove what make made
	@rm -rf .venv demo build dist .coverage .coverage.* .hypothesis .import_linter_cache \
		.mypy_cache .pytest_cache .ruff_cache verifiers/js/node_modules
	@find src tests bench examples -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Letterlock needs Python 3.11 or newer; choose one: make PYTHON=python3.13 …"; exit 1; }
	@echo "setting up .venv (once, a minute or two)"
	@rm -rf .venv && $(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check torch==$(TORCH)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

build/letterlock-verify: $(wildcard verifiers/go/*.go)
	@command -v go > /dev/null || { echo "Go is missing; verifiers/README.md says what to install"; exit 1; }
	@mkdir -p build
	@cd verifiers/go && $(GO) build -trimpath -o ../../$@ .

$(PARTS): verifiers/js/package.json verifiers/js/package-lock.json
	@command -v npm > /dev/null || { echo "npm is missing; verifiers/README.md says what to install"; exit 1; }
	@cd verifiers/js && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
