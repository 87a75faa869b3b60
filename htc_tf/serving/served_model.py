"""The signatures that an export holds."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from htc_tf.serving import checked_inputs, encoded_images, frozen_weights, mask_paste_graph
from htc_tf.serving import export_format as format_lib
from htc_tf.serving.export_format import ExportFormat
from htc_tf.serving.predictor import HTCPredictor, Prepared


class ServedModel(tf.Module):
  """The signatures of a predictor, without any Keras object.

  Loading a SavedModel of Keras layers requires their classes. This module has only graphs, so that
  it can be loaded without htc_tf, Model Garden and Keras. The signatures share one graph from
  network inputs to outputs, which holds the weights; see `frozen_weights`.

  Signatures, each with one input named `inputs` as in Model Garden. An empty batch gives empty
  outputs. Another shape is an error that states the expected one and the given one.
    serving_default: [batch, height, width, channels] of the predictor's `sample_format`: uint8 RGB
      unless the model was made for other images.
    image_bytes: [batch] string, JPEG or PNG files of any sizes, or NPY files for other images than
      RGB; they are turned upright by their EXIF orientation, see `encoded_images`.
    tf_example: [batch] string, serialized tf.train.Example with such a file in `image/encoded`.

  Outputs of all signatures:
    detection_boxes: [batch, max_detections, 4] float32 yxyx, in the form of the export; in encoded
      images, in the upright image.
    detection_scores: [batch, max_detections] float32.
    detection_classes: [batch, max_detections] int32; the first class is 1.
    num_detections: [batch] int32; rows from this number on are zero.
    detection_masks: [batch, max_detections, ...] in the form of the export, if the model has masks.
    image_info: [batch, 4, 2] float32; rows are height and width of the image, the same after
      resizing, the scales (resized / original), and zeros.
    error_code: [batch] int32, see `export_format`. If it is not 0, all other outputs are zero.

  Args:
    predictor: model with its weights.
    export_format: form of boxes and masks.
  """

  def __init__(self, predictor: HTCPredictor, export_format: ExportFormat):
    super().__init__()
    variables = list(predictor.variables)
    # A SavedModel stores only variables that an attribute refers to.
    self.model_variables = [] if frozen_weights.fit(variables) else variables
    postprocess = frozen_weights.with_constant_weights(
      _build_postprocess(predictor, export_format), _specs(predictor), variables
    )

    def from_images(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
      images, num = checked_inputs.images_or_one(inputs, predictor.sample_format)
      codes = tf.zeros([tf.shape(images)[0]], tf.int32)
      outputs = postprocess(*predictor.prepare(images), codes, predictor.prepare_others(images))
      return _first_rows(outputs, num)

    def from_strings(
      inputs: tf.Tensor, image_of: Callable[[tf.Tensor], tf.Tensor]
    ) -> dict[str, tf.Tensor]:
      strings, num = checked_inputs.strings_or_one(inputs)
      prepared = encoded_images.prepare(strings, predictor, export_format.max_pixels, image_of)
      return _first_rows(postprocess(*prepared), num)

    def from_bytes(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
      return from_strings(inputs, tf.identity)

    def from_examples(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
      return from_strings(inputs, encoded_images.image_of_example)

    # Without static shapes; see `checked_inputs`.
    strings = tf.TensorSpec(None, tf.string, name='inputs')
    images = tf.TensorSpec(None, tf.as_dtype(predictor.sample_format.dtype), name='inputs')
    self.served = {
      'serving_default': tf.function(from_images, autograph=False, input_signature=[images]),
      'image_bytes': tf.function(from_bytes, autograph=False, input_signature=[strings]),
      'tf_example': tf.function(from_examples, autograph=False, input_signature=[strings]),
    }


def _specs(predictor: HTCPredictor) -> list[Any]:
  """Types of the results of `encoded_images.prepare`."""
  num_channels = predictor.sample_format.num_channels
  prepared = (tf.TensorSpec([None, None, None, num_channels]), tf.TensorSpec([None, 4, 2]))
  others = (prepared,) * (len(predictor.max_hws) - 1)
  return [*prepared, tf.TensorSpec([None], tf.int32), others]


def _build_postprocess(
  predictor: HTCPredictor, export_format: ExportFormat
) -> Callable[..., dict[str, tf.Tensor]]:
  """The function from the results of `encoded_images.prepare` to the outputs."""

  def postprocess(
    inputs: tf.Tensor, info: tf.Tensor, error_code: tf.Tensor, others: tuple[Prepared, ...]
  ) -> dict[str, tf.Tensor]:
    outputs = {**predictor.detect_prepared(inputs, info, others), 'image_info': info}
    outputs = {
      key: _zero_unless(error_code == format_lib.READ, value) for key, value in outputs.items()
    }
    boxes, original_hw = outputs['detection_boxes'], info[:, 0]
    if 'detection_masks' in outputs and export_format.masks != 'cropped':
      outputs['detection_masks'] = mask_paste_graph.paste_masks(
        outputs['detection_masks'],
        boxes,
        tf.cast(original_hw, tf.int32),
        packed=export_format.masks == 'packed',
        threshold=predictor.mask_threshold,
      )
    if export_format.boxes == 'normalized':
      outputs['detection_boxes'] = boxes / tf.tile(original_hw, [1, 2])[:, tf.newaxis]
    return {**outputs, 'error_code': error_code}

  return postprocess


def _first_rows(outputs: dict[str, tf.Tensor], num: tf.Tensor) -> dict[str, tf.Tensor]:
  """The first rows of every output: all, or none for an empty batch, which got one row."""
  return {key: value[:num] for key, value in outputs.items()}


def _zero_unless(condition: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
  """`values` [batch, ...], with zeros where `condition` [batch] is false."""
  shape = tf.concat([tf.shape(condition), tf.ones([tf.rank(values) - 1], tf.int32)], 0)
  return tf.where(tf.reshape(condition, shape), values, tf.zeros_like(values))
