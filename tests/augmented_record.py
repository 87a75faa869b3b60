"""A decoded record with one instance, and its network input after augmentation."""

import functools

import numpy as np
import tensorflow as tf

from htc_tf.data import parser as parsers
from htc_tf.data import preprocess
from htc_tf.data.padding import padding_rule

RULE = padding_rule([(48, 56)], (48, 56))
# Size of the image of `record` in the network input: 24x40 is resized to 29x48.
VISIBLE = (slice(0, 29), slice(0, 48))


def record(seed=0):
  """A decoded record with a gray image and one instance."""
  mask = np.zeros([24, 40, 1], np.uint8)
  mask[6:15, 8:20] = 1
  return {
    'image': tf.fill([24, 40, 3], tf.constant(120, tf.uint8)),
    'source_id': tf.constant(7, tf.int64),
    'boxes_normalized': tf.constant([[6 / 24, 8 / 40, 15 / 24, 20 / 40]]),
    'classes': tf.constant([2]),
    'is_crowd': tf.constant([False]),
    'masks_png': tf.stack([tf.io.encode_png(mask)]),
    'semantic': tf.constant(mask[..., 0] * np.uint8(2)),
    parsers.SEED_KEY: tf.constant([seed, 1]),
  }


def parse(augmentations, element, is_training=True, **options):
  """Image and labels of a decoded record, parsed in tf.data."""
  (parsed,) = parse_all(augmentations, [element], is_training, **options)
  return parsed


def parse_all(augmentations, elements, is_training=True, **options):
  """Images and labels of decoded records; the parser is traced once."""
  options = {'max_num_instances': 3, 'augmentations': augmentations, **options}
  parser = parsers.Parser(RULE, [32], 48, **options)
  datasets = [tf.data.Dataset.from_tensors(element) for element in elements]
  dataset = functools.reduce(tf.data.Dataset.concatenate, datasets)
  return list(dataset.map(parser.parse_fn(is_training)))


@functools.cache
def plain():
  """Image and labels of `record` without augmentations."""
  return parse([], record())


def pixels(image):
  """The visible part of a network input as gray values 0..255."""
  return image[VISIBLE].numpy() * preprocess.IMAGE_STDDEV + preprocess.IMAGE_MEAN


def over_seeds(function, number):
  """Results of a function of a seed, as NumPy arrays, for `number` seeds; it is traced once."""
  signature = [tf.TensorSpec([2], tf.int32)]
  traced = tf.function(function, autograph=False, input_signature=signature)
  results = (traced(tf.constant([seed, 1])) for seed in range(number))
  return [tf.nest.map_structure(lambda tensor: tensor.numpy(), result) for result in results]
