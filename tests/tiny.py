"""Small configurations and batches on which a whole model runs in seconds."""

from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from htc_tf.configs import model as model_config
from htc_tf.configs import model_validation
from htc_tf.configs import task as task_config
from htc_tf.modeling import factory
from htc_tf.modeling.htc_model import HTCModel
from htc_tf.tasks import htc

SIZE = 64
NUM_CLASSES = 4
NUM_SEMANTIC = 5
CHANNELS = 8

# Reduces any experiment of the published layout; `HTC.override` takes it.
PUBLISHED_PARTS = {
  'num_classes': NUM_CLASSES,
  'input_size': [SIZE, SIZE, 3],
  'backbone': {'published_resnet': {'model_id': 18, 'width_multiplier': 0.125}},
  'decoder': {'published_fpn': {'num_filters': CHANNELS}},
  'rpn_head': {'published': {'num_filters': CHANNELS}},
  'rpn_sampler': {'num_samples': 32},
  'roi_generator': {
    'published': {
      'pre_nms_top_k': 50,
      'num_proposals': 30,
      'test_pre_nms_top_k': 30,
      'test_num_proposals': 20,
    }
  },
  'cascade': {'num_sampled_rois': 16},
  'box_head': {'fc_dims': 16},
  'mask_head': {'num_convs': 1, 'num_filters': CHANNELS},
  'semantic_head': {'num_classes': NUM_SEMANTIC, 'num_convs': 1, 'num_filters': CHANNELS},
  'detection_generator': {'max_detections': 6},
}

# Replacements of some of these parts in experiments with Model Garden's parts.
MODEL_GARDEN_PARTS = {
  'backbone': {'resnet': {'model_id': 10, 'depth_multiplier': 0.25}},
  'decoder': {'fpn': {'num_filters': CHANNELS}},
  'rpn_head': {'model_garden': {'num_filters': CHANNELS}},
  'roi_generator': {
    'model_garden': {
      'pre_nms_top_k': 50,
      'num_proposals': 30,
      'test_pre_nms_top_k': 30,
      'test_num_proposals': 20,
    }
  },
}

# Replacements of backbone and decoder by those of HRNet.
HRNET = {
  'backbone': {
    'type': 'published_hrnet',
    'published_hrnet': {'width': 4, 'num_modules': [1, 1, 1], 'num_blocks': 1, 'stem_filters': 4},
  },
  'decoder': {'type': 'published_hrfpn', 'published_hrfpn': {'num_filters': CHANNELS}},
}

# Overrides of the backbone that make it CBNetV2's composite of two transformers.
COMPOSITE_SWIN = {
  'type': 'published_swin',
  'published_swin': {
    'embed_dim': 8,
    'depths': [2, 1, 1, 1],
    'num_heads': [1, 2, 2, 4],
    'window_size': 3,
    'mlp_ratio': 2.0,
    'drop_path_rate': 0.0,
    'composite': True,
  },
}

# Parts of names of variables whose initial values keep parts of DetectoRS from having an effect.
_WITHOUT_INITIAL_EFFECT = ('rfp_conv', 'rfp_weight', 'weight_diff', 'switch', 'offset_', '_context')

# Configurations of stages after the three published ones.
_EXTRA_STAGES = [
  model_config.Stage(
    iou_threshold=0.75, box_coder_weights=[30.0, 30.0, 15.0, 15.0], loss_weight=0.125
  ),
  model_config.Stage(
    iou_threshold=0.8, box_coder_weights=[40.0, 40.0, 20.0, 20.0], loss_weight=0.125
  ),
]


def model(num_stages: int = 3, **overrides) -> model_config.HTC:
  """A small configuration of the published HTC; `overrides` are nested dicts for `HTC.override`."""
  config = model_config.HTC()
  config.override(PUBLISHED_PARTS)
  config.cascade.stages = (model_config.published_stages() + _EXTRA_STAGES)[:num_stages]
  config.override(overrides)
  return config


def task(config: model_config.HTC | None = None, **values) -> htc.HTCTask:
  """A task with a model configuration; `values` are further fields of its configuration."""
  return htc.HTCTask(task_config.HTCTask(model=config or model(), **values))


def data_in_buckets(*sizes: tuple[int, int]) -> task_config.DataConfig:
  """Training data with buckets (height, width), so that XLA can compile steps on them."""
  return task_config.DataConfig(
    is_training=True,
    parser=task_config.Parser(
      buckets=[task_config.Bucket(height=height, width=width) for height, width in sizes]
    ),
  )


def build(config: model_config.HTC | None = None, seed: int = 0) -> HTCModel:
  """A model whose variables depend only on the seed; its scores differ between classes."""
  config = config or model()
  model_validation.validate_model(config)
  tf_keras.utils.set_random_seed(seed)
  built = factory.build_htc(config)
  _replace_initial_values(built)
  return built


def _replace_initial_values(built: HTCModel) -> None:
  """Give boxes different scores and residual blocks a gradient, unlike in a new model."""
  rng = np.random.default_rng(1)
  for stage in built.cascade.stages:
    dense = stage.box_head._logits
    dense.kernel.assign(rng.normal(0.0, 0.3, dense.kernel.shape))
  for variable in built.backbone.variables + getattr(built.decoder, 'variables', []):
    if 'gamma' in variable.name and not np.any(variable):
      variable.assign(tf.fill(variable.shape, 0.5))
    if any(part in variable.name for part in _WITHOUT_INITIAL_EFFECT):
      variable.assign_add(rng.normal(0.0, 0.1, variable.shape))


def batch(
  config: model_config.HTC | None = None,
  size: int = SIZE,
  num_images: int = 2,
  num_instances: int = 2,
) -> tuple[tf.Tensor, dict[str, Any]]:
  """A parsed training batch: noise with bright rectangles as objects.

  Args:
    config: configuration of the model that the labels are for; None for `model()`.
    size: height and width of the bucket; the image fills all but 8 rows and 4 columns of it.
    num_images: number of images.
    num_instances: number of objects in the first image; each further image has one less, down to 0.
  """
  config = config or model()
  rng = np.random.default_rng(3)
  images = np.zeros([num_images, size, size, 3], np.float32)
  labels = {
    'gt_boxes': np.full([num_images, 3, 4], -1, np.float32),
    'gt_classes': np.full([num_images, 3], -1, np.int32),
    'gt_masks': np.zeros([num_images, 3, size, size], np.uint8),
    'gt_semantic': np.full([num_images, size, size], 255, np.uint8),
  }
  height, width = size - 8, size - 4
  for image in range(num_images):
    images[image, :height, :width] = rng.normal(0, 0.2, [height, width, 3])
    labels['gt_semantic'][image, :height, :width] = 0
    for row in range(max(num_instances - image, 0)):
      _add_object(images, labels, image, row, rng, config)
  labels['gt_masks'] = np.packbits(labels['gt_masks'], axis=-1)
  shape = np.array([height, width], np.float32)
  info = np.stack([shape, shape, np.ones(2), np.zeros(2)]).astype(np.float32)
  labels['image_info'] = np.tile(info, [num_images, 1, 1])
  labels['source_id'] = np.arange(num_images, dtype=np.int64)
  if not config.include_mask:
    del labels['gt_masks']
  if not config.semantic_head.enabled:
    del labels['gt_semantic']
  return tf.constant(images), tf.nest.map_structure(tf.constant, labels)


def _add_object(images, labels, image, row, rng, config):
  """Add object `row` to an image and its labels: a rectangle with sides of 20 to 32 pixels."""
  top, left = rng.integers(0, 20, 2) + np.array([20 * row, 0])
  height, width = rng.integers(20, 32, 2)
  bottom, right = min(top + height, images.shape[1] - 8), min(left + width, images.shape[2] - 4)
  label = 1 + row % (config.num_classes - 1)
  images[image, top:bottom, left:right, row % 3] += 2.0
  labels['gt_boxes'][image, row] = top, left, bottom, right
  labels['gt_classes'][image, row] = label
  labels['gt_masks'][image, row, top:bottom, left:right] = 1
  labels['gt_semantic'][image, top:bottom, left:right] = min(
    label, config.semantic_head.num_classes - 1
  )


def plain_and_compiled_step(task, model, images, labels):
  """(losses, gradients of the trainable variables) of a training step, without and with XLA."""

  def step(images, labels):
    with tf.GradientTape() as tape:
      outputs = model(htc.model_inputs(images, labels), training=True)
      losses = task.build_losses(outputs, labels, model.trainable_variables)
    gradients = tape.gradient(losses['total_loss'], model.trainable_variables)
    return losses, [tf.convert_to_tensor(gradient) for gradient in gradients]

  return [
    tf.function(step, autograph=False, jit_compile=jit_compile)(images, labels)
    for jit_compile in (False, True)
  ]
