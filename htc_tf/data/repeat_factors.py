"""Repeat-factor sampling (Gupta et al., LVIS, CVPR 2019): rare classes are read more often.

With f(c), the share of the images that show class c, and a threshold t, a class has the factor
r(c) = max(1, sqrt(t / f(c))), and an image the largest factor of its classes.
"""

import math
from collections.abc import Callable, Sequence

import tensorflow as tf

from htc_tf.data.fallback import run_or_fallback
from htc_tf.data.tolerant_reading import RECORD_KEY
from htc_tf.errors import ConfigError
from htc_tf.ops.without_autograph import without_autograph

Tensors = dict[str, tf.Tensor]
# `tf.data.Dataset.random` gives integers below this number.
_RANDOM_LIMIT = 2.0**32
_LABELS, _CROWDS = 'image/object/class/label', 'image/object/is_crowd'


def category_factors(
  images_by_category: Sequence[int], num_images: int, threshold: float
) -> list[float]:
  """The factor of each class by label; entry 0 is the background and has factor 1.

  Args:
    images_by_category: number of images with an object of each class; entry 0 is label 1.
    num_images: number of images of the data set.
    threshold: share of the images below which a class is rare, above 0 and at most 1.
  """
  shares = [images / num_images for images in images_by_category]
  return [1.0, *(max(1.0, math.sqrt(threshold / share)) if share else 1.0 for share in shares)]


def missing_statistics(name: str) -> ConfigError:
  """The error for records without statistics; `name` says which."""
  return ConfigError(
    'Images of rare classes cannot be repeated',
    expected='the number of images by class in the metadata of the records',
    got=f'no statistics in the metadata of {name}',
    likely_cause='records of an earlier version: convert the data set again, or set '
    'repeat_threshold=0',
  )


def repeat_records(
  factors: Sequence[float], buffer_size: int, seed: int | None
) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
  """A function that repeats records by the largest factor of the classes of their objects.

  The fractional part of a factor is the probability of one more copy, drawn again whenever the
  record is read. The result is shuffled, so that copies do not follow each other. Crowd regions do
  not count. A record that cannot be parsed is passed on once, to be counted where records are
  parsed.

  Args:
    factors: factor by label, 1 or more; see `category_factors`.
    buffer_size: number of records from which the next one is drawn.
    seed: seed of copies and order; None: they differ in every run.

  Returns:
    A function from and to a dataset of the results of `tolerant_reading.as_element`.
  """
  table = tf.constant(factors, tf.float32)

  @without_autograph
  def repeat(element: Tensors, random: tf.Tensor) -> tf.data.Dataset:
    factor = run_or_fallback(
      lambda record: _factor(record, table), element[RECORD_KEY], tf.constant(1.0)
    )
    share = tf.cast(random, tf.float64) / _RANDOM_LIMIT
    number = tf.cast(tf.floor(tf.cast(factor, tf.float64) + share), tf.int64)
    return tf.data.Dataset.from_tensors(element).repeat(number)

  def repeat_all(dataset: tf.data.Dataset) -> tf.data.Dataset:
    numbers = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True)
    return tf.data.Dataset.zip((dataset, numbers)).flat_map(repeat).shuffle(buffer_size, seed)

  return repeat_all


def _factor(record: tf.Tensor, table: tf.Tensor) -> tf.Tensor:
  """The largest factor of the classes in a serialized record, [] float32."""
  feature = tf.io.FixedLenSequenceFeature([], tf.int64, allow_missing=True)
  parsed = tf.io.parse_single_example(record, {_LABELS: feature, _CROWDS: feature})
  labels = tf.boolean_mask(parsed[_LABELS], parsed[_CROWDS] == 0)
  known = tf.boolean_mask(labels, (labels >= 0) & (labels < tf.size(table, tf.int64)))
  return tf.reduce_max(tf.concat([[1.0], tf.gather(table, known)], 0))
