"""Selection of training images and annotations as in the published trainings.

mmdetection's COCO data set leaves out images without any annotation and images with a side shorter
than 32 pixels (`filter_empty_gt` and `min_size`), and the annotations of `left_out.Rule`. An
image stays if all its annotations are left out or are crowd regions; it is then background.
"""

import functools
from collections.abc import Callable

import tensorflow as tf

from htc_tf.data import skipped
from htc_tf.data.fallback import run_or_fallback
from htc_tf.data.left_out import MIN_BOX_SIDE, MIN_IMAGE_SIDE
from htc_tf.data.skipped import SkipCounter
from htc_tf.data.tolerant_reading import RECORD_KEY, as_element
from htc_tf.data.usable_instances import PER_INSTANCE
from htc_tf.errors import DataError
from htc_tf.ops.without_autograph import without_autograph

Tensors = dict[str, tf.Tensor]
# A share of a worker without any image to train on would otherwise be read forever.
_MAX_IN_A_ROW = 100_000
# Records have boxes as 32-bit shares of the image: a side of 1 pixel may come out a little shorter.
_ROUNDING = 4e-3
_LABELS, _AREAS, _LEFT_OUT = (f'image/object/{k}' for k in ('class/label', 'area', 'is_left_out'))
_SIDES = tuple(f'image/object/bbox/{name}' for name in ('ymin', 'xmin', 'ymax', 'xmax'))


def select_images(counter: SkipCounter) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
  """A function that leaves out the records of images which the published trainings leave out.

  Pictures are not decoded. A record that cannot be parsed is passed on, to be counted where records
  are parsed.

  Args:
    counter: counter of the images that are left out.

  Returns:
    A function from and to a dataset of the results of `tolerant_reading.as_element`. Iterating over
    its result raises `tf.errors.InvalidArgumentError`, with the message of a DataError, if 100,000
    records in a row are left out.
  """
  unknown = {'keep': tf.constant(True), 'source_id': tf.constant('')}

  def notify(source_id: bytes, in_a_row: int) -> bool:
    counter.add(
      skipped.LEFT_OUT_IMAGES,
      f'image id {source_id.decode()}',
      lambda: f'no annotation, or a side under {MIN_IMAGE_SIDE} pixels',
    )
    if in_a_row > _MAX_IN_A_ROW:
      raise _nothing_selected(f'{in_a_row} records in a row that are left out')
    return True

  @without_autograph
  def select(in_a_row: tf.Tensor, element: Tensors) -> tuple[tf.Tensor, tuple]:
    found = run_or_fallback(_describe_image, element[RECORD_KEY], unknown)
    in_a_row = tf.where(found['keep'], 0, in_a_row + 1)
    counted = tf.cond(
      found['keep'],
      lambda: True,
      lambda: tf.numpy_function(notify, [found['source_id'], in_a_row], tf.bool),
    )
    with tf.control_dependencies([counted]):
      return in_a_row, (element, tf.identity(found['keep']))

  def apply(dataset: tf.data.Dataset) -> tf.data.Dataset:
    marked = dataset.scan(tf.constant(0), select)
    return marked.filter(_is_kept).map(_element)

  return apply


def check_selected(records: tf.data.Dataset, counter: SkipCounter) -> None:
  """Check that an image is left to train on.

  Args:
    records: serialized records.
    counter: counter of the images that are left out.

  Raises:
    DataError: all images are left out.
  """
  for _ in select_images(counter)(records.map(as_element)).take(1):
    return
  raise _nothing_selected(f'{counter.count(skipped.LEFT_OUT_IMAGES)} images that are left out')


@without_autograph
def select_instances(decoded: Tensors, record: tf.Tensor, counter: SkipCounter) -> Tensors:
  """A decoded record without the annotations that the published trainings leave out.

  Records of earlier versions do not say what conversion found in the annotation file; then the area
  and the visible part of the box decide.

  Args:
    decoded: result of `ExampleDecoder.decode`.
    record: [] string, the serialized record that it was decoded from.
    counter: counter of the annotations that are left out.
  """
  keys = {_LEFT_OUT: tf.int64, _AREAS: tf.float32, **dict.fromkeys(_SIDES, tf.float32)}
  parsed = tf.io.parse_single_example(record, {key: _list_of(keys[key]) for key in keys})
  size = tf.cast(tf.stack([decoded['height'], decoded['width']]), tf.float32)
  boxes = tf.stack([parsed[key] for key in _SIDES], axis=-1)  # [num_instances, 4]
  sides = (boxes[:, 2:] - boxes[:, :2]) * size
  number = tf.shape(boxes)[0]
  is_small = tf.reduce_any(sides < MIN_BOX_SIDE - _ROUNDING, 1)
  areas, found = parsed[_AREAS], parsed[_LEFT_OUT]
  has_no_area = tf.cond(
    tf.equal(tf.size(areas), number), lambda: areas <= 0, lambda: tf.zeros_like(is_small)
  )
  left_out = tf.cond(
    tf.equal(tf.size(found), number), lambda: found > 0, lambda: is_small | has_no_area
  )
  with tf.control_dependencies([_count_instances(decoded['source_id'], left_out, counter)]):
    kept = tf.logical_not(left_out)
  chosen = {key: tf.boolean_mask(decoded[key], kept) for key in PER_INSTANCE if key in decoded}
  return {**decoded, **chosen}


def _describe_image(record: tf.Tensor) -> Tensors:
  """Whether the image of a serialized record is kept, and its id, [] string."""
  whole = tf.io.FixedLenFeature([], tf.int64)
  parsed = tf.io.parse_single_example(
    record,
    {
      'image/source_id': tf.io.FixedLenFeature([], tf.string),
      'image/height': whole,
      'image/width': whole,
      'image/is_annotated': tf.io.FixedLenFeature([], tf.int64, 0),
      _LABELS: _list_of(tf.int64),
    },
  )
  is_annotated = (tf.size(parsed[_LABELS]) > 0) | (parsed['image/is_annotated'] > 0)
  side = tf.minimum(parsed['image/height'], parsed['image/width'])
  return {'keep': is_annotated & (side >= MIN_IMAGE_SIDE), 'source_id': parsed['image/source_id']}


def _list_of(dtype: tf.DType) -> tf.io.FixedLenSequenceFeature:
  return tf.io.FixedLenSequenceFeature([], dtype, allow_missing=True)


def _count_instances(source_id: tf.Tensor, left_out: tf.Tensor, counter: SkipCounter) -> tf.Tensor:
  """An op that counts the annotations of an image that are left out, if there are any."""

  def count(source_id: int, number: int) -> bool:
    reason = functools.partial('{} annotations'.format, number)
    counter.add(skipped.LEFT_OUT_INSTANCES, f'image id {source_id}', reason, int(number))
    return True

  number = tf.reduce_sum(tf.cast(left_out, tf.int32))
  return tf.cond(
    number > 0, lambda: tf.numpy_function(count, [source_id, number], tf.bool), lambda: True
  )


@without_autograph
def _is_kept(_, keep: tf.Tensor) -> tf.Tensor:
  return keep


@without_autograph
def _element(element: Tensors, _) -> Tensors:
  return element


def _nothing_selected(got: str) -> DataError:
  return DataError(
    'No image is left to train on',
    expected='images with an annotation and with sides of at least '
    f'{MIN_IMAGE_SIDE} pixels, as the published trainings choose them',
    got=got,
    likely_cause='records of a data set without objects, or of small pictures; set '
    'task.train_data.published_selection=false to train on all images',
  )
