# make demo: the whole job on the embedded images.   make test: the tests.
# make parity: the models against stored numbers; PACK=folder: all of them, into docs/parity.md.
# make bench: time and memory of every part, into build/bench.json (docs/benchmarks.md).
# make fuzz: FILES (100,000) mutated checkpoints through the readers.
# make audit: known vulnerabilities of the versions in requirements.txt; fails where one could not be looked up.
# Each first makes its virtual environment from requirements.txt.

PYTHON ?= python3.11
VENV ?= .venv
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-slow parity bench fuzz audit setup clean

setup: $(INSTALLED)

$(INSTALLED): requirements.txt setup.py
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: $(INSTALLED)
	$(RUN) -m htc_tf.cli.demo

test: $(INSTALLED)
	$(RUN) -m pytest -n 2 --dist loadfile -m "not slow"

test-slow: $(INSTALLED)
	$(RUN) -m pytest -m slow

PACK ?= parity/extract
parity: $(INSTALLED)
	$(RUN) -m parity --pack=$(PACK) $(if $(filter command line,$(origin PACK)),--markdown=docs/parity.md)

# Passed on where given: PEER, PEER_PATH, PEER_IMPORT, ROWS, SIZES, RUNS.
bench: $(INSTALLED)
	$(RUN) -m benchmarks.run $(if $(PEER),--peer=$(PEER)) $(if $(PEER_PATH),--peer_path=$(PEER_PATH)) \
	  $(if $(PEER_IMPORT),--peer_import=$(PEER_IMPORT)) $(if $(ROWS),--rows=$(ROWS)) \
	  $(if $(SIZES),--sizes=$(SIZES)) $(if $(RUNS),--runs=$(RUNS))

FILES ?= 100000
SEED ?= 1
fuzz: $(INSTALLED)
	$(RUN) -m tests.convert.fuzzer --files=$(FILES) --seed=$(SEED)

# In an environment of its own: it shares packages with ours, in other versions.
audit:
	$(PYTHON) -m venv build/audit
	build/audit/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-audit.txt
	build/audit/bin/pip-audit --strict --no-deps --disable-pip -r requirements.txt

clean:
	rm -rf $(VENV) build
