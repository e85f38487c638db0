# inboxd. `make` alone explains the targets; needs GNU make, and Python 3.11 or newer.
#
# Variables:  PYTHON=python3.12   the Python to make .venv with (only when there is none yet)
#             TORCH=cpu|cuda      the build of PyTorch; cpu unless told otherwise once
#             ARGS="..."          handed on to inboxd demo, pytest or the benchmark

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.SUFFIXES:

VENV := .venv
BIN := $(VENV)/bin

# What was installed once stays the default: `make test` after `make install TORCH=cuda` keeps it.
ifndef TORCH
TORCH := $(or $(shell cat $(VENV)/.torch 2>/dev/null),cpu)
endif
ifeq ($(filter cpu cuda,$(TORCH)),)
$(error TORCH is "$(TORCH)", but must be cpu or cuda)
endif

# Variables of the shell that would make pip and Python look elsewhere.
unexport PYTHONPATH PYTHONHOME
export PIP_USER := 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1

PIP_INSTALL := $(BIN)/python -m pip install --quiet --quiet \
	--constraint constraints.txt --build-constraint constraints.txt

# Stamps: each file says that the step of its name is done with the pins it depends on.
VENV_READY := $(VENV)/.ready
PROGRAM := $(VENV)/.program-$(TORCH)
DEVELOPMENT := $(VENV)/.development-$(TORCH)

.PHONY: help install demo test test-servers fuzz reliability dovecot postgres servers check lint types imports security licences audit format bench wheel docs man pins clean distclean moved

help: ## explain the targets
	@echo 'Targets of inboxd:'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo 'With an NVIDIA GPU: make install TORCH=cuda'

install: $(PROGRAM) ## make .venv with the program alone: .venv/bin/inboxd
	@echo 'Installed: $(BIN)/inboxd --help'

demo: $(PROGRAM) ## install, then show the whole loop on a sample mailbox
	@$(BIN)/inboxd demo $(ARGS)

test: $(DEVELOPMENT) dovecot postgres check ## install what the tests need, check the code, run all tests
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(ARGS)
	$(BIN)/python tools/check_wheel.py

test-servers: $(DEVELOPMENT) dovecot servers ## as root: the mailbox tests on Cyrus and Courier too
	$(BIN)/python -m pytest --numprocesses 2 --dist loadgroup --servers all --server-report .cache/reliability/servers.jsonl tests/contract tests/servers tests/e2e/test_loop.py $(ARGS)

fuzz: $(DEVELOPMENT) ## read random messages: make fuzz ARGS=600 for ten minutes
	@$(BIN)/python -m tests.fuzz.run $(ARGS)

reliability: $(DEVELOPMENT) dovecot ## faults, kills, random walks (30 minutes) into docs/reliability.md
	$(BIN)/python tools/reliability.py run $(ARGS)

dovecot: $(DEVELOPMENT)
	@$(BIN)/python tools/ensure_dovecot.py

postgres: $(DEVELOPMENT)
	@$(BIN)/python tools/ensure_postgres.py

servers: $(DEVELOPMENT)
	@$(BIN)/python tools/ensure_servers.py

check: lint types imports security licences ## style, types, direction of imports, bandit, licences

lint: $(DEVELOPMENT) ## ruff: lint and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEVELOPMENT) ## mypy
	$(BIN)/mypy

imports: $(DEVELOPMENT) ## import-linter
	$(BIN)/lint-imports

security: $(DEVELOPMENT) ## bandit: known insecure patterns
	$(BIN)/bandit --quiet --configfile pyproject.toml --severity-level medium --recursive daemon classifier trainer migrations tools

licences: $(DEVELOPMENT) ## refuse packages whose licence forbids ours
	@$(BIN)/python tools/check_licences.py

audit: $(DEVELOPMENT) ## known vulnerabilities in the pinned packages; needs the network
	@$(BIN)/python tools/audit_dependencies.py

format: $(DEVELOPMENT) ## let ruff mend style and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(DEVELOPMENT) ## measure speed and learning
	@$(BIN)/python -m bench $(ARGS)

wheel: $(DEVELOPMENT) ## build sdist and wheel into dist/
	$(BIN)/python tools/build_wheel.py dist

docs: $(PROGRAM) ## bring config.example.toml and docs/configuration.md up to date
	$(BIN)/python -m daemon.config.docs --write

man: $(PROGRAM) ## bring the man page up to date
	$(BIN)/python tools/make_man.py

pins: $(VENV_READY) ## choose the versions in constraints.txt anew
	$(BIN)/python tools/update_constraints.py

clean: ## remove what was built or cached
	rm -rf build dist .cache .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +

distclean: clean ## remove .venv too
	rm -rf $(VENV)

$(VENV_READY): constraints.txt tools/make_venv.sh
	@PYTHON='$(PYTHON)' sh tools/make_venv.sh $(VENV)
	@touch $@

# A checkout that was copied or moved together with its .venv: the paths in there are wrong, and
# make_venv.sh makes it anew.
ifneq ($(wildcard $(VENV)/.checkout),)
ifneq ($(shell cat $(VENV)/.checkout),$(shell pwd -P))
$(VENV_READY): moved
endif
endif
moved:

$(PROGRAM): $(VENV_READY) pyproject.toml tools/install_torch.py
	@rm -f $(VENV)/.program-* $(VENV)/.development-*
	@$(BIN)/python tools/install_torch.py $(TORCH)
	@echo 'Installing inboxd and the packages it needs ...'
	@$(PIP_INSTALL) --editable .
	@printf '%s\n' '$(TORCH)' > $(VENV)/.torch
	@touch $@

$(DEVELOPMENT): $(PROGRAM)
	@echo 'Installing what the tests need ...'
	@$(PIP_INSTALL) --editable '.[dev]'
	@touch $@
