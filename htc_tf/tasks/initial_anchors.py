"""Size of the anchors that initial weights were trained with."""

import os

from htc_tf import file_systems
from htc_tf.checkpoints import model_directory, restoration
from htc_tf.convert import conversion
from htc_tf.convert.checkpoint_file import read_checkpoint
from htc_tf.tasks.initialization import PUBLISHED_SUFFIXES

_PUBLISHED_SCALE = 8.0


def trained_scale(path: str, default: float) -> float | None:
  """Scale of the anchors that an RPN in a checkpoint was trained with, in strides.

  Args:
    path: initial weights, as `task.init_checkpoint`.
    default: scale if it cannot be known: there is no file, whose absence the start of a run
      reports, or no configuration beside a checkpoint.

  Returns:
    The scale, or None if the weights are those of a backbone without RPN.

  Raises:
    CheckpointError: the file is damaged or holds no known model.
    ConfigError: the configuration beside a checkpoint cannot be read.
  """
  if not (file_systems.exists(path) or file_systems.exists(f'{path}.index')):
    return default
  if path.endswith(PUBLISHED_SUFFIXES):
    name_map = conversion.find_name_map(read_checkpoint(path))
    return None if name_map.is_of_classifier else _PUBLISHED_SCALE
  folder = file_systems.dirname(restoration.resolve(path))
  if not file_systems.exists(os.path.join(folder, model_directory.PARAMS_FILE)):
    return default
  return model_directory.load_experiment(folder).task.model.anchor.scale
