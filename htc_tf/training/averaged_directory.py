"""Model directories with the mean of the weights of several checkpoints."""

import json
import os
from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf
from absl import logging
from official.core import config_definitions as cfg

from htc_tf import file_systems, files, version
from htc_tf.checkpoints import averaging, model_card, model_directory, readability
from htc_tf.configs import data_validation
from htc_tf.modeling.htc_model import HTCModel
from htc_tf.modeling.precision import computing_in
from htc_tf.tasks import norm_statistics
from htc_tf.tasks.htc import HTCTask

RECORD_FILE = 'averaging.json'
_RECORD_VERSION = 1


class Averaged(NamedTuple):
  """What was averaged, and how the running statistics of batch norm were made.

  Attributes:
    checkpoints: prefixes of the checkpoints.
    exponential: those whose weights are exponential averages of a training already.
    norms: 'frozen' if the training leaves the statistics as they are, else 'averaged' or
      'estimated'.
    num_batches: number of training batches for the estimate; 0 without one.
  """

  checkpoints: Sequence[str]
  exponential: Sequence[str]
  norms: str
  num_batches: int

  def describe(self) -> str:
    """The result in words, a sentence per line."""
    names = ', '.join(self.checkpoints)
    lines = [
      f'mean of {len(self.checkpoints)} checkpoints: {names}',
      'the state of the optimizer and the step are left out: a training starts anew from the mean',
    ]
    if self.exponential:
      kept = 'all' if len(self.exponential) == len(self.checkpoints) else len(self.exponential)
      lines.append(
        f'{kept} of them hold exponential averages, as evaluations use them; these are averaged'
      )
    if self.norms == 'averaged':
      lines.append(
        'the running statistics of batch norm are averaged too, as published for detectors; '
        '--norm_batches=100 estimates them anew from the training data'
      )
    elif self.norms == 'estimated':
      lines.append(
        f'the running statistics of batch norm are those of {self.num_batches} training batches'
      )
    return '\n'.join(lines)


def write_averaged_directory(
  prefixes: Sequence[str],
  output: str,
  experiment: str | None = None,
  params_override: str | Sequence[str] = '',
  norm_batches: int = 0,
) -> Averaged:
  """Average checkpoints, and write a model directory, completely or not at all.

  The directory holds the checkpoint `ckpt-0`, `params.yaml` and `dataset.json` of the last
  checkpoint, `averaging.json` and `model_card.md`. Prediction, evaluation, export and
  `task.init_checkpoint` accept it.

  Args:
    prefixes: prefixes of two or more checkpoints; the last one has the configuration.
    output: a folder that does not exist yet, or an empty one.
    experiment: experiment of checkpoints without a configuration beside them.
    params_override: overrides of the configuration.
    norm_batches: number of training batches from which the running statistics of batch norm are
      estimated; 0 to average them.

  Raises:
    CheckpointError: a checkpoint cannot be read, is not finite, or differs from the others.
    ConfigError: the configuration cannot be built, or there are no records to estimate from.
    InputError: `output` is in use or cannot be created, there is only one checkpoint, or there are
      no statistics to estimate.
  """
  files.check_new_folder(output, 'an earlier mean; remove it or name another folder')
  averaging.check_alike(prefixes)
  source = file_systems.dirname(prefixes[-1])
  params = model_directory.load_experiment(source, experiment, params_override)
  _warn_of_other_models(prefixes, params)
  if norm_batches:
    data_validation.validate_data(params.task.train_data, params.task.model, 'task.train_data')
  with computing_in(params.runtime.mixed_precision_dtype):
    task = HTCTask(params.task)
    model = task.build_model()
    averaging.load_mean(model, prefixes)
    norms = 'averaged' if norm_statistics.has_running_statistics(model) else 'frozen'
    if norm_batches:
      norm_statistics.estimate(task, model, norm_batches)
      norms = 'estimated'
  exponential = [prefix for prefix in prefixes if readability.has_averages(prefix)]
  averaged = Averaged(list(prefixes), exponential, norms, norm_batches)
  with files.new_folder_when_written(output, last='checkpoint') as folder:
    model_directory.copy_description(source, folder)
    if experiment or params_override:
      model_directory.save_params(folder, params)
    _write_record(averaged, folder)
    _write_model(averaged, model, params, folder)
  return averaged


def _write_record(averaged: Averaged, folder: str) -> None:
  record = {
    'version': _RECORD_VERSION,
    'htc_tf_version': version.__version__,
    **averaged._asdict(),
  }
  text = json.dumps(record, indent=2) + '\n'
  files.write_bytes(os.path.join(folder, RECORD_FILE), text.encode())


def _write_model(
  averaged: Averaged, model: HTCModel, params: cfg.ExperimentConfig, folder: str
) -> None:
  """Write the checkpoint and the card of the model."""
  checkpoint = tf.train.Checkpoint(model=model, **model.checkpoint_items)
  manager = tf.train.CheckpointManager(checkpoint, folder, max_to_keep=1)
  prefix = manager.save(checkpoint_number=0)
  info = model_directory.load_dataset_info(folder)
  rows = {'mean of': ', '.join(averaged.checkpoints), 'statistics of batch norm': averaged.norms}
  title = f'Mean of {len(averaged.checkpoints)} checkpoints'
  model_card.write(folder, title, params.task.model, info, {'Averaging': rows}, prefix)


def _warn_of_other_models(prefixes: Sequence[str], params: cfg.ExperimentConfig) -> None:
  """Warn if a checkpoint belongs to a model with other options, although its variables fit."""
  used = params.task.model.as_dict()
  source = file_systems.dirname(prefixes[-1])
  for folder in sorted({file_systems.dirname(prefix) for prefix in prefixes} - {source}):
    run = model_directory.load_run(folder)
    other = used if run is None else run.task.model.as_dict()
    different = [f'task.model.{name}' for name in used if used[name] != other.get(name)]
    if different:
      logging.warning(
        'The models of %s and %s differ in %s. The mean has the configuration of the latter.',
        folder,
        source,
        ', '.join(different),
      )
