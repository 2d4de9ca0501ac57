# MedAET's front door: each target installs what it needs into .venv first.
#
#   make demo    the main job on two real scans and a fused pair: scanner -> daemon -> PACS, on loopback, without a GPU
#   make test    every test
#   make check   format, lint, types, import rules
#   make bench   the benchmarks, printed as tables
#   make ohif    the OHIF viewer, in which a test looks at results; npm fetches it
#   make oracle  what is compared with other programs, data and versions, which it fetches: two gigabytes, ten minutes

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
ORACLE := .oracle
OHIF   := $(VENV)/ohif

.PHONY: demo test check bench ohif oracle clean

demo: $(STAMP)
	$(BIN)/medaet demo --out medaet-demo

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile $(PYTEST_ARGS)

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)
	$(BIN)/python -m pytest tests/benchmarks -o python_files='bench_*.py' --timeout=0 -q -s $(BENCH_ARGS)

ohif: $(OHIF)/package

$(OHIF)/package: | $(STAMP)
	mkdir -p $(OHIF)
	npm pack --silent --pack-destination $(OHIF) @ohif/app@3.12.10
	tar -xzf $(OHIF)/ohif-app-3.12.10.tgz -C $(OHIF)
	rm $(OHIF)/ohif-app-3.12.10.tgz

oracle:
	$(PYTHON) -m venv $(ORACLE)
	$(ORACLE)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]' --requirement tests/oracle/requirements.txt
	$(ORACLE)/bin/python -m pip download --quiet --no-deps --dest $(ORACLE) pycerr==2.5.1
	$(ORACLE)/bin/python -m pip download --quiet --no-deps --dest $(ORACLE) monai==1.5.1
	$(ORACLE)/bin/python -m pip download --quiet --no-deps --dest $(ORACLE) monai==1.6.1
	$(ORACLE)/bin/python -m pytest -m oracle --timeout=0 $(PYTEST_ARGS)
	$(ORACLE)/bin/python -m pytest tests/benchmarks/bench_features.py -o python_files='bench_*.py' --timeout=0 -q -s

# Versions come from constraints.txt: a set that was installed and tested together.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) $(ORACLE) medaet-demo
