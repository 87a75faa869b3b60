"""Runs of the training command in subprocesses with small models, and readers of their files."""

import os
import pathlib
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from official.modeling import hyperparams

from tests import tiny_records

ROOT = pathlib.Path(__file__).parents[1]
_TIMEOUT_S = 600


def write_config(path: pathlib.Path, records: str, num_steps: int, overrides=None) -> str:
  """A configuration file of a small model that saves a checkpoint and summaries every step."""
  params = tiny_records.reduced('htc_nuclei', records)
  params.task.train_data.seed = None
  params.task.model.cascade.stages = params.task.model.cascade.stages[:2]
  params.override(
    {
      'trainer': {
        'train_steps': num_steps,
        'steps_per_loop': 1,
        'summary_interval': 1,
        'checkpoint_interval': 1,
        'validation_interval': num_steps,
        'validation_steps': -1,
      }
    }
  )
  params.override(overrides or {})
  hyperparams.save_params_dict_to_yaml(params, str(path))
  return str(path)


def command(
  model_dir: pathlib.Path, config: str, overrides: str, mode: str, flags: Sequence[str] = ()
) -> list[str]:
  """The command line of the training command."""
  return [
    sys.executable,
    'train.py',
    '--experiment=htc_nuclei',
    f'--mode={mode}',
    f'--model_dir={model_dir}',
    f'--config_file={config}',
    f'--params_override={overrides}',
    *flags,
  ]


def start(
  model_dir: pathlib.Path,
  config: str,
  overrides: str = '',
  mode: str = 'train',
  env=None,
  flags: Sequence[str] = (),
  **popen_args,
) -> subprocess.Popen:
  """Start the command and return its process; output goes to a pipe unless `stdout` is given."""
  return subprocess.Popen(
    command(model_dir, config, overrides, mode, flags),
    cwd=ROOT,
    stderr=subprocess.STDOUT,
    text=True,
    env={**os.environ, **(env or {})},
    **{'stdout': subprocess.PIPE, **popen_args},
  )


def finish(process: subprocess.Popen) -> tuple[int, str | None]:
  """(exit status, output) of a process; if it takes too long, it is killed and the test fails."""
  try:
    output, _ = process.communicate(timeout=_TIMEOUT_S)
  finally:
    process.kill()
  return process.returncode, output


def train(model_dir: pathlib.Path, config: str, overrides: str = '', mode: str = 'train') -> str:
  """Run the command to its end and return its output."""
  status, output = finish(start(model_dir, config, overrides, mode))
  assert status == 0, output[-5000:]
  return output


def summaries(model_dir: pathlib.Path) -> dict[tuple[int, str], bytes]:
  """The bytes of every training figure except speed and memory, by (step, tag).

  The last value of each wins.
  """
  found = {}
  for path in sorted((model_dir / 'train').glob('events*')):
    for event in tf.compat.v1.train.summary_iterator(str(path)):
      for value in event.summary.value:
        if not value.tag.startswith(('speed/', 'memory/')):
          found[event.step, value.tag] = (
            value.tensor.tensor_content or str(list(value.tensor.float_val)).encode()
          )
  return found


def tensors(prefix: str) -> dict[str, np.ndarray]:
  """All tensors of a checkpoint except the object graph and the number of saves."""
  reader = tf.train.load_checkpoint(prefix)
  return {
    key: reader.get_tensor(key)
    for key in reader.get_variable_to_shape_map()
    if key != '_CHECKPOINTABLE_OBJECT_GRAPH' and not key.startswith('save_counter')
  }


def assert_same(actual: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
  """Fail unless all tensors are equal bit for bit."""
  assert actual.keys() == expected.keys()
  different = [key for key, value in actual.items() if value.tobytes() != expected[key].tobytes()]
  assert not different
