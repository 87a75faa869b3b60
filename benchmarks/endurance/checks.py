"""What must hold after a long training: its files, and the memory of its processes."""

import os
from collections.abc import Sequence

import numpy as np

from benchmarks.endurance.processes import Sample
from htc_tf.training import results_table, run_record

_FILES = (
  'checkpoint',
  'dataset.json',
  'model_card.md',
  'params.yaml',
  'results.csv',
  'results.png',
  'run.json',
)


def after_first_evaluation(samples: Sequence[Sample], validation_interval: int) -> list[Sample]:
  """The samples after all graphs of a process have run once, each of which takes memory.

  Args:
    samples: samples of one process in one start, in their order.
    validation_interval: steps between two evaluations.
  """
  if not samples:
    return []
  evaluation = (samples[0].step // validation_interval + 1) * validation_interval
  # The last report of a sample is at the step of the evaluation until the next report comes.
  return [sample for sample in samples if sample.step > evaluation]


def slope(samples: Sequence[Sample]) -> float | None:
  """Growth of the memory of a process in MB per 1000 steps, by least squares.

  Args:
    samples: samples of one process in one start.

  Returns:
    The growth; None if there are fewer than three different steps.
  """
  steps = np.array([sample.step for sample in samples], np.float64)
  if len(np.unique(steps)) < 3:
    return None
  sizes = np.array([sample.megabytes for sample in samples])
  return 1000 * float(np.polyfit(steps, sizes, 1)[0])


def find_faults(
  model_dir: str, num_steps: int, kill_steps: Sequence[int], interval: int
) -> list[str]:
  """What is wrong in the model directory of a finished run, as sentences; [] if nothing is.

  Args:
    model_dir: the model directory.
    num_steps: number of steps of the run.
    kill_steps: steps after which processes were killed.
    interval: steps between two checkpoints, and between two reports.
  """
  faults = [f'{name} is missing' for name in _FILES if not _exists(model_dir, name)]
  if faults:
    return faults
  rows = results_table.ResultsTable(model_dir, num_steps).rows
  reported = [int(row['step']) for row in rows if 'total_loss' in row]
  if missing := sorted({*range(interval, num_steps + 1, interval)} - {*reported}):
    faults.append(f'results.csv has no loss of the steps {missing}')
  if not all(np.isfinite(row['total_loss']) for row in rows if 'total_loss' in row):
    faults.append('results.csv has a loss that is not finite')
  if not rows or 'segm_AP' not in rows[-1] or int(rows[-1]['step']) != num_steps:
    faults.append(f'results.csv has no evaluation of step {num_steps}')
  faults += _faults_of_starts(model_dir, kill_steps, interval)
  faults += _faults_of_checkpoints(model_dir, num_steps)
  return faults


def _exists(model_dir: str, name: str) -> bool:
  path = os.path.join(model_dir, name)
  return os.path.isfile(path) and os.path.getsize(path) > 0


def _faults_of_starts(model_dir: str, kill_steps: Sequence[int], interval: int) -> list[str]:
  """The record has each start, and none lost more than what came after the last checkpoint."""
  steps = [start['step'] for start in run_record.read_starts(model_dir)]
  if len(steps) != 1 + len(kill_steps):
    return [f'run.json has {len(steps)} starts for {len(kill_steps)} kills']
  return [
    f'the start after the kill at step {kill} continued from step {step}'
    for kill, step in zip(kill_steps, steps[1:])
    if step < kill - interval
  ]


def _faults_of_checkpoints(model_dir: str, num_steps: int) -> list[str]:
  """The last checkpoint and the best one can be read whole, and no value is lost."""
  import tensorflow as tf

  faults = []
  last = tf.train.latest_checkpoint(model_dir)
  if last != os.path.join(model_dir, f'ckpt-{num_steps}'):
    faults.append(f'the last checkpoint is {last}')
  for path in filter(None, (last, tf.train.latest_checkpoint(os.path.join(model_dir, 'best')))):
    reader = tf.train.load_checkpoint(path)
    for name, kind in reader.get_variable_to_dtype_map().items():
      value = reader.get_tensor(name)
      if kind.is_floating and not np.isfinite(value).all():
        faults.append(f'{name} in {path} is not finite')
  if not os.path.isdir(os.path.join(model_dir, 'best')):
    faults.append('the folder of the best checkpoint is missing')
  return faults
