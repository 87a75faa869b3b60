"""Figures of finished runs in one small file, which outlives their output folders.

The table of a page comes from runs of several days and folders. This file keeps what the table
needs of each, so that it can be written again without them.
"""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import kept_runs

Result = dict[str, Any]


def read(path: str, settings: Mapping[str, Any]) -> dict[str, Result]:
  """The results of finished runs by name; none if there is no file yet.

  Args:
    path: the file; '' for none.
    settings: settings that the runs must have had.

  Raises:
    ConfigError: the runs in the file had other settings.
  """
  if not path or not os.path.exists(path):
    return {}
  with open(path, encoding='ascii') as file:
    content: dict[str, Any] = json.load(file)
  kept_runs.check_settings(path, content['settings'], settings)
  found: dict[str, Result] = content['runs']
  return found


def write(
  path: str, settings: Mapping[str, Any], results: Mapping[str, Result], keys: Sequence[str]
) -> None:
  """Write the results of finished runs.

  Args:
    path: the file, which is replaced.
    settings: settings of the runs.
    results: result by name of the run.
    keys: the entries of a result that are kept.
  """
  kept = {
    name: {key: result[key] for key in keys if key in result}
    for name, result in sorted(results.items())
  }
  kept_runs.write_json(path, {'settings': dict(settings), 'runs': kept})
