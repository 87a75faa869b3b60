"""Loading of a trained model for prediction."""

import os
from collections.abc import Sequence

from htc_tf import file_systems, files
from htc_tf.checkpoints import model_directory, restoration
from htc_tf.configs import task as task_config
from htc_tf.errors import InputError
from htc_tf.modeling.precision import computing_in
from htc_tf.serving.predictor import HTCPredictor, InputRule
from htc_tf.tasks.htc import HTCTask
from htc_tf.tasks.inputs import build_padding_rule


def load_model(
  path: files.PathLike, experiment: str | None = None, params_override: str | Sequence[str] = ''
) -> HTCPredictor:
  """A trained model; its Keras `predict` takes images.

  Args:
    path: model directory of the training command, whose latest checkpoint is loaded, or a
      checkpoint prefix such as `model/ckpt-1000`.
    experiment: name of the registered experiment of the weights; by default the configuration and
      the categories are read from files beside the checkpoint.
    params_override: text or texts with overrides in the form of the training command, such as
      `task.model.detection_generator.score_threshold=0.05`, or
      `runtime.mixed_precision_dtype=bfloat16` to compute in another type than in training.

  Returns:
    A model whose `predict` takes [batch, height, width, 3] uint8 RGB, or the images of other
    channels or 16 bits that it was made for; see `HTCPredictor.call`.
    `htc_tf.data.images.read_image(path).samples(model.sample_format)` reads a file to the pixels
    that all commands use: upright, for RGB models with palettes, CMYK and 16 bits converted.

  Raises:
    CheckpointError: there is no checkpoint, or its weights do not fit the configuration.
    ConfigError: the configuration cannot be built.
    InputError: `path` is not a path, or TensorFlow cannot use its file system.
  """
  if not isinstance(path, (str, os.PathLike)):
    raise InputError(
      'The model cannot be loaded',
      expected='a path',
      got=repr(path),
      likely_cause='a variable that was not set',
    )
  path = os.fspath(path)
  file_systems.check_usable(path, 'The model path (--model)')
  prefix = restoration.resolve(path)
  folder = file_systems.dirname(prefix)
  params = model_directory.load_experiment(folder, experiment, params_override)
  config = params.task
  with computing_in(params.runtime.mixed_precision_dtype):
    model = HTCTask(config).build_model()
  restoration.restore(prefix, {'model': model})
  return HTCPredictor(model, build_input_rule(config), model_directory.load_dataset_info(folder))


def build_input_rule(config: task_config.HTCTask) -> InputRule:
  """The rule by which evaluation resizes and pads images."""
  parser = config.validation_data.parser
  return InputRule(
    parser.min_sizes[0],
    parser.max_size,
    build_padding_rule(parser, config.model),
    config.model.sample_format,
    config.model.normalization,
  )
