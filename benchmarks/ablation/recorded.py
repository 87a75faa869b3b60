"""Figures of finished runs in one small file, which outlives their output folders.

The table of the docs comes from runs of several days and folders. This file keeps what the table
needs of each, so that it can be written again without them.
"""

import json
import os
from collections.abc import Mapping
from typing import Any

from benchmarks import kept_runs
from benchmarks.ablation import runs

# `seconds`, `starts` and `figures` of a run; see `runs.train`.
Result = dict[str, Any]
_KEYS = ('seconds', 'starts', 'figures')


def read(path: str, budget: runs.Budget) -> dict[str, Result]:
  """The results of finished runs by name; none if there is no file yet.

  Args:
    path: the file; '' for none.
    budget: budget that the runs must have had.

  Raises:
    ConfigError: the runs in the file had another budget.
  """
  if not path or not os.path.exists(path):
    return {}
  with open(path, encoding='ascii') as file:
    content: dict[str, Any] = json.load(file)
  kept_runs.check_settings(path, content, {'budget': budget._asdict()})
  found: dict[str, Result] = content['runs']
  return found


def write(path: str, budget: runs.Budget, results: Mapping[str, Result]) -> None:
  """Write the results of finished runs.

  Args:
    path: the file, which is replaced.
    budget: budget of the runs.
    results: result by name of the run; keys that the table does not need are left out.
  """
  kept = {
    name: {key: result[key] for key in _KEYS if key in result}
    for name, result in sorted(results.items())
  }
  kept_runs.write_json(path, {'budget': budget._asdict(), 'runs': kept})
