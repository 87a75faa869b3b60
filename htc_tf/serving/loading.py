"""Loading of a trained model for prediction."""

from collections.abc import Sequence

from htc_tf import files
from htc_tf.serving import members
from htc_tf.serving.members import Ensemble, LoadedModel
from htc_tf.serving.predictor import HTCPredictor, InputRule

_ALONE = Ensemble()


def load_model(
  path: files.PathLike,
  experiment: str | None = None,
  params_override: str | Sequence[str] = '',
  tta: str | None = None,
  ensemble: Ensemble | Sequence[files.PathLike] = _ALONE,
  constant_weights: bool = False,
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
    ensemble: models that detect together with this one, such as `['model_b', 'model_c']` or
      `Ensemble(['model_b'], level='detections')`. Their configurations may differ; their classes
      are those of this model. `params_override` and `tta` are for all of them, and the time is
      about that of all models together.
    constant_weights: whether the weights become constants, which pays for hundreds of images; see
      `HTCPredictor.freeze_weights`.

  Returns:
    A model whose `predict` takes [batch, height, width, 3] uint8 RGB, or the images of other
    channels or 16 bits that it was made for; see `HTCPredictor.call`.
    `htc_tf.data.images.read_image(path).samples(model.sample_format)` reads a file to the pixels
    that all commands use: upright, for RGB models with palettes, CMYK and 16 bits converted.

  Raises:
    CheckpointError: there is no checkpoint, or its weights do not fit the configuration.
    ConfigError: the configuration cannot be built.
    InputError: `path` is not a path, TensorFlow cannot use its file system, or a model of the
      ensemble has other classes, images or masks than this one; or the weights are too large for
      constants.
  """
  others = members.as_ensemble(ensemble)
  others.check()
  first = members.load_one(path, experiment, params_override, tta)
  loaded = [first, *members.load_others(first, others, params_override, tta)]
  predictor = HTCPredictor(
    [each.member for each in loaded],
    [rule for each in loaded for rule in _input_rules(each)],
    first.dataset_info,
    others.joining,
    first.config.model.detection_generator.mask_threshold,
  )
  if constant_weights:
    predictor.freeze_weights()
  return predictor


def _input_rules(loaded: LoadedModel) -> list[InputRule]:
  """The rules by which evaluation resizes and pads images, one for each scale."""
  model = loaded.config.model
  return [
    InputRule(
      scale.min_size, scale.max_size, scale.padding, model.sample_format, model.normalization
    )
    for scale in loaded.scales(is_alone=True)
  ]
