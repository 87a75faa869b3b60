"""Loading a trained model to predict with."""

import os

from htc_tf import files
from htc_tf.checkpoints import model_directory, restoration
from htc_tf.configs import task as task_config
from htc_tf.errors import InputError
from htc_tf.modeling.precision import computing_in
from htc_tf.serving.predictor import HTCPredictor, InputRule
from htc_tf.tasks.htc import HTCTask
from htc_tf.tasks.inputs import build_frame_rule


def load_model(
  path: files.PathLike, experiment: str | None = None, params_override: str = ''
) -> HTCPredictor:
  """Loads a trained model; Keras `predict` on it takes pictures.

  Args:
    path: a model directory of the training command (its latest checkpoint is taken), or a
      checkpoint prefix such as `model/ckpt-1000`.
    experiment: registered experiment the weights belong to; by default the configuration and the
      categories lie beside the checkpoint.
    params_override: overrides of the configuration, as the training command takes them, e.g.
      `task.model.detection_generator.score_threshold=0.05`; or
      `runtime.mixed_precision_dtype=bfloat16` to compute in another type than in training.

  Returns:
    A model whose `predict` answers [batch, height, width, 3] uint8 RGB; see `HTCPredictor.call`.

  Raises:
    CheckpointError: no checkpoint there, or one of another configuration.
    ConfigError: a configuration that cannot be built.
    InputError: a `path` that is none.
  """
  if not isinstance(path, (str, os.PathLike)):
    raise InputError(
      'There is no model of that name',
      expected='a path',
      got=repr(path),
      likely_cause='a variable that was not set',
    )
  path = os.fspath(path)
  prefix = restoration.resolve(path)
  folder = os.path.dirname(prefix)
  params = model_directory.load_experiment(folder, experiment, params_override)
  config = params.task
  with computing_in(params.runtime.mixed_precision_dtype):
    model = HTCTask(config).build_model()
  restoration.restore(prefix, {'model': model})
  return HTCPredictor(model, build_input_rule(config), model_directory.load_dataset_info(folder))


def build_input_rule(config: task_config.HTCTask) -> InputRule:
  """The input rule of the validation data."""
  parser = config.validation_data.parser
  return InputRule(
    parser.min_sizes[0],
    parser.max_size,
    tuple(config.model.input_size[:2]),
    None if config.model.uses_static_size else config.model.size_divisor,
    build_frame_rule(parser, config.model).sizes,
  )
