# mcuml. Needs Python >= 3.10 and make; everything else comes from PyPI into .venv.
PYTHON ?= python3
VENV   ?= .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
PIP  := $(BIN)/python -m pip --disable-pip-version-check -q
# Where the shared models, data and tools of the project's CI lie; the recorded figures come from them.
MODELS ?= $(firstword $(wildcard ../shared/models shared/models))
DATA   ?= $(firstword $(wildcard ../shared/data shared/data))
TOOLS  ?= $(firstword $(wildcard ../shared/tools shared/tools))
# Model, and at most: cycles, arena, code and stack in bytes.
LIMITS := mlperf_tiny/kws_ref_model:3900000:10000:12288:1024 mlperf_tiny/vww_96_int8:6900000:40000:12288:1024 \
          mlperf_tiny/pretrainedResnet_quant:13500000:34000:12288:1024 mlperf_tiny/ad01_int8:380000:1300:4096:512 \
          cnn_on_mcu/13_fashion_mnist_integeronly_model:210000:3400:6144:1024 cnn_on_mcu/4_fashion_mnist_model:335000:11500:6144:1024
JOBS   ?= 2
# How much `make fuzz` and `make fuzz-files` try, from which seed on.
GRAPHS    ?= 2000
MUTATIONS ?= 20000
SEED      ?= 0
# Bytes between two faults of a kind in `make faults`, and on the virtual board, where a session takes longer.
STEP       ?= 1
BOARD_STEP ?= 200
# How often `make reproduce-cnn` trains each recipe.
SEEDS     ?= 5
# What `make size-diff` compares with.
BASE      ?= origin/main

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-slow tflm cores reproduce-cnn reproduce-resnet gate baseline fuzz fuzz-files faults mutants lint typecheck bench mlperf check-models size-diff cycle-costs operators boards wheel clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

# One stamp per set of extras: a set is installed again only when pyproject.toml changes.
$(VENV)/.stamp-%: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("mcuml needs Python 3.10 or newer; this is " + sys.version.split()[0] + ". Use: make PYTHON=/path/to/python3") if sys.version_info < (3, 10) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	    echo "error: '$(PYTHON) -m venv' failed. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Installing mcuml[$*] into $(VENV) ..."
	@$(PIP) install -e '.[$*]'
	@touch $@

venv: $(VENV)/.stamp-dev ## Create .venv with everything that development needs

demo: $(VENV)/.stamp-verify ## Install into .venv and run `mcuml demo`
	@$(BIN)/mcuml demo

test: $(VENV)/.stamp-test ## Run the tests
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile -m "not slow"

test-slow: $(VENV)/.stamp-test ## Run the long sweeps too
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile

cores: $(VENV)/.stamp-test ## Run every core's code in Unicorn and QEMU and write docs/results/cores.md
	@PYTHONPATH=tests $(BIN)/python -m cores -o docs/results/cores.md

reproduce-cnn: $(VENV)/.stamp-test ## Repeat the CNN_on_MCU experiment (hours, resumable) and write docs/results/cnn_on_mcu.md
	@$(BIN)/python tools/reproduce_cnn.py --data $(DATA) --jobs $(JOBS) --seeds $(SEEDS)

reproduce-resnet: $(VENV)/.stamp-test ## Prune MLPerf Tiny's ResNet by channels (hours, resumable) and write docs/results/resnet_cifar10.md
	@$(BIN)/mcuml optimize $(MODELS)/mlperf_tiny/pretrainedResnet.h5 --data $(DATA)/cifar10_jpeg.zip --pixels 0..255 --jobs $(JOBS) \
	    -r examples/resnet_cifar10/recipes.toml --board nano33ble --board nucleo_l4r5zi -o build/reproduce-resnet
	@cp build/reproduce-resnet/report.md docs/results/resnet_cifar10.md
	@cp build/reproduce-resnet/report.json docs/results/resnet_cifar10.json

lint: $(VENV)/.stamp-dev ## Check style and formatting with ruff
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

typecheck: $(VENV)/.stamp-dev ## Check types with mypy
	@$(BIN)/mypy

bench: $(VENV)/.stamp-verify ## Measure the shared models; write docs/results/ and docs/BENCHMARKS.md
	@test -n "$(MODELS)" || { echo "error: no models found; give their folder: make bench MODELS=folder" >&2; exit 2; }
	@$(BIN)/python tools/record_results.py $(MODELS) -o docs/results
	@$(BIN)/python tools/record_benchmarks.py $(MODELS) -o docs/BENCHMARKS.md

mlperf: $(VENV)/.stamp-verify ## Go through MLPerf Tiny's procedure on the virtual board and write docs/results/mlperf.md
	@$(BIN)/python tools/record_mlperf.py $(MODELS) $(if $(DATA),--data $(DATA)) -o docs/results/mlperf.md

tflm: $(VENV)/.stamp-verify ## Compare both runtimes on MLPerf Tiny's models (MCUML_TFLM names the library); write docs/results/tflm.md
	@test -n "$(MODELS)" || { echo "error: no models found; give their folder: make tflm MODELS=folder" >&2; exit 2; }
	@$(BIN)/python tools/record_tflm.py $(MODELS)/mlperf_tiny -o docs/results/tflm.md

size-diff: $(VENV)/.stamp-verify ## Compare sizes and cycles of the shared models with another commit's: BASE=origin/main
	@$(BIN)/python tools/size_diff.py $(MODELS) --base $(BASE)

check-models: $(VENV)/.stamp-test ## Judge the generated C with a checker that shares no code with mcuml
	@test -n "$(TOOLS)" || { echo "error: check_model.py not found; give its folder: make check-models TOOLS=folder" >&2; exit 2; }
	@failed=0; for limit in $(LIMITS); do \
	    set -- $$(echo $$limit | tr : ' '); \
	    $(BIN)/python $(TOOLS)/check_model.py $(MODELS)/$$1.tflite --mcuml $(BIN)/mcuml --samples 20 \
	        --cycles $$2 --arena $$3 --code $$4 --stack $$5 || failed=1; \
	done; exit $$failed

cycle-costs: $(VENV)/.stamp-test ## Measure the kernels again from which cycles are estimated before a build
	@$(BIN)/python tools/measure_cycles.py $(MODELS)

operators: $(VENV)/.stamp-test ## Write docs/OPERATORS.md from the code and its tests
	@$(BIN)/python tools/list_operators.py

boards: $(VENV)/.stamp-dev ## Write docs/BOARDS.md from boards/
	@$(BIN)/python tools/list_boards.py

# The compiler that pip installs, whose figures are the same everywhere. Most of the image is firmware, which may grow.
GATE := MCUML_TOOLCHAIN=zig $(BIN)/mcuml check --baseline examples/digits/baseline.json

gate: $(VENV)/.stamp-test ## Hold the digits' model against examples/digits/baseline.json
	@$(GATE) --max-latency +2% --max-flash +5% --max-ram +64 --min-accuracy 0

baseline: $(VENV)/.stamp-test ## Write examples/digits/baseline.json from what is now
	@$(GATE) --update

fuzz: $(VENV)/.stamp-test ## Compare random graphs with TFLite Micro and write docs/results/fuzz.md
	@PYTHONPATH=tests $(BIN)/python -m fuzz graphs --count $(GRAPHS) --seed $(SEED) --jobs $(JOBS) -o docs/results/fuzz.md

fuzz-files: $(VENV)/.stamp-test ## Damage models, boards and serial lines and write docs/results/fuzz.md
	@PYTHONPATH=tests $(BIN)/python -m fuzz files --count $(MUTATIONS) --seed $(SEED) --jobs $(JOBS) \
	    $(if $(MODELS),--models $(MODELS)) -o docs/results/fuzz.md

faults: $(VENV)/.stamp-test ## Try a session with one fault on the line at each byte and write docs/results/faults.md
	@PYTHONPATH=tests $(BIN)/python -m faults --step $(STEP) --board-step $(BOARD_STEP) -o docs/results/faults.md

mutants: $(VENV)/.stamp-test ## Change what serves each operator, see its tests fail, and write docs/results/mutants.md
	@PYTHONPATH=tests $(BIN)/python -m mutants

wheel: $(VENV)/.stamp-dev ## Build the wheel into dist/
	@$(BIN)/python -m build --wheel -o dist . > /dev/null && ls dist

clean: ## Remove .venv, caches and build output
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis host/*.egg-info
	@find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
