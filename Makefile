# make demo: the whole job on the embedded images.   make test: the tests.
# make parity: the models against stored numbers; PACK=folder: all of them, into docs/parity.md.
# Each first makes its virtual environment from requirements.txt.

PYTHON ?= python3.11
VENV ?= .venv
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-slow parity setup clean

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

clean:
	rm -rf $(VENV) build
