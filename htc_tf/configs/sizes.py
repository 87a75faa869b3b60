"""Sizes of the model for data of one's own, from minutes on two CPU cores to the published model.

Each size is an experiment `htc_<size>`. With `htc-train --data`, the values that depend on the data
come from the metadata of the records; see `fitting`.
"""

import dataclasses
from collections.abc import Callable

from official.core import config_definitions as cfg
from official.core import exp_factory

from htc_tf.configs import augmentation as augmentation_config
from htc_tf.configs import experiments, features
from htc_tf.configs import model as model_config
from htc_tf.configs import task as task_config
from htc_tf.configs.frames import Resizing
from htc_tf.configs.schedule import Schedule

# Number of images of a schedule until that of the data is known.
_NUM_IMAGES = 1000
EPOCHS = 100  # If the number is not given.
_PATIENCE = 50  # Evaluations without a better one.


@dataclasses.dataclass(frozen=True)
class Size:
  """A size of the model, and how it is trained.

  Attributes:
    name: name of the size.
    model: function that builds the model's configuration.
    resizing: rule for resizing images.
    batch_size: number of images per step.
    learning_rate: learning rate for `batch_size` images per step.
    scale_jitter: smallest and largest factor on the scale of training images.
    is_published: whether the model has the layout of published checkpoints.
  """

  name: str
  model: Callable[[], model_config.HTC]
  resizing: Resizing
  batch_size: int
  learning_rate: float
  scale_jitter: tuple[float, float]
  is_published: bool

  @property
  def experiment(self) -> str:
    """Name of the registered experiment."""
    return f'htc_{self.name}'

  def schedule(self, epochs: int, num_images: int, batch_size: int) -> Schedule:
    """The schedule for data of one's own.

    The learning rate follows the batch linearly (Goyal et al. 2017, section 2.1).

    Args:
      epochs: number of passes over the data.
      num_images: number of training images.
      batch_size: number of images per step.
    """
    return Schedule(
      epochs=epochs,
      kind='cosine',
      learning_rate=self.learning_rate * batch_size / self.batch_size,
      batch_size=batch_size,
      num_images=num_images,
      warmup_share=0.1,
      warmup_factor=0.01,
      # Documented results were measured with it. Along a cosine the two rules differ little.
      optimizer='sgd',
      clip_norm=10.0,
    )


def _reduced(
  model_id: int, width: float, num_filters: int, fc_dims: int, num_convs: int
) -> model_config.HTC:
  """A smaller HTC, whose norms are trained.

  Args:
    model_id: depth of the ResNet.
    width: factor on the channels of the ResNet.
    num_filters: number of channels of pyramid and heads.
    fc_dims: number of units of the layers of the box heads.
    num_convs: number of convolutions of the mask heads and of the semantic branch.
  """
  return model_config.HTC(
    num_classes=2,
    backbone=model_config.Backbone(
      published_resnet=features.PublishedResNet(
        model_id=model_id, frozen_stages=-1, norm_eval=False, width_multiplier=width
      )
    ),
    decoder=model_config.Decoder(published_fpn=features.PublishedFPN(num_filters=num_filters)),
    rpn_head=model_config.RPNHead(published=features.PublishedRPNHead(num_filters=num_filters)),
    roi_generator=model_config.RoIGenerator(
      published=features.PublishedRoIGenerator(
        pre_nms_top_k=500, num_proposals=300, test_pre_nms_top_k=500, test_num_proposals=300
      )
    ),
    cascade=model_config.Cascade(num_sampled_rois=64),
    box_head=model_config.BoxHead(fc_dims=fc_dims),
    mask_head=model_config.MaskHead(num_convs=num_convs, num_filters=num_filters),
    semantic_head=model_config.SemanticHead(
      num_classes=2, num_convs=num_convs, num_filters=num_filters
    ),
  )


def _published(model_id: int) -> model_config.HTC:
  """The published HTC with a ResNet of a depth."""
  return model_config.HTC(
    num_classes=2,
    backbone=model_config.Backbone(published_resnet=features.PublishedResNet(model_id=model_id)),
    semantic_head=model_config.SemanticHead(num_classes=2),
  )


SIZES = {
  size.name: size
  for size in (
    Size(
      'nano', lambda: _reduced(18, 0.5, 64, 128, 2), Resizing(384, 384), 4, 0.02, (0.8, 1.25), False
    ),
    Size(
      'small',
      lambda: _reduced(18, 1.0, 128, 256, 3),
      Resizing(512, 512),
      4,
      0.02,
      (0.8, 1.25),
      False,
    ),
    Size('base', lambda: _published(50), Resizing(800, 1333), 2, 0.0025, (1.0, 1.0), True),
    Size('large', lambda: _published(101), Resizing(800, 1333), 2, 0.0025, (1.0, 1.0), True),
  )
}


def of_experiment(experiment: str) -> Size | None:
  """The size that an experiment is registered for; None if it is no size."""
  return next((size for size in SIZES.values() if size.experiment == experiment), None)


def _build(size: Size) -> cfg.ExperimentConfig:
  task = task_config.HTCTask(model=size.model())
  side = -(-size.resizing.max_size // 32) * 32
  task.model.input_size = [side, side, 3]
  task.train_data.input_path = 'data/train-*.tfrecord'
  task.validation_data.input_path = 'data/val-*.tfrecord'
  task.validation_data.global_batch_size = 1
  for data in (task.train_data, task.validation_data):
    data.parser.min_sizes = [size.resizing.min_size]
    data.parser.max_size = size.resizing.max_size
  low, high = size.scale_jitter
  task.train_data.parser.augmentation.scale_jitter = augmentation_config.ScaleJitter(
    min_factor=low, max_factor=high
  )
  schedule = size.schedule(EPOCHS, _NUM_IMAGES, size.batch_size)
  experiment = experiments.build_experiment(task, schedule)
  experiment.trainer.best_checkpoint_export_subdir = 'best'
  experiment.trainer.patience = _PATIENCE
  return experiment


def _register(size: Size) -> None:
  def build() -> cfg.ExperimentConfig:
    return _build(size)

  build.__doc__ = f"HTC of the size {size.name}, for data of one's own."
  exp_factory.register_config_factory(size.experiment)(build)


for _size in SIZES.values():
  _register(_size)
