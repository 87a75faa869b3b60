"""A model with its pre- and postprocessing, which prediction and serving share."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import tensorflow as tf
import tf_keras

from htc_tf.data import preprocess
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.data.padding import DynamicSize, PaddingRule
from htc_tf.data.sample_format import RGB, SampleFormat
from htc_tf.errors import InputError
from htc_tf.evaluation.mask_paste import PUBLISHED_THRESHOLD
from htc_tf.modeling.ensemble import AVERAGING, Joining, Member, Prepared, detect_members
from htc_tf.modeling.keras_files import WithoutKerasFiles
from htc_tf.ops.without_autograph import without_autograph
from htc_tf.serving import detect_images, frozen_weights, semantic_map
from htc_tf.serving.detected_image import DetectedImage
from htc_tf.serving.export_format import ExportFormat
from htc_tf.serving.tiling import tiling_of

Images: TypeAlias = np.ndarray | tf.Tensor
# Types that Keras iterates over; `call` checks each of their batches.
_BATCHES = (tf.data.Dataset, tf.distribute.DistributedDataset, Iterator, tf_keras.utils.Sequence)


class InputRule(NamedTuple):
  """Rule for resizing and padding images.

  Attributes:
    min_size: short side after resizing, in pixels.
    max_size: limit of the long side, in pixels.
    padding: rule for the padded size.
    sample_format: channels and depth of the images.
    normalization: mean and standard deviation of each channel.
  """

  min_size: int
  max_size: int
  padding: PaddingRule
  sample_format: SampleFormat = RGB
  normalization: preprocess.Normalization = preprocess.PUBLISHED

  def bound(self, image_hw: tf.Tensor) -> DynamicSize:
    """Height and width that a resized image has to fit into, as in evaluation.

    Args:
      image_hw: [2] height and width in original pixels.
    """
    return self.padding.bound(preprocess.scaled_size(image_hw, self.min_size, self.max_size))

  def padded_hw(self, largest_hw: tf.Tensor) -> DynamicSize:
    """Height and width of the network input of a batch.

    It is the smallest bucket that holds every image of the batch. If there is none, both sides are
    rounded up to multiples of the divisor.

    Args:
      largest_hw: [2] int32 largest height and largest width of the resized images.
    """
    buckets, rounded = self.padding.buckets, self.padding.rounded(largest_hw)
    if len(buckets) == 1:
      return buckets[0]
    if not buckets:
      return rounded
    bucket = self.padding.bound(largest_hw)
    return tf.where(tf.reduce_all(largest_hw <= bucket), bucket, rounded)


class HTCPredictor(WithoutKerasFiles):
  """A trained model with its pre- and postprocessing; Keras `predict` takes images.

  It cannot be saved as a Keras model: `export.export_saved_model` writes a SavedModel.

  Args:
    members: the model with its weights; or several models, which detect together.
    input_rules: rules for resizing and padding images: those of the scales of the first member,
      then those of the second, and so on.
    dataset_info: names and ids of the classes; None if unknown.
    joining: how the results of several models become one.
    mask_threshold: smallest probability of a pixel of an object.
    **kwargs: passed to Model.

  Attributes:
    mask_threshold: the same; the masks of `predict` and `call` are probabilities.
  """

  def __init__(
    self,
    members: Sequence[Member],
    input_rules: Sequence[InputRule],
    dataset_info: DatasetInfo | None = None,
    joining: Joining = AVERAGING,
    mask_threshold: float = PUBLISHED_THRESHOLD,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self._autocast = False
    self.model = members[0].model
    self.other_models = [member.model for member in members[1:]]
    # Keras would wrap the fields of these attributes, but does not change a closure.
    self._members = lambda: members
    self._input_rules = lambda: input_rules
    self._dataset_info = lambda: dataset_info
    self._joining = joining
    # A single trace for images of all sizes; Keras would trace anew for each of the first sizes.
    sample_format = input_rules[0].sample_format
    spec = tf.TensorSpec([None, None, None, sample_format.num_channels], sample_format.dtype)
    self._traced = tf.function(self.call, input_signature=[spec], autograph=False)
    self.mask_threshold = mask_threshold
    self.built = True  # The model has its variables, so that weights can be loaded before a call.

  @property
  def dataset_info(self) -> DatasetInfo | None:
    """The classes, or None if unknown."""
    return self._dataset_info()

  @property
  def members(self) -> Sequence[Member]:
    """The model and its views; or several models, which detect together."""
    return self._members()

  @property
  def input_rules(self) -> Sequence[InputRule]:
    """Rules for resizing and padding images, at each scale of each member."""
    return self._input_rules()

  @property
  def max_hws(self) -> tuple[tuple[int, int], ...]:
    """Height and width that no network input exceeds, at each scale."""
    return tuple(rule.padding.max_hw for rule in self._input_rules())

  @property
  def sample_format(self) -> SampleFormat:
    """Channels and depth of the images; RGB of 8 bits unless the model was made for others."""
    return self._input_rules()[0].sample_format

  @property
  def class_agnostic_nms(self) -> bool:
    """Whether detections suppress those of other classes; of several models, the first decides."""
    return self.model.detection_generator.suppression.across_groups

  def in_format(self, export_format: ExportFormat) -> ExportFormat:
    """A format of outputs with the images, the threshold of masks and the NMS of this model."""
    return export_format._replace(
      **self.sample_format._asdict(),
      mask_threshold=self.mask_threshold,
      class_agnostic_nms=self.class_agnostic_nms,
    )

  @without_autograph
  def call(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
    """Detections in a batch of images of one size.

    Args:
      images: [batch, height, width, channels] of the type of `sample_format`: uint8 RGB, unless the
        model was made for other images.

    Returns:
      detection_boxes [batch, max_detections, 4] yxyx in pixels of the images,
      detection_scores and detection_classes (1..num_classes-1) [batch, max_detections],
      num_detections [batch], and with masks detection_masks [batch, max_detections, size, size]
      probabilities within each box. Rows from num_detections on are zero.

    Raises:
      InputError: the images have another rank, shape or type.
    """
    check_images(images, self.sample_format)
    return self.detect_prepared(*self.prepare(images), self.prepare_others(images))

  def freeze_weights(self) -> None:
    """Make the weights constants of the graph that `run`, `predict` and `detect` use.

    TensorFlow then computes once what depends only on weights, and a detection takes 5% less time
    on a CPU; but the first one takes much longer, and the memory grows by several times the size of
    the weights. This pays for hundreds of images. Later changes of the weights, such as by
    `load_weights`, do not change predictions any more.

    Raises:
      InputError: a graph cannot hold so large weights.
    """
    frozen_weights.check_fit(self.variables)
    spec = self._traced.input_signature[0]
    frozen = frozen_weights.with_constant_weights(self.call, [spec], self.variables)
    self._traced = lambda images: frozen(tf.convert_to_tensor(images, spec.dtype))

  def run(self, images: np.ndarray) -> dict[str, np.ndarray]:
    """The outputs of `call` for a batch of images, as arrays.

    Args:
      images: [batch, height, width, channels] as for `call`.
    """
    return {key: value.numpy() for key, value in self._traced(images).items()}

  @without_autograph
  def predict_step(self, data: Any) -> dict[str, tf.Tensor]:
    """The outputs of `call` for a batch of Keras' `predict`.

    Args:
      data: images, or a tuple whose first entry is images.
    """
    images, _, _ = tf_keras.utils.unpack_x_y_sample_weight(data)
    check_images(images, self.sample_format)
    return self._traced(images)

  def make_predict_function(self, force: bool = False) -> Callable[[Iterator], Any]:
    """The function from an iterator of batches to outputs that Keras' `predict` calls.

    On one device, it is no graph around the traced one: Keras would make such a graph for every
    size of images, and TensorFlow would optimize it anew, which takes as long as tracing it.

    Args:
      force: whether to make the function again.
    """
    is_compiled = getattr(self, 'optimizer', None) is not None  # It may run several steps at once.
    if is_compiled or self.distribute_strategy.num_replicas_in_sync > 1:
      return super().make_predict_function(force)
    self.predict_function = lambda iterator: self.predict_step(next(iterator))
    return self.predict_function

  def prepare(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Network input and image_info of one image, or of a batch of images of one size.

    Args:
      images: [height, width, channels] or [batch, height, width, channels], of the type of
        `sample_format`.

    Returns:
      The results of `preprocess.preprocess_image`.
    """
    return _prepared(images, self._input_rules()[0])

  def prepare_others(self, images: tf.Tensor) -> tuple[Prepared, ...]:
    """The results of `prepare` at the other scales, those of test-time augmentation and ensembles.

    Args:
      images: as for `prepare`.
    """
    return tuple(_prepared(images, rule) for rule in self._input_rules()[1:])

  def predict(
    self, x: Images | tf.data.Dataset | Iterator | tf_keras.utils.Sequence, **kwargs: Any
  ) -> dict[str, np.ndarray]:
    """Detections in images of one size, computed in batches of `batch_size`.

    Args:
      x: [num, height, width, channels] as for `call`, or a data set, iterator or Keras `Sequence`
        of such batches.
      **kwargs: passed to Keras' `predict`, such as `batch_size`.

    Returns:
      The outputs of `call`, as arrays for all images.

    Raises:
      InputError: the images have another rank, shape or type, or there are none.
    """
    if not isinstance(x, _BATCHES):
      check_images(x, self.sample_format)
      if x.shape[0] == 0:
        raise InputError(
          'There are no images',
          expected='one image or more',
          got=f'{list(x.shape)}',
          likely_cause='an empty selection',
        )
    return super().predict(x, **kwargs)

  def detect(
    self,
    images: detect_images.Images,
    score_threshold: float = 0.05,
    tile_size: int | None = None,
    tile_overlap: int | None = None,
    batch_size: int = 1,
  ) -> Iterator[DetectedImage]:
    """The detections in each image, as objects, one after another.

    Example:
      for image in model.detect('photos/', score_threshold=0.5):
        print(image.path, image.counts)
        image.draw()

    Args:
      images: a path of an image or of a folder of images, an array [height, width, channels] of the
        type of `sample_format` or a batch of such arrays, a Pillow image, or an iterable of these.
      score_threshold: detections with a lower score are left out.
      tile_size: side in pixels of the tiles in which larger images are detected; by default, images
        are seen as a whole. Each tile has at most the `max_detections` of the model. TIFF files are
        read tile by tile and may have any size.
      tile_overlap: pixels that neighboring tiles share; 128 by default. Objects across the borders
        of tiles are joined (`serving.tile_merging`), those without overlap are not.
      batch_size: number of tiles that are computed together.

    Raises:
      InputError: an image cannot be read, or is of another kind; or the threshold or a number for
        the tiles is out of range.
    """
    return detect_images.detect_images(
      images,
      self.run,
      self.in_format(ExportFormat()),
      self.dataset_info,
      score_threshold,
      tiling_of(tile_size, tile_overlap),
      batch_size,
    )

  def semantic_map(self, image: np.ndarray) -> np.ndarray:
    """The most probable class of the semantic branch (paper section 3.2) at each pixel.

    Of several models and views, the first one answers.

    Args:
      image: [height, width, channels] of the type of `sample_format`.

    Returns:
      [height, width] int32 labels, as in the semantic maps of the training records: if these were
      made from instances, 0 is the background, and label n is class n.

    Raises:
      InputError: the model has no semantic branch, or the image has another shape or type.
    """
    batch = np.asarray(image)[np.newaxis]
    check_images(batch, self.sample_format)
    inputs, info = _cropped(self._input_rules()[0], *self.prepare(tf.constant(batch)))
    features = {'images': inputs, 'image_shape': info[:, 1]}
    _, logits = self.model.extract(features, training=False)
    if logits is None:
      raise InputError(
        'There is no semantic map',
        expected='a model with a semantic branch',
        got='a model without it',
        likely_cause='a model that was trained with task.model.semantic_head.enabled=false',
      )
    height, width = map(int, info[0, 1])
    scale_y, scale_x = map(float, info[0, 2])
    stride = inputs.shape[1] // logits.shape[1]
    frame = semantic_map.Frame(batch.shape[1:3], (height, width), (scale_y, scale_x), stride)
    return semantic_map.most_probable(logits[0].numpy(), frame)

  def detect_prepared(
    self, inputs: tf.Tensor, info: tf.Tensor, others: Sequence[Prepared] = ()
  ) -> dict[str, tf.Tensor]:
    """Detections of the model, with boxes in the pixels of each image; image sizes may differ.

    Args:
      inputs: [batch, height, width, channels] as `prepare` returns it, or padded further.
      info: [batch, 4, 2] as `prepare` returns it.
      others: the same at the other scales, as `prepare_others` returns it.

    Returns:
      The outputs of `call`.
    """
    given = [(inputs, info), *others]
    prepared = [_cropped(rule, *each) for rule, each in zip(self._input_rules(), given)]
    outputs = detect_members(self._members(), prepared, self._joining).to_dict()
    scales, originals = info[:, 2], info[:, 0]
    boxes = outputs['detection_boxes'] / tf.tile(scales, [1, 2])[:, tf.newaxis]
    limits = tf.tile(originals, [1, 2])[:, tf.newaxis]
    return {**outputs, 'detection_boxes': tf.clip_by_value(boxes, 0.0, limits)}


def _prepared(images: tf.Tensor, rule: InputRule) -> Prepared:
  return preprocess.preprocess_image(
    images,
    rule.min_size,
    rule.max_size,
    rule.bound(tf.shape(images)[-3:-1]),
    rule.normalization,
  )


def _cropped(rule: InputRule, inputs: tf.Tensor, info: tf.Tensor) -> Prepared:
  """The inputs without padding that no image of the batch needs."""
  padded_hw = rule.padded_hw(tf.cast(tf.reduce_max(info[:, 1], 0), tf.int32))
  cropped = inputs[:, : padded_hw[0], : padded_hw[1]]
  if len(rule.padding.buckets) == 1:  # Parts of Model Garden need static shapes, also in an export.
    cropped = tf.ensure_shape(cropped, [None, *padded_hw, inputs.shape[-1]])
  return cropped, info


def check_images(images: Images, sample_format: SampleFormat = RGB) -> None:
  """Raise InputError unless `images` is a batch of images of a format.

  Args:
    images: images for a model.
    sample_format: channels and depth of the images.
  """
  if not isinstance(images, (np.ndarray, tf.Tensor, tf.Variable)):
    raise InputError(
      'The model cannot read these images',
      expected='an array or a tensor',
      got=type(images).__name__,
      likely_cause='file names, or a list of images: np.stack makes an array of images of one size',
    )
  shape, channels = tuple(images.shape), sample_format.num_channels
  if (
    len(shape) != 4
    or shape[-1] not in (channels, None)
    or images.dtype.name != sample_format.dtype
    or 0 in shape[1:3]
  ):
    raise InputError(
      'The model cannot read these images',
      expected=f'[batch, height, width, {channels}] {sample_format.array_type}',
      got=f'{list(shape)} {images.dtype.name}',
      likely_cause='a single image without the batch axis, gray or RGBA channels, '
      'or pixels already scaled to floats'
      if sample_format.is_rgb
      else 'a single image without the batch axis, channels first, or images of another kind than '
      'those of the training',
    )
