"""A run of the endurance test, from its first start to the file of its figures."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from benchmarks import kept_runs
from benchmarks.endurance import checks, plan
from benchmarks.endurance.processes import Sample, Start
from htc_tf import files
from htc_tf.training import results_table

_KEPT_SAMPLES = 300  # Of a process.


def read(path: str, num_steps: int) -> dict[str, Any] | None:
  """The figures of a finished run; None if it is not finished.

  Args:
    path: file of the figures.
    num_steps: expected number of steps.

  Raises:
    ConfigError: the run had another number of steps.
  """
  if not os.path.exists(path):
    return None
  with open(path, encoding='ascii') as file:
    result: dict[str, Any] = json.load(file)
  kept_runs.check_settings(path, result, {'steps': num_steps})
  return result


def train(run: plan.Run, num_steps: int, records: str, folder: str) -> dict[str, Any]:
  """Train with the kills of the plan, and return and write what was found.

  A folder of the same name from an earlier attempt must not exist: a run that was stopped by hand
  has one more start than the plan.

  Args:
    run: the run.
    num_steps: number of steps.
    records: folder of the records.
    folder: folder of all runs.

  Returns:
    Contents of `NAME.json`: `steps`, `seconds`, `kills` (for each: `at` step, `statuses` of the
    processes), `box_AP` and `mask_AP` of the last step from 0 to 1 (None if it was not evaluated),
    `memory` (samples of all processes: start, process, step of the last report, megabytes),
    `slopes` (see `slopes`),
    `losses` (step and loss of each report), and `faults` (sentences).

  Raises:
    TrainingError: a process failed, or did not end after another one was killed.
  """
  model_dir = os.path.join(folder, run.name)
  os.makedirs(model_dir)
  begin = time.monotonic()
  samples, kills = _train_with_kills(run, num_steps, records, model_dir)
  seconds = time.monotonic() - begin
  table = results_table.ResultsTable(model_dir, num_steps)
  result = {
    'steps': num_steps,
    'seconds': seconds,
    'kills': kills,
    'box_AP': table.rows[-1].get('bbox_AP'),
    'mask_AP': table.rows[-1].get('segm_AP'),
    'memory': _thinned(samples),
    'losses': table.values('total_loss'),
    'faults': checks.find_faults(
      model_dir, num_steps, [kill['at'] for kill in kills], plan.interval(num_steps)
    ),
  }
  result['slopes'] = slopes(result)
  path = os.path.join(folder, f'{run.name}.json')
  kept_runs.write_json(path, result)
  return result


def _train_with_kills(
  run: plan.Run, num_steps: int, records: str, model_dir: str
) -> tuple[list[Sample], list[dict[str, Any]]]:
  """The samples of all processes, and each kill with its step and the exit statuses."""
  config = f'{model_dir}.yaml'
  files.write_bytes(config, yaml.safe_dump(plan.overrides(run, num_steps)).encode())
  command = plan.command(run, num_steps, records, model_dir, config)
  logs = [f'{model_dir}_{index}.log' for index in range(run.num_processes)]
  samples: list[Sample] = []
  kills: list[dict[str, Any]] = []
  for number, (step, indices) in enumerate(zip(run.kill_steps(num_steps), run.kills)):
    start = Start(command, plan.environments(run), logs, number)
    samples += start.watch(lambda: last_step(model_dir), step)
    kills.append({'at': last_step(model_dir), 'statuses': start.kill(indices)})
  start = Start(command, plan.environments(run), logs, len(kills))
  samples += start.watch(lambda: last_step(model_dir), None)
  return samples, kills


def last_step(model_dir: str) -> int:
  """The last step with a loss in the table of results; 0 if there is none."""
  losses = results_table.ResultsTable(model_dir, 2**62).values('total_loss')
  return losses[-1][0] if losses else 0


def slopes(result: Mapping[str, Any]) -> list[float | None]:
  """The growth of the memory of each process in MB per 1000 steps.

  It is that after the first evaluation, in the start that had the most steps after it; None for a
  process that had too few.

  Args:
    result: contents of the file of a run; see `train`.
  """
  starts: dict[int, dict[int, list[Sample]]] = {}
  for sample in (Sample(*row) for row in result['memory']):
    starts.setdefault(sample.process, {}).setdefault(sample.start, []).append(sample)
  interval = plan.validation_interval(result['steps'])
  found = []
  for _, samples in sorted(starts.items()):
    kept = [checks.after_first_evaluation(each, interval) for each in samples.values()]
    longest = max(kept, key=lambda each: each[-1].step - each[0].step if each else -1)
    found.append(checks.slope(longest))
  return found


def _thinned(samples: Sequence[Sample]) -> list[list[float]]:
  """About `_KEPT_SAMPLES` of each process, each as [start, process, step, megabytes]."""
  kept: list[Sample] = []
  for process in sorted({sample.process for sample in samples}):
    own = [sample for sample in samples if sample.process == process]
    kept += own[:: max(1, len(own) // _KEPT_SAMPLES)]
  return [[*sample[:3], round(sample.megabytes, 1)] for sample in kept]
