"""Detection in one frame as a graph of plain operations, which other runtimes have as well."""

from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras

from htc_tf.data import preprocess
from htc_tf.errors import InputError
from htc_tf.modeling.htc_model import HTCModel
from htc_tf.ops import plain
from htc_tf.serving import lowering
from htc_tf.serving.frame import FrameRule
from htc_tf.serving.predictor import HTCPredictor, InputRule

INPUTS = ('images', 'image_shape')
# Parts of names of operations that only TensorFlow has.
_NOT_PLAIN = ('NonMaxSuppression', 'Ragged', 'Sparse', 'PyFunc', 'String', 'Unique')
_REFUSED = 'The model cannot be exported for other runtimes'


class FrameGraph(tf.Module):
  """Detection in a single image that lies in a frame; see `frame.place`.

  Inputs:
    images: [1, height, width, channels] uint8, or uint16 for models of 16 bits: the resized image
      in the upper left corner. The other pixels may have any values.
    image_shape: [1, 2] float32 height and width of the resized image.

  Outputs, those of `HTCPredictor.call` with boxes in pixels of the frame:
    detection_boxes [1, max_detections, 4] float32 yxyx, detection_scores [1, max_detections]
    float32, detection_classes [1, max_detections] int32 from 1 on, num_detections [1] int32, and
    with masks detection_masks [1, max_detections, size, size] float32 probabilities in each box.
    Rows from num_detections on are zero.

  Args:
    predictor: a single model that sees each image once, in float32.
    height: height of the frame.
    width: width of the frame.

  Attributes:
    rule: how an image is placed in the frame.
    detect: the function from the inputs to the outputs; it has a fixed signature.

  Raises:
    InputError: the predictor has several models or views, computes in 16 bits, cannot read frames
      of this size, or has parts with other than plain operations.
  """

  def __init__(self, predictor: HTCPredictor, height: int, width: int):
    super().__init__()
    model, rule = _only_view(predictor)
    lowering.check_size(model, (height, width), 1, _REFUSED)
    self.rule = FrameRule(
      height, width, rule.min_size, rule.max_size, *rule.sample_format._asdict().values()
    )
    self.normalization = rule.normalization
    self.model_variables = list(predictor.variables)

    def detect(images: tf.Tensor, image_shape: tf.Tensor) -> dict[str, tf.Tensor]:
      with plain.only_plain_operations():
        shape = tf.clip_by_value(image_shape, 1.0, tf.constant([[height, width]], tf.float32))
        inputs = {'images': _normalized(images, shape, rule), 'image_shape': shape}
        return model.detect(inputs).to_dict()

    self.detect = tf.function(detect, autograph=False, input_signature=self.signature)
    _check_plain(self.detect.get_concrete_function())

  @property
  def signature(self) -> list[tf.TensorSpec]:
    """Shapes and types of the inputs."""
    rule = self.rule
    shape, dtype = [1, rule.height, rule.width, rule.num_channels], tf.as_dtype(f'uint{rule.bits}')
    return [tf.TensorSpec(shape, dtype, INPUTS[0]), tf.TensorSpec([1, 2], tf.float32, INPUTS[1])]


def _normalized(images: tf.Tensor, image_shape: tf.Tensor, rule: InputRule) -> tf.Tensor:
  """The normalized images [1, height, width, channels], 0 outside `image_shape` [1, 2]."""
  rows, columns = (
    tf.range(images.shape[axis], dtype=tf.float32) < image_shape[:, axis - 1] for axis in (1, 2)
  )
  inside = (rows[:, None] & columns)[None, :, :, None]  # [1, height, width, 1]
  return tf.where(inside, preprocess.normalize(images, rule.normalization), 0.0)


class _View(NamedTuple):
  model: HTCModel
  rule: InputRule


def _only_view(predictor: HTCPredictor) -> _View:
  members, rules = predictor.members, predictor.input_rules
  first = members[0]
  if len(members) > 1 or len(rules) > 1 or first.mirrors or first.fusion.area_ranges:
    raise InputError(
      _REFUSED,
      expected='a single model that sees each image once',
      got=f'{len(members)} model(s), {len(rules)} scale(s)'
      + ', mirrored views' * first.mirrors
      + ', area ranges' * bool(first.fusion.area_ranges),
      likely_cause='an ensemble, or test-time augmentation in the configuration: --tta=none',
    )
  dtypes = {x.compute_dtype for x in first.model.submodules if isinstance(x, tf_keras.layers.Layer)}
  if dtypes != {'float32'}:
    raise InputError(
      _REFUSED,
      expected='a model that computes in float32',
      got=', '.join(sorted(dtypes)),
      likely_cause='a training with mixed precision; its weights are float32: '
      '--params_override=runtime.mixed_precision_dtype=float32',
    )
  return _View(first.model, rules[0])


def _check_plain(concrete: Any) -> None:
  """Raise InputError if a traced function holds operations that only TensorFlow has."""
  definition = concrete.graph.as_graph_def()
  nodes = [*definition.node, *(x for f in definition.library.function for x in f.node_def)]
  found = {node.op for node in nodes if any(part in node.op for part in _NOT_PLAIN)}
  if found:
    raise InputError(
      _REFUSED,
      expected='plain operations, which other runtimes have as well',
      got=', '.join(sorted(found)),
      likely_cause="Model Garden's proposals or RoI aligner; the published parts have equals of "
      'plain operations',
    )
