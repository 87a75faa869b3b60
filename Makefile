# make demo: the whole workflow on the image in the package.   make test: the tests.
# make lint: format, lint, types, layers.
# make test-browser: the pages of reports in a headless Chromium, which must be installed.
# make test-slow: the tests that take minutes.   make test-wheel: the built package in an empty environment.
# make test-runtimes: exports in onnxruntime, OpenVINO and LiteRT, whose packages get their own folder.
# make test-connectors: the connectors to SAHI and supervision, with these installed.
# make parity: the models against stored numbers; PACK="folder folder": all numbers of HTC and of the
# families around it, written to docs/parity.md.
# make docs: the pages of docs/ that are written from the code.
# make notebook: notebooks/first_steps.ipynb from top to bottom, with the outputs that it stores.
# make site: the docs as a site with search and the docstrings of the public API, in build/site/index.html;
# it opens without a server, and loads nothing from other hosts.
# make bench: time and memory of every part, written to build/bench.json (docs/benchmarks.md).
# make zoo: MODEL_ZOO.md again, from the registry of published files, kept figures and docs/parity.md.
# make ablation: the rows of the paper's ablation on generated scenes, written to docs/ablation.md; it takes
# hours, and continues after an interruption.
# make beside: the same small HTC trained by mmdetection (PEER, as for bench) and here, written to
# docs/training_parity.md; it continues after an interruption.
# make endurance: long trainings on two devices whose processes are killed, written to docs/reliability.md; it
# takes hours, and keeps the runs that are finished.
# make fuzz: FILES (100,000) mutated checkpoints through the readers, and ANNOTATION_FILES (5,000)
# annotation files with one changed value through conversion and evaluation.
# make audit: known vulnerabilities of the versions in requirements*.txt; fails if a version cannot be looked up.
# make setup: the virtual environment alone; each target first creates the one that it needs.
# make clean: remove it and build/.

PYTHON ?= python3.11
VENV ?= .venv
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed

.PHONY: demo docs notebook site lint test test-browser test-slow test-wheel test-runtimes test-connectors parity bench \
  zoo ablation beside endurance fuzz audit setup clean

setup: $(INSTALLED)

$(INSTALLED): requirements.txt setup.py pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: $(INSTALLED)
	$(VENV)/bin/htc-demo

lint: $(INSTALLED)
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/ruff check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports layers.toml

test: $(INSTALLED)
	$(RUN) -m tests.runner

test-browser: $(INSTALLED)
	$(RUN) -m pytest -rs -m browser tests/reports

# A kernel for the notebook, without its dependencies, which requirements.txt has.
NOTEBOOK := build/notebook
$(NOTEBOOK)/.installed: requirements-notebook.txt $(INSTALLED)
	rm -rf $(NOTEBOOK)
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --target $(NOTEBOOK) \
	  -r requirements-notebook.txt
	touch $@

test-slow: $(NOTEBOOK)/.installed
	PYTHONPATH=$(abspath $(NOTEBOOK)) $(RUN) -m tests.runner -m "slow and not wheel"

notebook: $(NOTEBOOK)/.installed
	PYTHONPATH=$(abspath $(NOTEBOOK)) $(RUN) -m docs_pages.notebook notebooks/first_steps.ipynb

test-wheel: $(INSTALLED)
	$(RUN) -m pytest -s -m wheel tests/test_wheel.py

# Without their dependencies, which requirements.txt has.
RUNTIMES := build/runtimes
$(RUNTIMES)/.installed: requirements-runtimes.txt $(INSTALLED)
	rm -rf $(RUNTIMES)
	$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --target $(RUNTIMES) \
	  -r requirements-runtimes.txt
	touch $@

test-runtimes: $(RUNTIMES)/.installed
	PYTHONPATH=$(RUNTIMES) $(RUN) -m pytest -rs tests/serving/runtimes tests/serving/test_frame_export.py

# The libraries have a separate environment, so that all other tests run without them.
CONNECTORS := build/connectors
$(CONNECTORS)/.installed: requirements.txt requirements-connectors.txt
	rm -rf $(CONNECTORS)
	$(PYTHON) -m venv $(CONNECTORS)
	$(CONNECTORS)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(CONNECTORS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  -r requirements-connectors.txt
	touch $@

test-connectors: $(CONNECTORS)/.installed
	$(CONNECTORS)/bin/python -m pytest -rs tests/connectors

PACK ?= parity/extract parity/zoo_extract
parity: $(INSTALLED)
	$(RUN) -m parity --pack $(PACK) $(if $(filter command line,$(origin PACK)),--markdown=docs/parity.md)

docs: $(INSTALLED)
	$(RUN) -m docs_pages

# The site has a separate environment: it needs other packages, and nothing of TensorFlow.
SITE := build/site_environment
$(SITE)/.installed: requirements-site.txt
	rm -rf $(SITE)
	$(PYTHON) -m venv $(SITE)
	$(SITE)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-site.txt
	touch $@

# The theme prints its plans at each build unless the variable is set.
site: $(SITE)/.installed
	NO_MKDOCS_2_WARNING=1 $(SITE)/bin/python -m mkdocs build
	$(SITE)/bin/python -m docs_pages.site.links build/site

# These variables are passed on if they are given: PEER, PEER_PATH, PEER_IMPORT, ROWS, SIZES, RUNS.
bench: $(INSTALLED)
	$(RUN) -m benchmarks.run $(if $(PEER),--peer=$(PEER)) $(if $(PEER_PATH),--peer_path=$(PEER_PATH)) \
	  $(if $(PEER_IMPORT),--peer_import=$(PEER_IMPORT)) $(if $(ROWS),--rows=$(ROWS)) \
	  $(if $(SIZES),--sizes=$(SIZES)) $(if $(RUNS),--runs=$(RUNS))

zoo: $(INSTALLED)
	$(RUN) -m benchmarks.model_zoo

ablation: $(INSTALLED)
	$(RUN) -m benchmarks.ablation --output=build/ablation --docs=docs/ablation.md

beside: $(INSTALLED)
	$(RUN) -m benchmarks.beside_original --output=build/beside --docs=docs/training_parity.md --peer=$(PEER) \
	  $(if $(PEER_PATH),--peer_path=$(PEER_PATH)) $(if $(PEER_IMPORT),--peer_import=$(PEER_IMPORT))

endurance: $(INSTALLED)
	$(RUN) -m benchmarks.endurance --output=build/endurance --docs=docs/reliability.md

FILES ?= 100000
ANNOTATION_FILES ?= 5000
SEED ?= 1
fuzz: $(INSTALLED)
	$(RUN) -m tests.convert.fuzzer --files=$(FILES) --seed=$(SEED)
	TF_CPP_MIN_LOG_LEVEL=3 $(RUN) -m tests.data.annotation_fuzzer --files=$(ANNOTATION_FILES) \
	  --seed=$(SEED)

# pip-audit has a separate environment, because it needs other versions of shared packages.
audit:
	$(PYTHON) -m venv build/audit
	build/audit/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-audit.txt
	build/audit/bin/pip-audit --strict --no-deps --disable-pip -r requirements.txt -r requirements-connectors.txt \
	  -r requirements-notebook.txt -r requirements-site.txt

clean:
	rm -rf $(VENV) build
