"""Loading of a trained model for prediction."""

import os
from collections.abc import Sequence

from htc_tf import file_systems, files
from htc_tf.checkpoints import model_directory, restoration
from htc_tf.configs import overrides, validation
from htc_tf.configs import task as task_config
from htc_tf.configs.detection_views import overrides_of
from htc_tf.errors import InputError
from htc_tf.modeling.precision import computing_in
from htc_tf.serving.predictor import HTCPredictor, InputRule, PredictionViews
from htc_tf.tasks import detection_views
from htc_tf.tasks.htc import HTCTask


def load_model(
  path: files.PathLike,
  experiment: str | None = None,
  params_override: str | Sequence[str] = '',
  tta: str | None = None,
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
    tta: test-time augmentation: sizes of the short side and `flip`, such as `'640,800+flip'`,
      `'flip'` or `'none'`; None for the `task.test_time_augmentation` of the configuration. The
      time is about that of all views together.

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
  if tta is not None:
    overrides.apply(params, overrides_of(tta))
  validation.validate_views(config)
  with computing_in(params.runtime.mixed_precision_dtype):
    model = HTCTask(config).build_model()
  restoration.restore(prefix, {'model': model})
  rules = _input_rules(config)
  views = PredictionViews(
    rules[1:],
    config.test_time_augmentation.horizontal_flip,
    detection_views.fusion(config),
  )
  return HTCPredictor(model, rules[0], model_directory.load_dataset_info(folder), views)


def _input_rules(config: task_config.HTCTask) -> tuple[InputRule, ...]:
  """The rules by which evaluation resizes and pads images, one for each scale."""
  return tuple(
    InputRule(*scale, config.model.sample_format, config.model.normalization)
    for scale in detection_views.scales(config)
  )
