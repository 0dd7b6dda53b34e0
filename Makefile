# Every target calls a command that you could type yourself: `make -n TARGET` shows it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DIGITS := data/digits

DATA ?= $(DIGITS)##        folder of pictures; the embedded digits when left out
CACHE ?= features##       folder of the feature cache
RUNS ?= runs##           folder of the runs
RUN ?= best##           run to fine-tune from or to predict with
# What suits pictures of 8 by 8 pixels: a small input, and layers from the middle of the base.
ifeq ($(strip $(DATA)),$(DIGITS))
IMAGE_SIZE ?= 96
LAYERS ?= block4+block5+block6,top
HEADS ?= all
EPOCHS ?= 8
endif

FEATURE_FLAGS = $(if $(BACKBONE),--backbone "$(BACKBONE)") $(if $(LAYERS),--layers "$(LAYERS)") \
	$(if $(POOLING),--pooling "$(POOLING)") $(if $(WEIGHTS),--weights "$(WEIGHTS)") \
	$(if $(IMAGE_SIZE),--image-size $(IMAGE_SIZE)) --cache "$(strip $(CACHE))"
HEAD_FLAGS = $(if $(HEADS),--heads "$(HEADS)") --runs "$(strip $(RUNS))"
PICTURES = $(if $(filter $(DIGITS),$(strip $(DATA))),$(DIGITS)/test,$(DATA))

.PHONY: help install data features classify finetune predict compare demo test lint check bench clean
.DEFAULT_GOAL := help

help: ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## (.*)/  make \1|\2/' | column -t -s '|'
	@echo 'Variables: DATA BACKBONE LAYERS POOLING WEIGHTS IMAGE_SIZE HEADS EPOCHS RUN CACHE RUNS ARGS'
	@echo 'Example:   make classify DATA=~/pictures BACKBONE="MobileNet(alpha=0.25)" HEADS=logistic,knn'

install: $(STAMP) ## make .venv and install the pipeline into it

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

data: $(STAMP) ## write the embedded digits into data/digits
	$(BIN)/pipeline digits $(DIGITS)

# Without DATA the stages work on the digits, which are written first; that is done once.
$(DIGITS)/.written: $(STAMP)
	$(BIN)/pipeline digits $(DIGITS)
	@touch $@
ifeq ($(strip $(DATA)),$(DIGITS))
PICTURES_READY := $(DIGITS)/.written
endif

features: $(STAMP) $(PICTURES_READY) ## stage 1: run every picture once through the frozen base
	$(BIN)/pipeline features "$(strip $(DATA))" $(FEATURE_FLAGS) $(ARGS)

classify: $(STAMP) $(PICTURES_READY) ## stage 2: train classifiers on the cached features
	$(BIN)/pipeline classify "$(strip $(DATA))" $(FEATURE_FLAGS) $(HEAD_FLAGS) $(ARGS)

finetune: $(STAMP) $(PICTURES_READY) ## stage 3, optional: train the upper part of the base too
	$(BIN)/pipeline finetune "$(strip $(DATA))" --from "$(strip $(RUN))" $(if $(EPOCHS),--epochs $(EPOCHS)) \
		--cache "$(strip $(CACHE))" --runs "$(strip $(RUNS))" $(ARGS)

predict: $(STAMP) $(PICTURES_READY) ## label the pictures in DATA with RUN
	$(BIN)/pipeline predict "$(strip $(RUN))" "$(strip $(PICTURES))" --runs "$(strip $(RUNS))" $(ARGS)

compare: $(STAMP) ## list the runs, best first
	$(BIN)/pipeline compare --runs "$(strip $(RUNS))" $(ARGS)

demo: ## all of it on the embedded digits: data, features, classify, finetune, compare
	$(MAKE) data
	$(MAKE) features
	$(MAKE) classify
	$(MAKE) finetune
	$(MAKE) compare

test: $(STAMP) ## run the tests
	$(BIN)/python -m pytest $(ARGS)

lint: $(STAMP) ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint test ## lint and test

bench: $(STAMP) ## print the measured figures of this machine
	$(BIN)/python -m benchmarks $(ARGS)

clean: ## remove .venv and tool caches; data, features and runs stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info build dist
