# make demo, make test, make check, make bench: each sets up what it needs first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# connection.py and its like are compiled, too.
SOURCES := $(shell find fasths -name '*.pyx' -o -name '*.pxd') $(wildcard fasths/*.py) setup.py pyproject.toml
# Peers and interop tests start processes of their own, so a few workers are enough.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadgroup

.PHONY: help setup build test check format lint types werror bench demo coverage sanitize dist clean \
	stdlib-suite

help:
	@echo "make demo       set up, build, and show real handshakes and the comparison with ssl"
	@echo "make test       set up, build, and run the tests"
	@echo "make check      format, lint, types, build with warnings as errors, tests"
	@echo "make bench      measure against ssl, pyOpenSSL and the cost of the cryptography alone"
	@echo "make coverage   the tests with line tracing of the compiled core"
	@echo "make sanitize   the tests under AddressSanitizer and UndefinedBehaviorSanitizer"
	@echo "make stdlib-suite  CPython's own tests of ssl, with fasths.ssl in the place of ssl"
	@echo "make dist       an sdist and a wheel in dist/"
	@echo "make clean      remove everything that was built"

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --group dev
	touch $@

$(VENV)/built: $(VENV)/installed $(SOURCES)
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable .
	touch $@

setup: $(VENV)/installed
build: $(VENV)/built

demo: build
	$(BIN)/python examples/demo.py

test: build
	$(PYTEST)

bench: build
	$(BIN)/python -m bench

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	# It calls pycodestyle by name.
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/cython-lint fasths

types: build
	$(BIN)/mypy

werror: build
	FASTHS_WERROR=1 $(BIN)/python setup.py --quiet build_ext --force --inplace
	touch $(VENV)/built

check: lint werror types
	$(PYTEST)

coverage: build
	FASTHS_BUILD=coverage $(BIN)/python setup.py --quiet build_ext --force --inplace
	$(BIN)/python -m pip install --quiet coverage
	$(BIN)/python -m coverage run -m pytest -q
	$(BIN)/python -m coverage report
	rm -f $(VENV)/built

# Without the tests that start other programs, which do not bear the preloaded sanitizers, and without
# those that measure memory, of which the sanitizers need their own.
sanitize: build
	FASTHS_BUILD=sanitize $(BIN)/python setup.py --quiet build_ext --force --inplace
	LD_PRELOAD="$$(cc -print-file-name=libasan.so) $$(cc -print-file-name=libubsan.so)" \
		ASAN_OPTIONS=detect_leaks=0:exitcode=99 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
		$(BIN)/python -m pytest -q -k 'not takes_no_memory and not process_does_not_grow' \
		--ignore tests/interop $(patsubst %,--ignore %,tests/test_cli.py $(wildcard tests/test_cli_*.py))
	rm -f $(VENV)/built

# STDLIB_PYTHON: another interpreter, which can import fasths. SUITE: options of run.py.
stdlib-suite: $(if $(STDLIB_PYTHON),,build)
	$(or $(STDLIB_PYTHON),$(BIN)/python) tests/stdlib_suite/run.py $(SUITE)

dist: setup
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
	find fasths -name '*.so' -delete -o -name '*.c' -delete -o -name '*.html' -delete
