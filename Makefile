# make demo: set-up and the main job on real digits.   make demo DATA=folder: the same on Fashion-MNIST.
# make test: set-up and the tests.                      make long: peers, result tables, long evaluations.
# make reference: the API reference, in build/reference.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
TORCH  ?= torch==2.13.0
# TORCH_INDEX=URL takes torch from that index: use the CPU index where the default one gives a CUDA build
TORCH_INDEX ?=
INDEX  := $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX),)
STAMP  := .make

.PHONY: setup test lint types sanitize wheel demo smoke fuzz long reference clean

setup: $(STAMP)/installed

$(STAMP)/torch:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --upgrade pip
	$(BIN)/pip install -q $(INDEX) "$(TORCH)"
	$(BIN)/pip install -q "scikit-build-core>=0.10" "nanobind>=2.4" ninja "cmake>=3.20"
	@mkdir -p $(STAMP) && touch $@

$(STAMP)/installed: $(STAMP)/torch pyproject.toml CMakeLists.txt $(wildcard src/*.cpp src/*/*)
	$(BIN)/pip install -q --no-build-isolation -e ".[test,demo]"
	@touch $@

test: setup
	$(BIN)/python -m pytest -n auto --dist loadfile

lint: setup
	$(BIN)/ruff check spikeflow datasets tests examples benchmarks

types: setup
	bash .ci/types

sanitize: setup
	bash .ci/sanitize address
	bash .ci/sanitize thread

wheel: setup
	bash .ci/wheel

smoke: setup
	bash .ci/browser

demo: setup
	bash examples/demo.sh $(BIN) "$(DATA)"

fuzz: setup
	PYTHONPATH=. $(BIN)/python benchmarks/fuzz_files.py --seconds 290 --count 40000 --out $(STAMP)/fuzz_files.json

reference: setup
	$(BIN)/python docs/reference.py build/reference

long: setup
	bash benchmarks/long.sh $(BIN)

clean:
	rm -rf build dist demo $(STAMP) $(VENV)
