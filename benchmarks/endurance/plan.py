"""The runs of the endurance test: which processes train, and which of them are killed when."""

import os
import sys
from typing import Any, NamedTuple

from benchmarks import local_workers
from benchmarks.scenes import dataset

_SIZE = 'nano'
_IMAGE_SIZE = 128
_BATCH_SIZE = 4
NUM_KILLS = 3
_MAX_INTERVAL = 100


class Run(NamedTuple):
  """One training from step 0 to its end.

  Attributes:
    name: name of the run in files.
    title: text in the table.
    seed: seed of initial weights, order of the data, sampling and augmentation.
    module: module that each process runs.
    num_processes: number of workers; 1 for a training in one process.
    kills: indices of the processes that are killed, for each of the kills.
  """

  name: str
  title: str
  seed: int
  module: str = 'htc_tf.cli.train'
  num_processes: int = 1
  kills: tuple[tuple[int, ...], ...] = ()

  def kill_steps(self, num_steps: int) -> list[int]:
    """The step after which each kill comes: all parts of the run are equally long."""
    parts = len(self.kills) + 1
    return [num_steps * part // parts for part in range(1, parts)]


# The undisturbed runs give the spread that the others are compared with.
UNDISTURBED = tuple(Run(f'alone_{seed}', f'one device, seed {seed}', seed) for seed in range(3))
# Its processes live for all steps, so that the growth of memory at the start can be told from one
# that lasts.
UNDISTURBED_WORKERS = Run('workers_alone', 'two workers, undisturbed', 0, num_processes=2)
DISTURBED = (
  Run(
    'mirrored',
    'two mirrored devices, killed three times',
    0,
    module='benchmarks.endurance.mirrored',
    kills=((0,),) * NUM_KILLS,
  ),
  Run(
    'workers',
    'two workers; the second, the first, then both are killed',
    0,
    num_processes=2,
    kills=((1,), (0,), (0, 1)),
  ),
)
RUNS = {run.name: run for run in (*UNDISTURBED, UNDISTURBED_WORKERS, *DISTURBED)}


def steps_per_epoch() -> int:
  """Number of steps in which each training picture is used once."""
  return dataset.SPLITS['train'] // _BATCH_SIZE


def interval(num_steps: int) -> int:
  """Steps between two checkpoints, and between two reports: several lie between two kills."""
  return max(1, min(_MAX_INTERVAL, num_steps // (2 * (NUM_KILLS + 1))))


def validation_interval(num_steps: int) -> int:
  """Steps between two evaluations."""
  return max(1, num_steps // 3)


def overrides(run: Run, num_steps: int) -> dict[str, Any]:
  """Overrides of the size `nano` for a run.

  Batch norms use the images of all devices, so that all runs compute the same.

  Args:
    run: the run.
    num_steps: number of its steps.
  """
  tree: dict[str, Any] = {
    'task': {
      'seed': run.seed,
      'model': {'norm_activation': {'use_sync_bn': True}},
      'validation_data': {'global_batch_size': 4},
    },
    'trainer': {
      'patience': 0,
      'num_pictures': 0,
      **dict.fromkeys(
        ('steps_per_loop', 'summary_interval', 'checkpoint_interval'), interval(num_steps)
      ),
      'validation_interval': validation_interval(num_steps),
    },
  }
  if run.num_processes > 1:
    tree['runtime'] = {'distribution_strategy': 'multi_worker_mirrored'}
  return tree


def command(run: Run, num_steps: int, records: str, model_dir: str, config: str) -> list[str]:
  """The command line of each process of a run.

  Args:
    run: the run.
    num_steps: number of its steps.
    records: folder of the records.
    model_dir: model directory.
    config: file of `overrides`.
  """
  return [
    sys.executable,
    '-m',
    run.module,
    '--mode=train_and_eval',
    f'--data={records}',
    f'--size={_SIZE}',
    f'--image_size={_IMAGE_SIZE}',
    f'--batch_size={_BATCH_SIZE}',
    f'--epochs={num_steps // steps_per_epoch()}',
    f'--model_dir={model_dir}',
    f'--config_file={config}',
  ]


def environments(run: Run) -> list[dict[str, str]]:
  """The environment of each process: several ones find each other by `TF_CONFIG`."""
  own = [{}] if run.num_processes == 1 else local_workers.environments(run.num_processes)
  return [{**os.environ, **each} for each in own]
