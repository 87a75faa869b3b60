"""A tiny model with random weights in a model directory."""

import os
from typing import Any

import tensorflow as tf
import tf_keras
from official.core import exp_factory, train_utils

from htc_tf import registry_imports  # noqa: F401
from htc_tf.checkpoints import model_directory
from htc_tf.data.dataset_info import Category, DatasetInfo
from htc_tf.tasks.htc import HTCTask

_MODEL = {
  'num_classes': 3,
  'input_size': [64, 64, 3],
  'backbone': {'published_resnet': {'width_multiplier': 0.125}},
  'decoder': {'published_fpn': {'num_filters': 8}},
  'rpn_head': {'published': {'num_filters': 8}},
  'roi_generator': {'published': {'test_pre_nms_top_k': 40, 'test_num_proposals': 20}},
  'box_head': {'fc_dims': 16},
  'mask_head': {'num_convs': 1, 'num_filters': 8},
  'semantic_head': {'num_classes': 3, 'num_convs': 1, 'num_filters': 8},
  'detection_generator': {'max_detections': 10},
}


def write(
  folder: str | os.PathLike,
  seed: int = 3,
  names: tuple[str, str] = ('cat', 'dog'),
  changes: dict[str, Any] | None = None,
) -> str:
  """Write a model directory with one checkpoint, `ckpt-1`, and return its path.

  Args:
    folder: path of the directory; it is created if it is missing.
    seed: seed of the weights.
    names: names of the two classes.
    changes: changes of the task's configuration.
  """
  params = exp_factory.get_exp_config('htc_nuclei')
  parser = {'min_sizes': [48], 'max_size': 64}
  params.override({'task': {'model': _MODEL, 'validation_data': {'parser': parser}}})
  params.task.override(changes or {})
  tf_keras.utils.set_random_seed(seed)
  model = HTCTask(params.task).build_model()
  folder = os.fspath(folder)
  model_directory.save_dataset_info(folder, _dataset_info(names))
  train_utils.serialize_config(params, folder)
  checkpoint = tf.train.Checkpoint(model=model, **model.checkpoint_items)
  tf.train.CheckpointManager(checkpoint, folder, max_to_keep=1).save()
  return folder


def _dataset_info(names: tuple[str, str]) -> DatasetInfo:
  categories = tuple(
    Category(id=id_, name=name, label=label)
    for label, (id_, name) in enumerate(zip((7, 30), names), 1)
  )
  return DatasetInfo('pets', 1, 1, 1, categories, None, True, 'annotations.json')
