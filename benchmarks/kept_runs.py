"""Runs of benchmarks that keep what is finished: their settings, files and processes."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from htc_tf import files
from htc_tf.errors import ConfigError, TrainingError

_LOG_LINES = 15


def check_settings(path: str, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
  """Compare the settings in a file with those of this start.

  Args:
    path: path of the file, for the message.
    found: settings in the file.
    wanted: settings of this start.

  Raises:
    ConfigError: they differ.
  """
  differing = [key for key in wanted if found.get(key) != wanted[key]]
  if differing:
    raise ConfigError(
      f'{path} was written with other settings, and one table cannot mix them',
      expected=json.dumps({key: wanted[key] for key in differing}),
      got=json.dumps({key: found.get(key) for key in differing}),
      likely_cause='other flags, or a benchmark that has changed; take another --output, or delete '
      'the folder of the runs',
    )


def keep_settings(path: str, wanted: Mapping[str, Any]) -> None:
  """Write the settings of the first start of a run, and compare them at later ones.

  Raises:
    ConfigError: an earlier start had other settings.
  """
  if not os.path.exists(path):
    write_json(path, wanted)
    return
  with open(path, encoding='ascii') as file:
    check_settings(path, json.load(file), wanted)


def call(command: Sequence[str], log: str, environment: Mapping[str, str] | None = None) -> None:
  """Run a command whose output is appended to a log; Ctrl-C ends it like SIGTERM.

  Args:
    command: words of the command.
    log: path of the log.
    environment: variables of the process; None for those of this one.

  Raises:
    TrainingError: its exit status is not 0.
  """
  with open(log, 'a', encoding='utf-8') as output:
    process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
    try:
      status = process.wait()
    except KeyboardInterrupt:
      process.terminate()  # SIGTERM, unlike Ctrl-C, may have come to this process alone.
      process.wait()
      raise
  if status:
    with open(log, encoding='utf-8', errors='replace') as lines:
      end = ''.join(lines.readlines()[-_LOG_LINES:])
    raise TrainingError(f'The training ended with status {status}', got=f'{log}, which ends\n{end}')


def write_json(path: str, content: Any) -> None:
  """Write a JSON file, completely or not at all."""
  files.write_bytes(path, (json.dumps(content, indent=1) + '\n').encode('ascii'))


def read_json(path: str) -> Any:
  """The content of a JSON file; None if it does not exist."""
  if not os.path.exists(path):
    return None
  with open(path, encoding='ascii') as file:
    return json.load(file)
