# make demo: the whole job on the embedded images.   make test: the tests.
# make parity: the models against stored numbers; PACK=folder: all of them, into docs/parity.md.
# make bench: time and memory of every part, into build/bench.json (docs/benchmarks.md).
# Each first makes its virtual environment from requirements.txt.

PYTHON ?= python3.11
VENV ?= .venv
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-slow parity bench setup clean

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

PACK ?= tests/parity
parity: $(INSTALLED)
	$(RUN) -m htc_tf.parity --pack=$(PACK) $(if $(filter command line,$(origin PACK)),--markdown=docs/parity.md)

# Passed on where given: PEER, PEER_PATH, PEER_IMPORT, ROWS, SIZES, RUNS.
bench: $(INSTALLED)
	$(RUN) -m benchmarks.run $(if $(PEER),--peer=$(PEER)) $(if $(PEER_PATH),--peer_path=$(PEER_PATH)) \
	  $(if $(PEER_IMPORT),--peer_import=$(PEER_IMPORT)) $(if $(ROWS),--rows=$(ROWS)) \
	  $(if $(SIZES),--sizes=$(SIZES)) $(if $(RUNS),--runs=$(RUNS))

clean:
	rm -rf $(VENV) build
