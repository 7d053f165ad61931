# `make train` on a fresh machine needs Python 3.11 or newer and nothing else.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: setup new-model train test test-all check format bench dashboard dashboard-web lock clean

setup: $(INSTALLED)

# Every package is pinned with its hash: an install is reproducible and a swapped package is refused.
$(INSTALLED): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "firsthand needs Python 3.11 or newer, but $(PYTHON) is $$($(PYTHON) --version 2>&1); name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@echo "Installing into .venv: about 6 GB, a few minutes, once."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	@touch $@

train: $(INSTALLED)
	@$(BIN)/python train.py

# The quick suite; `make test-all` adds what is marked slow.
test: $(INSTALLED)
	@$(BIN)/python -m pytest

test-all: $(INSTALLED)
	@$(BIN)/python -m pytest -m ''

check: $(INSTALLED)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(INSTALLED)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# A copy of a model under a name of its own, to be changed: make new-model NAME=my_vgg LIKE=vgg [EXPERIMENT=vgg_mnist]
new-model: $(INSTALLED)
	@$(BIN)/python -m experiment.new_model "$(NAME)" --like "$(LIKE)" --experiment "$(EXPERIMENT)"

bench: $(INSTALLED)
	@$(BIN)/python -m benchmarks

# Curves of all runs in the terminal: space selects a run, and those selected lie over each other.
dashboard: $(INSTALLED)
	@$(BIN)/wandb leet "$${FIRSTHAND_OUTPUTS:-outputs}/wandb"

# The runs of logger=mlflow in the browser. MLflow's own way to start takes six times the memory.
dashboard-web: $(INSTALLED)
	@$(BIN)/python -c 'import mlflow' 2>/dev/null || { echo "make dashboard-web needs MLflow: $(BIN)/python -m pip install mlflow" >&2; exit 2; }
	@MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(BIN)/mlflow server --workers 1 --host 127.0.0.1 \
	  --port $${PORT:-5000} --backend-store-uri "sqlite:///$${FIRSTHAND_OUTPUTS:-outputs}/mlflow.db"

# Needs uv (https://docs.astral.sh/uv). No address of an index is written.
lock:
	uv pip compile pyproject.toml --group dev --universal --generate-hashes --no-header --no-annotate --quiet --output-file requirements.lock

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
