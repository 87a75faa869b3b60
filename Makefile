# make demo: the whole job on the embedded images.   make test: the tests.
# Both first make their own virtual environment from requirements.txt.

PYTHON ?= python3.11
VENV ?= .venv
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-slow setup clean

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

clean:
	rm -rf $(VENV) build
