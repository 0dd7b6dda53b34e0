# Every target calls a command that you could type yourself: `make -n TARGET` shows it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The program itself, and what tests, checks and releases need besides.
CORE := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
DIGITS := data/digits

# Folder of pictures (the embedded digits when left out), of the feature cache, of the runs; and the
# run to fine-tune from or to predict with.
DATA ?= $(DIGITS)
CACHE ?= features
RUNS ?= runs
# What suits pictures of 8 by 8 pixels: a small input. Which layers, the search finds out.
ifeq ($(DATA),$(DIGITS))
IMAGE_SIZE ?= 96
LAYERS ?= best
TUNE ?= yes
HEADS ?= logistic,linear-svm,ridge,lda,centroid,knn
PICTURES := $(DIGITS)/test
RUN ?= best:digits
PICTURES_READY := $(DIGITS)/.written
# The head has little left to gain on digits; the demo shows how it goes all the same.
TUNE_FLAGS := --anyway
else
PICTURES := $(DATA)
RUN ?= best
endif

FEATURE_FLAGS = $(if $(BACKBONE),--backbone "$(BACKBONE)") $(if $(LAYERS),--layers "$(LAYERS)") \
	$(if $(POOLING),--pooling "$(POOLING)") $(if $(WEIGHTS),--weights "$(WEIGHTS)") \
	$(if $(IMAGE_SIZE),--image-size $(IMAGE_SIZE)) --cache "$(CACHE)"
HEAD_FLAGS = $(if $(HEADS),--heads "$(HEADS)") $(if $(TUNE),--tune) --runs "$(RUNS)"

VARIABLES := DATA BACKBONE LAYERS POOLING WEIGHTS IMAGE_SIZE HEADS TUNE EPOCHS RUN OUT CACHE RUNS ARGS
# Whoever mistypes a variable would get the digits, or a default, without a word.
GIVEN := $(foreach v,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $v))),$v))
UNKNOWN := $(filter-out $(VARIABLES) PYTHON VENV BIN DIGITS PICTURES SHELL MAKE% -%,$(GIVEN))
$(if $(UNKNOWN),$(error unknown variable $(firstword $(UNKNOWN)); known are $(VARIABLES)))
$(foreach v,DATA CACHE RUNS RUN,$(if $(strip $($v)),,$(error $v is empty; leave it out, or give it a value)))
ifneq ($(filter export,$(MAKECMDGOALS)),)
$(if $(OUT),,$(error OUT is missing, the file to write RUN to: make export OUT=cats.keras, cats.onnx or \
	cats.tflite; for OpenVINO a folder, OUT=cats ARGS="--format openvino"))
endif

.PHONY: help install data features classify finetune predict export compare report demo \
	test test-fast lint check dist bench clean
.DEFAULT_GOAL := help

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/  make \1|\2/' | column -t -s '|'
	@echo 'Variables: $(VARIABLES)'
	@echo 'Example:   make classify DATA=~/pictures BACKBONE="MobileNet(alpha=0.25)" HEADS=logistic,knn TUNE=yes'

install: $(CORE) ## make .venv and install the pipeline into it

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(CORE): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(DEV): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $(CORE) $@

data: $(CORE) ## write the embedded digits into data/digits
	$(BIN)/pipeline digits $(DIGITS)
	@touch $(DIGITS)/.written

# Without DATA the stages work on the digits, which are written first; that is done once.
$(DIGITS)/.written:
	@$(MAKE) --no-print-directory data

features: $(CORE) $(PICTURES_READY) ## stage 1: run every picture once through the frozen base
	$(BIN)/pipeline features "$(DATA)" $(FEATURE_FLAGS) $(ARGS)

classify: $(CORE) $(PICTURES_READY) ## stage 2: train classifiers on the cached features
	$(BIN)/pipeline classify "$(DATA)" $(FEATURE_FLAGS) $(HEAD_FLAGS) $(ARGS)

finetune: $(CORE) $(PICTURES_READY) ## stage 3, optional: train the upper part of the base too
	$(BIN)/pipeline finetune "$(DATA)" --from "$(RUN)" $(if $(EPOCHS),--epochs $(EPOCHS)) \
		$(TUNE_FLAGS) --cache "$(CACHE)" --runs "$(RUNS)" $(ARGS)

predict: $(CORE) $(PICTURES_READY) ## label the pictures in DATA with RUN
	$(BIN)/pipeline predict "$(RUN)" "$(PICTURES)" --cache "$(CACHE)" --runs "$(RUNS)" $(ARGS)

export: $(CORE) ## write RUN as one model: OUT=cats.keras, .onnx, .tflite, or a folder for OpenVINO
	$(BIN)/pipeline export "$(RUN)" "$(OUT)" --cache "$(CACHE)" --runs "$(RUNS)" $(ARGS)

compare: $(CORE) ## list the runs, best first
	$(BIN)/pipeline compare --runs "$(RUNS)" $(ARGS)

report: OUT ?= report.html
report: $(CORE) ## write OUT, one HTML file about the runs; report.html if left out
	$(BIN)/pipeline report --out "$(OUT)" --cache "$(CACHE)" --runs "$(RUNS)" $(ARGS)

demo: ## all of it on the embedded digits: data, features, classify, finetune, compare
	@for stage in data features classify finetune compare; do \
		echo "== make $$stage"; $(MAKE) --no-print-directory $$stage || exit; \
	done

test: $(DEV) ## run the tests
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

test-fast: $(DEV) ## run the tests that take a moment, for while you work
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'not slow' $(ARGS)

lint: $(DEV) ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint test ## lint and test

dist: $(DEV) ## build dist/*.whl and dist/*.tar.gz
	rm -rf build dist *.egg-info/SOURCES.txt
	$(BIN)/python -m build

bench: $(DEV) ## print the measured figures of this machine
	$(BIN)/python -m benchmarks $(ARGS)

clean: ## remove .venv and tool caches; data, features and runs stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info build dist
