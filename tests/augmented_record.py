"""A decoded record with one instance, and its network input after augmentation."""

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
  options = {'max_num_instances': 3, 'augmentations': augmentations, **options}
  parser = parsers.Parser(RULE, [32], 48, **options)
  dataset = tf.data.Dataset.from_tensors(element).map(parser.parse_fn(is_training))
  return dataset.get_single_element()


def pixels(image):
  """The visible part of a network input as gray values 0..255."""
  return image[VISIBLE].numpy() * preprocess.IMAGE_STDDEV + preprocess.IMAGE_MEAN
