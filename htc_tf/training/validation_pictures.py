"""Pictures of a few validation images for TensorBoard: the truth beside the prediction."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import tensorflow as tf
from absl import logging
from official.core import input_reader

from htc_tf.data.example_decoder import ExampleDecoder
from htc_tf.data.sample_format import RGB, SampleFormat
from htc_tf.errors import DataError, HTCError
from htc_tf.evaluation.coco_evaluator import COCOEvaluator
from htc_tf.visualization import display, draw, panels

_MIN_SCORE = 0.3
_MAX_DRAWN = 50
# Records that may be unusable before pictures are given up, per picture.
_TRIES = 4
_MAX_SIDE = 1200


class ValidationPictures:
  """The first images of the validation records, drawn after each evaluation.

  The images stay in memory. If they cannot be read or drawn, one line in the log says why, and the
  training goes on without pictures.

  Args:
    input_path: path or pattern of the validation records, or a list of them.
    number: number of images; 0 for none.
    sample_format: channels and depth of the images.
  """

  def __init__(
    self, input_path: str | Sequence[str], number: int, sample_format: SampleFormat = RGB
  ):
    self._input_path, self._number = input_path, number
    self._sample_format = sample_format
    self._images: dict[int, np.ndarray] | None = None

  def write(self, evaluator: COCOEvaluator, step: int) -> None:
    """Write the pictures as summaries, with the default writer.

    Args:
      evaluator: the evaluator with the detections.
      step: training step.
    """
    if not self._number:
      return
    try:
      if self._images is None:
        self._images = dict(_read(self._input_path, self._number, self._sample_format))
        if not self._images:
          raise DataError(
            'No validation image can be read',
            expected=f'records of images with {self._sample_format}',
            got=f'none in the first {_TRIES * self._number} of {self._input_path}',
          )
      for image_id, picture in _draw(evaluator, self._images):
        tf.summary.image(f'validation/{image_id}', picture[np.newaxis], step)
    except (HTCError, tf.errors.OpError, OSError, ValueError) as error:
      self._number = 0
      logging.warning('No pictures of validation images are written to TensorBoard: %s', error)


def _read(
  input_path: str | Sequence[str], number: int, sample_format: SampleFormat
) -> Iterator[tuple[int, np.ndarray]]:
  """Id and displayed pixels, [height, width, 3] uint8, of the first images that can be decoded."""
  paths = sorted(input_reader.match_files(input_path))
  decoder = ExampleDecoder(include_mask=False, include_semantic=False, sample_format=sample_format)
  found = 0
  for serialized in itertools.islice(tf.data.TFRecordDataset(paths), _TRIES * number):
    try:
      decoded = decoder.decode(serialized)
    except tf.errors.OpError:
      continue  # The evaluation counts and names records that it cannot use.
    yield int(decoded['source_id']), display.displayed_rgb(decoded['image'].numpy())
    found += 1
    if found == number:
      return


def _draw(
  evaluator: COCOEvaluator, images: Mapping[int, np.ndarray]
) -> Iterator[tuple[int, np.ndarray]]:
  """Id and picture of each image that was evaluated."""
  for image_id, pixels in images.items():
    instances = evaluator.instances(image_id)
    if instances is None:
      continue
    truth, predicted = instances
    best = sorted(predicted, key=lambda result: -result['score'])[:_MAX_DRAWN]
    best = [result for result in best if result['score'] >= _MIN_SCORE]
    categories = evaluator.categories
    drawn = [_draw_instances(pixels, part, categories) for part in (truth, best)]
    titles = ['truth', f'prediction, score of at least {_MIN_SCORE}']
    yield image_id, _limited(panels.side_by_side(drawn, titles))


def _draw_instances(
  pixels: np.ndarray, instances: Sequence[Mapping[str, Any]], categories: Mapping[int, str]
) -> np.ndarray:
  """The image with COCO annotations or results over it."""
  corners = [[y, x, y + h, x + w] for x, y, w, h in (entry['bbox'] for entry in instances)]
  has_masks = all('segmentation' in entry for entry in instances)
  labels = {id_: label for label, id_ in enumerate(categories, 1)}
  scores = np.array([entry['score'] for entry in instances if 'score' in entry])
  return draw.draw_instances(
    pixels,
    np.array(corners, np.float32).reshape(-1, 4),
    [entry['segmentation'] for entry in instances] if has_masks else None,
    np.array([labels[entry['category_id']] for entry in instances], np.int32),
    scores if len(scores) == len(instances) else None,
    list(categories.values()),
    enlarge=draw.legible_enlargement(pixels.shape[:2]),
  )


def _limited(picture: np.ndarray) -> np.ndarray:
  """The picture, made smaller if it is larger than a screen."""
  scale = _MAX_SIDE / max(picture.shape[:2])
  if scale >= 1:
    return picture
  return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
