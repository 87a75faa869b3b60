"""Initial weights of a training run."""

from collections.abc import Sequence

from absl import logging

from htc_tf.checkpoints import restoration
from htc_tf.convert.checkpoint_file import read_checkpoint
from htc_tf.convert.conversion import Allowed, convert_checkpoint
from htc_tf.errors import ConfigError
from htc_tf.modeling.htc_model import HTCModel

# Suffixes of published files, which are converted; every other path is a TensorFlow checkpoint.
PUBLISHED_SUFFIXES = ('.pth', '.pt', '.pdparams')


def initialize(model: HTCModel, path: str | None, modules: str | Sequence[str]) -> None:
  """Load the weights that a run without checkpoints starts from.

  A published file is converted in memory. If its number of classes differs from the model's, the
  layers that depend on this number keep their initial values.

  Args:
    model: the model; its weights are changed.
    path: `task.init_checkpoint`: a checkpoint, a directory with checkpoints, or a published file.
      None keeps the random weights.
    modules: `task.init_checkpoint_modules`: 'all', or names of the parts to load.

  Raises:
    CheckpointError: the checkpoint is missing or has another configuration.
    ConfigError: `modules` names an unknown part.
  """
  if not path:
    logging.warning(
      'task.init_checkpoint is not set: training starts from random weights. The published '
      'schedules start from an ImageNet backbone.'
    )
    return
  parts = _part_names(model, modules)
  if path.endswith(PUBLISHED_SUFFIXES):
    result = convert_checkpoint(read_checkpoint(path), model, Allowed(class_mismatch=True), parts)
    logging.info('%s: %s', path, result.describe())
  elif parts is None:
    restoration.restore(path, {'model': model})
  else:
    restoration.restore(path, {name: model.checkpoint_items[name] for name in parts})


def _part_names(model: HTCModel, modules: str | Sequence[str]) -> list[str] | None:
  """Names of the parts to load; None for the whole model."""
  if modules == 'all':
    return None
  names = [modules] if isinstance(modules, str) else list(modules)
  unknown = [name for name in names if name not in model.checkpoint_items]
  if unknown:
    raise ConfigError(
      'task.init_checkpoint_modules names unknown parts',
      expected=f"'all' or some of {sorted(model.checkpoint_items)}",
      got=str(unknown),
    )
  return names
