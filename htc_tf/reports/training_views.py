"""Records as the training pipeline makes them, drawn from the tensors that the model gets."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from htc_tf.configs import model as model_config
from htc_tf.data import mask_codec, preprocess
from htc_tf.data.parser import SEED_KEY
from htc_tf.data.skipped import SkipCounter
from htc_tf.data.tolerant_reading import RECORD_KEY
from htc_tf.errors import DataError
from htc_tf.ops.without_autograph import without_autograph
from htc_tf.reports import labeled_image, sample_pictures
from htc_tf.reports.labeled_image import LabeledImage
from htc_tf.reports.sample_pictures import Shown
from htc_tf.reports.training_configuration import TrainingConfiguration
from htc_tf.tasks import inputs
from htc_tf.visualization import display

Labels = dict[str, Any]


def training_views(
  config: TrainingConfiguration,
  records: Sequence[bytes],
  num_views: int,
  seed: int,
  side: int,
) -> tuple[list[list[Shown]], SkipCounter]:
  """Views of each record with several choices of the augmentations, and what training would skip.

  If an augmentation combines images, a view has parts of the record before it in the order of
  `records`; the first record has parts of the last one.

  Args:
    config: the configuration whose pipeline makes them.
    records: serialized records; at least one.
    num_views: number of views of each record.
    seed: seed of the choices.
    side: longer side of the views in pixels.

  Raises:
    DataError: a record cannot be parsed with this configuration.
  """
  counter = SkipCounter()
  data = config.task.train_data.replace(is_training=True, dtype=config.dtype)
  elements = inputs.build_elements(data, config.task.model, counter)
  shown = _stream(elements, records, num_views, seed)
  views: list[list[Shown]] = [[] for _ in records]
  try:
    for number, (image, labels) in enumerate(shown):
      of_record = views[number % len(records)]
      labeled = labeled_element(image, labels, config.task.model)
      of_record.append(_shown(labeled, labels, len(of_record) + 1, config.names, side))
  except tf.errors.InvalidArgumentError as error:
    raise DataError(
      'A record cannot be shown as training gets it',
      expected='records of htc-create-coco-records, converted for this configuration',
      got=error.message.splitlines()[0],
    ) from error
  return views, counter


def _stream(
  elements: inputs.Elements, records: Sequence[bytes], num_views: int, seed: int
) -> tf.data.Dataset:
  """Training elements: the first view of each record, then the second view of each, and so on.

  So the image before each one, with which it may be combined, is that of another record.
  """
  order = [
    (index, index * num_views + view) for view in range(num_views) for index in range(len(records))
  ]
  order.insert(0, (len(records) - 1, len(order)))  # The image before the first one.
  sources = {
    RECORD_KEY: [records[index] for index, _ in order],
    SEED_KEY: np.array([(number, seed) for _, number in order], np.int64),
  }
  stream = tf.data.Dataset.from_tensor_slices(sources).map(without_autograph(elements.parse))
  return elements.join(stream).skip(1)


def labeled_element(image: tf.Tensor, labels: Labels, model: model_config.HTC) -> LabeledImage:
  """The image and the ground truth of one element of the training pipeline.

  Args:
    image: [padded_h, padded_w, channels] normalized image.
    labels: labels of `data.parser.Parser`.
    model: configuration of the model that reads the image.
  """
  samples = preprocess.denormalize(image, model.normalization, model.sample_format)
  classes = labels['gt_classes'].numpy()
  real = classes > 0  # Padding rows are -1.
  return LabeledImage(
    pixels=display.displayed_rgb(samples.numpy()),
    boxes=labels['gt_boxes'].numpy()[real].astype(np.float64),
    classes=classes[real],
    is_crowd=np.zeros([int(real.sum())], bool),  # Training drops crowd regions.
    masks=_masks(labels['gt_masks'].numpy()[real]) if 'gt_masks' in labels else None,
    semantic=labels['gt_semantic'].numpy() if 'gt_semantic' in labels else None,
  )


def _shown(
  labeled: LabeledImage, labels: Labels, number: int, names: Sequence[str], side: int
) -> Shown:
  """One view with its texts; `number` counts the views of a record from 1."""
  padded_height, padded_width = labeled.pixels.shape[:2]
  _, visible, scale, offset = labels['image_info'].numpy()
  parts = [f'view {number}: scale {scale.mean():.2f}']
  if offset.any():
    parts.append(f'cut from x {offset[1]:.0f}, y {offset[0]:.0f}')
  parts.append(f'{visible[1]:.0f} x {visible[0]:.0f} in {padded_width} x {padded_height}')
  title = ', '.join(parts)
  caption = f'{title}; {sample_pictures.contents(labeled, names)}'
  return Shown(labeled_image.fitted(labeled, side), title, caption)


def _masks(packed: np.ndarray) -> list[dict[str, Any]]:
  """Run-length encodings of packed masks [num, height, width / 8] uint8."""
  return [mask_codec.encode(np.unpackbits(mask, axis=-1)) for mask in packed]
