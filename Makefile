# Everything a person does with this project. The first target that needs Python builds .venv from the lock.

SHELL := /bin/sh
MAKEFLAGS += --no-print-directory
BIN := .venv/bin
ARGS ?=
PYTHON ?=
TRIED := python3 python3.14 python3.13 python3.12 python3.11

# Images of containers often set this. Without compiled modules each Python process takes a second more to start, and
# each pytest worker seven to collect the tests.
unexport PYTHONDONTWRITEBYTECODE

# The stamp carries the hash of what decides the content of .venv (and of its place, for a venv cannot be moved):
# a second run costs nothing.
HASH := $(shell (cat requirements.lock pyproject.toml; pwd) | (sha256sum 2>/dev/null || shasum -a 256) | cut -c1-16)
STAMP := .venv/.compiled-$(HASH)

.PHONY: help demo up test test-fast lint format screenshots bench chaos soak house api-docs recording simulation mutants lock clean bootstrap headless-shell chromium proxies engines image compose units
.DEFAULT_GOAL := help

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(STAMP) ## Play the four pictures with real processes; Jenkins and GitHub are stood in for
	@$(BIN)/python -m demo $(ARGS)

up: $(STAMP) ## Run Interlock here: Redis-compatible server, worker, beat, web
	@$(BIN)/interlock up $(ARGS)

test: $(STAMP) headless-shell chromium proxies faketime engines ## Run every test, those of the import contracts as well (ARGS="-k lock" to choose)
	@$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

# Whole folders of real processes, real browsers and stand-ins: not even collected, which saves seconds.
SLOW_FOLDERS := browser end_to_end launch standins jobs

test-fast: $(STAMP) ## Run the tests that take less than a second each: rules, state, workers, web, commands
	@HYPOTHESIS_PROFILE=fast $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not browser" $(SLOW_FOLDERS:%=--ignore=tests/%) $(ARGS)

lint: $(STAMP) ## Check style, types and import contracts; change nothing
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: $(STAMP) ## Put the code into shape
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

screenshots: $(STAMP) chromium ## Take the pictures of README and docs anew, from the demo (docs/pictures)
	@$(BIN)/python -m demo.screenshots $(ARGS)

bench: $(STAMP) ## Measure the door, the reaction, the growth and what Jenkins is asked
	@$(BIN)/python -m bench $(ARGS)

chaos: $(STAMP) faketime ## Play faults drawn from a seed, and check what came of it (ARGS="--seed 7", "--seeds 20", "--faults plan.json")
	@$(BIN)/python -m chaos $(ARGS)

soak: $(STAMP) ## Work steadily for an hour with real processes; fail if anything grows (ARGS="--minutes 10")
	@$(BIN)/python -m soak $(ARGS)

house: $(STAMP) ## Print how much of the code one path runs through, and other figures of its structure
	@$(BIN)/python -m bench.structure $(ARGS)

api-docs: $(STAMP) ## Write docs/api.md from what the API says of itself
	@$(BIN)/python -m demo.api_page

simulation: $(STAMP) ## Simulate demo/simulation.yaml: the figures of docs/simulate.md, and its picture
	@COLUMNS=120 $(BIN)/interlock simulate demo/simulation.yaml $(ARGS)
	@COLUMNS=120 $(BIN)/interlock simulate demo/simulation.yaml $(ARGS) \
	  --sweep stages.acceptance.capacity=1..6 --svg docs/sweep-acceptance.svg

recording: $(STAMP) ## Decide the recording that CI replays by the rules of today (ARGS=--anew: other lives; ARGS="--storms plays": kept plays of chaos)
	@$(BIN)/python -m tests.replay.make $(ARGS)

mutants: $(STAMP) ## Change bot/core a little and see whether a test notices (ARGS="--module stage_locks", "--sample 40 --seed 7")
	@$(BIN)/python -m mutants $(ARGS)

lock: $(STAMP) ## Renew requirements.lock from pyproject.toml (ARGS=--upgrade for newer releases)
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --all-extras \
	  --custom-compile-command "make lock" $(ARGS) pyproject.toml --output-file requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --constraint requirements.lock \
	  --custom-compile-command "make lock" pyproject.toml --output-file deploy/requirements.lock

image: $(STAMP) ## Build the image on a Debian root and run it as deploy/compose.yaml does, without a daemon (root, buildah, podman)
	@$(BIN)/python -m tests.deploy.try_image $(ARGS)

compose: $(STAMP) ## Run deploy/compose.yaml as a whole with Docker, and play the four pictures through its proxy (ports 80, 443)
	@$(BIN)/python -m tests.deploy.try_compose $(ARGS)

units: $(STAMP) ## Run the units of deploy/systemd by a real systemd in a container of Docker, and play the four pictures
	@$(BIN)/python -m tests.deploy.try_units $(ARGS)

licences: $(STAMP) ## Write docs/licences.md from what the product is installed with
	@$(BIN)/python -m demo.dependencies licences

audit: $(STAMP) ## Ask whether a vulnerability is known in what the product depends on (ends with an error if that cannot be asked)
	@$(BIN)/python -m demo.dependencies audit

clean: ## Remove .venv and all caches; the data in .interlock stays
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

bootstrap: $(STAMP) ## Build .venv from requirements.lock, if it is not up to date

# One package's lines of the lock, and the lock without one package.
only = awk '/^[^ \#]/ {on = ($$0 ~ /^$(1)==/)} on' requirements.lock
without = awk '/^[^ \#]/ {on = ($$0 !~ /^$(1)==/)} on' requirements.lock

# The two source packages (multi-key-dict and this project) are built with the locked setuptools: nothing that is
# not in the lock is fetched. uv is three times as fast; where it cannot be had, pip does the same.
$(STAMP):
	@python=; for each in $(or $(PYTHON),$(TRIED)); do \
	  if "$$each" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    python="$$each"; break; fi; done; \
	if [ -z "$$python" ]; then \
	  echo "Python 3.11 or newer with venv is needed ($(or $(PYTHON),$(TRIED)) tried). Debian: apt install python3-venv. Else: make PYTHON=/path/to/python3" >&2; \
	  exit 1; fi; \
	echo "Building .venv with $$($$python --version) from requirements.lock"; \
	{ grep -q "$(CURDIR)/.venv" $(BIN)/pip \
	  && $(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))'; } 2>/dev/null \
	  || "$$python" -m venv --clear .venv
	@$(call only,setuptools) > .venv/setuptools.txt && $(call only,uv) > .venv/uv.txt \
	  && $(call without,uv) > .venv/all.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/setuptools.txt
	@if $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.txt; then \
	  $(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --no-python-downloads --require-hashes \
	    --no-build-isolation requirements.lock \
	  && $(BIN)/uv pip install --quiet --python $(BIN)/python --no-python-downloads --no-deps \
	    --no-build-isolation --editable .; \
	else \
	  echo "uv could not be installed; pip does it, more slowly"; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-build-isolation \
	    --use-pep517 -r .venv/all.txt \
	  && $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	    --editable .; \
	fi
	@rm -f .venv/.built-* .venv/.compiled-* && touch $@

# A comma in what is passed to `call`.
, := ,

# $(call installed,TEST,PACKAGES,WHAT,WITHOUT): nothing if the shell's TEST holds, else apt-get installs PACKAGES, which
# are WHAT; where that cannot be, WITHOUT says what it means.
define installed
@$(1) && exit 0; \
if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
  echo "Installing $(3) (apt-get)"; \
  apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
    $(2) >/dev/null && exit 0; \
fi; \
echo "$(4) Debian: apt install $(2)"
endef

# Whether the shell finds all of these programs.
all_of = (PATH="$$PATH:/usr/sbin"; for each in $(1); do command -v $$each >/dev/null || exit 1; done)
# Whether it finds one of them.
one_of = (for each in $(1); do command -v $$each >/dev/null && exit 0; done; exit 1)

# Chromium without windows: a page takes a sixth of the processor's time. Where no package has it, any Chromium does.
headless-shell:
	$(call installed,$(call one_of,chromium-headless-shell),chromium-headless-shell,Chromium's shell for the browser tests,No chromium-headless-shell here: the browser tests take Chromium$(,) and longer.)

chromium:
	$(call installed,$(call one_of,chromium chromium-browser google-chrome),chromium,Chromium for the browser tests,No Chromium here: the browser tests skip$(,) and fail where CI is set.)

proxies:
	$(call installed,$(call all_of,nginx caddy),nginx-light caddy,nginx and Caddy for the tests of deploy/proxy,No nginx or Caddy here: the tests of deploy/proxy skip$(,) and fail where CI is set.)

faketime:
	$(call installed,ls /usr/lib/*/faketime/libfaketimeMT.so.1 /usr/lib/faketime/libfaketimeMT.so.1 2>/dev/null | grep -q .,faketime,libfaketime$(,) which moves the clocks of chaos,No libfaketime here: chaos moves no clocks$(,) and says so.)

engines:
	$(call installed,$(call all_of,redis-server rabbitmq-server),redis-server rabbitmq-server,Redis (with TLS) and RabbitMQ for the tests of fail-overs,No Redis with TLS or no RabbitMQ here: their tests skip$(,) and fail where CI is set.)
