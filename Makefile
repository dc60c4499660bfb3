# Everything a contributor or CI runs; `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CLUSTER ?= local
NODES ?= 1
MINUTES ?= 5
FUZZ_SECONDS ?= 60
SEEDS ?= 20
MACHINES ?= 4
export PYTHONPATH := $(CURDIR)
# Tests start nodes and apps by the hundred: where this is set, each would compile the whole source anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## List the targets
	@if [ -t 1 ]; then bold=$$(printf '\033[1m') plain=$$(printf '\033[0m'); fi; \
	awk -v bold="$$bold" -v plain="$$plain" -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %s%-16s%s %s\n", bold, $$1, plain, $$2}' $(MAKEFILE_LIST)

# Two stamps, so that a newcomer's demo does not wait for linters.
$(VENV)/.runtime: pyproject.toml
	@test -x $(BIN)/python || { echo "setting up $(VENV) (once)"; $(PYTHON) -m venv $(VENV); }
	@$(BIN)/pip install --quiet --disable-pip-version-check -e '.[node,operator,ctl]'
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	@$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

.PHONY: venv
venv: $(VENV)/.dev ## Make the virtual environment with everything for development

.PHONY: demo
demo: $(VENV)/.runtime ## See a chat survive SIGKILL: real nodes on loopback, under a minute (ACT=loss: the node does not come back; DEMO_BREAK=drop-message shows it can fail)
	@$(BIN)/python -m hermes_client.scenario.demo $(if $(ACT),--act $(ACT))

.PHONY: check
check: $(VENV)/.dev ## Format, lint, types, dead names, import contracts, generated files up to date
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/vulture
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m tools.generate --check

.PHONY: format
format: $(VENV)/.dev ## Format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: generate
generate: $(VENV)/.dev ## Make all generated files anew (protobuf, references, dashboards, chart copies, vectors)
	$(BIN)/python -m tools.generate

.PHONY: test
test: $(VENV)/.dev ## Unit, component, conformance and scenario tests; needs only Python and a C compiler
	$(BIN)/pytest -n 2 --dist worksteal $(ARGS)

.PHONY: model
model: $(VENV)/.dev ## The adversarial model test for MINUTES=5
	$(BIN)/python -m tests.model --minutes $(MINUTES)

.PHONY: sim
sim: $(VENV)/.dev ## The whole of Hermes under one clock: worlds of SEEDS=20 seeds; SEED=7 TRACE=1 tells one world line by line; FRONTS=1: with fronts
	$(BIN)/python -m tests.simulation $(if $(FRONTS),--fronts $(FRONTS)) $(if $(SEED),--seed $(SEED) $(if $(TRACE),--trace),--seeds $(SEEDS))

.PHONY: sim-shrink
sim-shrink: $(VENV)/.dev ## The smallest schedule that still breaks what the world of SEED=S breaks, as JSON
	$(BIN)/python -m tests.simulation --shrink $(SEED)

.PHONY: sim-mutants
sim-mutants: $(VENV)/.dev ## Faults put into the product on purpose: the simulation must catch each; NAME=late-offer: only that one
	$(BIN)/python -m tests.simulation.mutants $(if $(NAME),--name $(NAME))

.PHONY: soak
soak: $(VENV)/.dev ## Real nodes and apps under faults for MINUTES=5, drawn from SEED=S: build/soak.md (SOAK_BREAK=drop-message shows it can fail)
	$(BIN)/python -m tests.soak --seconds $$(($(MINUTES) * 60)) $(if $(SEED),--seed $(SEED)) $(ARGS)

.PHONY: transport
transport: $(VENV)/.dev ## The bars of the apps' transport: h2spec, clients in Go and for Node, floods that must not be felt (minutes; a quiet machine; Go, Node)
	HERMES_TRANSPORT_BARS=1 HERMES_FLOODS=judged $(BIN)/pytest tests/component/transport

.PHONY: floods
floods: $(VENV)/.dev ## Floods by strangers on a real node in short: memory, codes, counters, and that honest apps go on
	HERMES_FLOODS=short $(BIN)/pytest tests/component/transport/test_floods.py

.PHONY: liar
liar: $(VENV)/.dev ## A real node lies in every field of every message for SECONDS=60: honest ones must feel nothing (SEED=S, ARGS="--membership gossip")
	$(BIN)/python -m tests.liar --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED)) $(ARGS)

.PHONY: fuzz
fuzz: $(VENV)/.dev ## Coverage-guided fuzzing of every parser, FUZZ_SECONDS=60 for each
	@$(BIN)/pip install --quiet --disable-pip-version-check -e '.[fuzz]'
	$(BIN)/python -m tests.fuzz all --seconds $(FUZZ_SECONDS)

.PHONY: check-alerts
check-alerts: $(VENV)/.dev ## Validate, unit-test and mutate the alert rules (needs promtool and amtool: apt-get install prometheus prometheus-alertmanager)
	$(BIN)/python -m tools.check_alerts

.PHONY: bench
bench: $(VENV)/.dev ## Ratios against peers, side by side in one run: build/bench.json and docs/benchmarks.md
	@$(BIN)/pip install --quiet --disable-pip-version-check -e '.[bench]'
	$(BIN)/python -m benchmarks

.PHONY: image
image: $(VENV)/.dev ## Build the container image hermes:dev
	$(BIN)/python -m tests.e2e.cluster build-image --cluster $(CLUSTER) --tag docker.io/library/hermes:dev

.PHONY: kind-node-image
kind-node-image: $(VENV)/.dev ## Make the image that kind's nodes run, with no registry; does nothing when it is in the cache
	$(BIN)/python -m tests.e2e.cluster kind-node-image

.PHONY: e2e
e2e: $(VENV)/.dev ## The whole path on a real Kubernetes (CLUSTER=local|kind|existing; with kind NODES=3 are several machines)
	$(BIN)/python -m tests.e2e.run --cluster $(CLUSTER) --nodes $(NODES) $(ARGS)

.PHONY: e2e-machines
e2e-machines: $(VENV)/.dev ## What only several machines show: one is drained, reboots, stands still, is lost; then IPv6-only and dual-stack (kind)
	$(BIN)/python -m tests.e2e.run --cluster kind --nodes $(MACHINES) --plan machines $(ARGS)
	$(BIN)/python -m tests.e2e.run --cluster kind --nodes 2 --family ipv6 --plan families --built $(ARGS)
	$(BIN)/python -m tests.e2e.run --cluster kind --nodes 2 --family dual --plan families --built $(ARGS)

.PHONY: e2e-down
e2e-down: $(VENV)/.dev ## End exactly what `make e2e` started
	$(BIN)/python -m tests.e2e.cluster down --cluster $(CLUSTER) --verify-clean

.PHONY: clean
clean: ## Remove the virtual environment and build results
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
