"""The record of every start of a training run, `run.json` in its model directory."""

import dataclasses
import datetime
import json
import os
import platform
import sys
from importlib import metadata
from typing import Any

from absl import logging
from official.core import config_definitions as cfg

from htc_tf import file_systems, files, version
from htc_tf.training import record_hash

RUN_FILE = 'run.json'
VERSION = 1


def append_start(
  model_dir: str, params: cfg.ExperimentConfig, command: list[str], step: int
) -> None:
  """Add a start to the model directory's `run.json`; if interrupted, keep the old file.

  Args:
    model_dir: model directory; it is created if missing.
    params: the resolved experiment.
    command: the command line.
    step: step at which the run continues; 0 for a new run.
  """
  path = os.path.join(model_dir, RUN_FILE)
  starts = [*read_starts(model_dir), _describe(params, command, step)]
  content = {'version': VERSION, 'starts': starts}
  files.write_bytes(path, (json.dumps(content, indent=1) + '\n').encode())


def read_starts(model_dir: str) -> list[dict[str, Any]]:
  """The starts so far, oldest first; an unreadable file is renamed to `run.json.damaged`."""
  path = os.path.join(model_dir, RUN_FILE)
  if not file_systems.exists(path):
    return []
  try:
    return list(json.loads(file_systems.read_bytes(path))['starts'])
  except (ValueError, KeyError, TypeError) as error:
    renamed = files.set_aside(path)
    logging.error(
      '%s is not a readable record of starts (%s). It is renamed to %s, and a new record is '
      'started. Likely cause: a full disk, or an edit by hand.',
      path,
      error,
      renamed,
    )
    return []


def _describe(params: cfg.ExperimentConfig, command: list[str], step: int) -> dict[str, Any]:
  return {
    'time': datetime.datetime.now(datetime.UTC).isoformat(timespec='seconds'),
    'command': command,
    'working_directory': os.getcwd(),
    'step': step,
    'machine': {
      'platform': platform.platform(),
      'python': sys.version.split()[0],
      'processor': platform.machine(),
      'num_cores': os.cpu_count(),
    },
    'packages': _installed_packages(),
    'data': {name: _hash(getattr(params.task, name)) for name in ('train_data', 'validation_data')},
    'configuration': params.as_dict(),
  }


def _hash(config: cfg.DataConfig) -> dict[str, Any] | None:
  """The hash of a pipeline's files; None if it has no input path."""
  if not config.input_path:
    return None
  return dataclasses.asdict(record_hash.hash_records(config.input_path))


def _installed_packages() -> dict[str, str]:
  found = {package.metadata['Name']: package.version for package in metadata.distributions()}
  return {
    **dict(sorted(found.items(), key=lambda item: item[0].lower())),
    'htc_tf': version.__version__,
  }
