"""The training examples of our input pipeline by id of the picture."""

import glob
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from htc_tf.configs import task as task_config
from htc_tf.data.skipped import SkipCounter
from htc_tf.data.tolerant_reading import RECORD_KEY
from htc_tf.tasks import inputs as inputs_lib


class Examples:
  """All examples of the training records, parsed once, in memory.

  Args:
    task: configuration of the task, without random augmentation.
    records: folder of the records `train-*.tfrecord`.
  """

  def __init__(self, task: task_config.HTCTask, records: str):
    params = task.train_data.replace(dtype='float32')
    parse = inputs_lib.build_elements(params, task.model, SkipCounter()).parse
    paths = sorted(glob.glob(os.path.join(records, 'train-*.tfrecord')))
    self._examples: dict[int, Any] = {}
    for record in tf.data.TFRecordDataset(paths):
      image, labels = parse({RECORD_KEY: record})
      arrays = {key: values.numpy() for key, values in labels.items()}
      self._examples[int(arrays['source_id'])] = image.numpy(), arrays

  @property
  def image_ids(self) -> list[int]:
    """Ids of all pictures, ascending."""
    return sorted(self._examples)

  def batch(self, image_ids: Sequence[int]) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
    """Images and labels of `data.parser.Parser` of the given pictures, in this order."""
    images, labels = zip(*(self._examples[image_id] for image_id in image_ids))
    stacked = {key: tf.constant(np.stack([label[key] for label in labels])) for key in labels[0]}
    return tf.constant(np.stack(images)), stacked
