"""The registered experiments."""

from collections.abc import Sequence

from official.core import config_definitions as cfg
from official.core import exp_factory
from official.vision.configs import backbones, common, decoders

from htc_tf.configs import augmentation as augmentation_config
from htc_tf.configs import features
from htc_tf.configs import model as model_config
from htc_tf.configs import task as task_config
from htc_tf.configs.schedule import Schedule, build_trainer

_MODEL_GARDEN_RESNET50 = 'gs://cloud-tpu-checkpoints/vision-2.0/resnet50_imagenet/ckpt-28080'

# The six buckets with the smallest amount of padding, 4.6% of the pixels of COCO; see
# benchmarks/padding.py.
COCO_BUCKETS = ((800, 1088), (800, 1216), (800, 1344), (1088, 800), (1216, 800), (1344, 800))

# Schedules of the experiments that are not trained by the published 1x schedule.
# Those without a published counterpart have the SGD of Keras, with which their documented results
# were measured, and with which their checkpoints continue.
_20E = Schedule(epochs=20, milestones=(16, 19))
_2X = Schedule(epochs=24, milestones=(16, 22))
_3X = Schedule(epochs=36, milestones=(27, 33))
_SCHEDULES = {
  'htc_resnet50fpn_20e_coco': _20E,
  'cascade_mask_rcnn_resnet50fpn_20e_coco': _20E,
  'cascade_mask_rcnn_resnet50fpn_3x_coco': _3X,
  'mask_rcnn_resnet50fpn_2x_coco': _2X,
  'mask_rcnn_resnet50fpn_3x_coco': _3X,
  'htc_resnetfpn_coco': Schedule(learning_rate=0.08, batch_size=64, optimizer='sgd'),
  'htc_nuclei': Schedule(
    epochs=60,
    milestones=(45, 55),
    num_images=35,
    batch_size=4,
    learning_rate=0.02,
    warmup_steps=50,
    optimizer='sgd',
  ),
}


def schedule_of(experiment: str) -> Schedule:
  """The schedule of an experiment of this module."""
  return _SCHEDULES.get(experiment, Schedule())


def build_experiment(
  task: task_config.HTCTask, schedule: Schedule, runtime: cfg.RuntimeConfig | None = None
) -> cfg.ExperimentConfig:
  """An experiment with the schedule and its batch size."""
  task.train_data.global_batch_size = schedule.batch_size
  return cfg.ExperimentConfig(
    runtime=runtime or cfg.RuntimeConfig(mixed_precision_dtype='float32'),
    task=task,
    trainer=build_trainer(schedule),
    restrictions=[
      'task.train_data.is_training != None',
      'task.validation_data.is_training != None',
    ],
  )


def _coco_task(
  model: model_config.HTC,
  buckets: Sequence[tuple[int, int]] = COCO_BUCKETS,
  is_published: bool = True,
) -> task_config.HTCTask:
  """A task with the published input sizes, on COCO records under `coco/`.

  Training images are padded to buckets, so that there are only a few shapes. Evaluation images are
  padded as in the paper's code.

  Args:
    model: configuration of the model.
    buckets: height and width of each bucket.
    is_published: whether images and annotations are chosen as in the published trainings, and
      epochs are whole permutations; otherwise training takes all of them, from a buffer.
  """
  parser = task_config.Parser(
    buckets=[task_config.Bucket(height=height, width=width) for height, width in buckets]
  )
  return task_config.HTCTask(
    model=model,
    train_data=task_config.DataConfig(
      is_training=True,
      input_path='coco/train-*.tfrecord',
      parser=parser,
      published_selection=is_published,
      shuffle=task_config.PERMUTATION if is_published else task_config.BUFFER,
    ),
    validation_data=task_config.DataConfig(
      is_training=False, drop_remainder=False, global_batch_size=8, input_path='coco/val-*.tfrecord'
    ),
  )


def _scale_jitter() -> augmentation_config.ScaleJitter:
  return augmentation_config.ScaleJitter(min_factor=0.8, max_factor=1.25)


def _without_semantic() -> model_config.SemanticHead:
  return model_config.SemanticHead(enabled=False)


@exp_factory.register_config_factory('htc_resnet50fpn_1x_coco')
def htc_resnet50fpn_1x_coco() -> cfg.ExperimentConfig:
  """HTC R50-FPN, 12 epochs (published: box 42.3, mask 37.4 AP on val2017)."""
  return build_experiment(_coco_task(model_config.HTC()), Schedule())


@exp_factory.register_config_factory('htc_resnet50fpn_20e_coco')
def htc_resnet50fpn_20e_coco() -> cfg.ExperimentConfig:
  """HTC R50-FPN, 20 epochs (published: box 43.3, mask 38.3 AP on val2017)."""
  return build_experiment(_coco_task(model_config.HTC()), schedule_of('htc_resnet50fpn_20e_coco'))


@exp_factory.register_config_factory('htc_without_semantic_resnet50fpn_1x_coco')
def htc_without_semantic_resnet50fpn_1x_coco() -> cfg.ExperimentConfig:
  """HTC without the semantic branch, for data without stuff maps."""
  return build_experiment(
    _coco_task(model_config.HTC(semantic_head=_without_semantic())), Schedule()
  )


@exp_factory.register_config_factory('htc_resnet50fpn_1x_coco_paddle')
def htc_resnet50fpn_1x_coco_paddle() -> cfg.ExperimentConfig:
  """HTC R50-FPN with the rules of laihuihui/htc (PaddleDetection), for checkpoints from there."""
  stages = model_config.published_stages()
  stages[-1].box_coder_weights = [30.0, 30.0, 15.0, 15.0]
  # The limit is the largest float32 below 1, so that proposals with a side of 1 pixel are kept.
  proposals = features.PublishedRoIGenerator(min_size=1.0 - 2.0**-24, clip_deltas_below=False)
  model = model_config.HTC(
    roi_generator=model_config.RoIGenerator(published=proposals),
    roi_aligner=model_config.RoIAligner(
      published=features.PublishedRoIAligner(level_rule='paddle')
    ),
    cascade=model_config.Cascade(stages=stages, match_low_quality=False),
  )
  return build_experiment(_coco_task(model), Schedule())


def _cascade_mask_rcnn() -> model_config.HTC:
  """Parallel branches, no information flow (paper section 3.1, equation 1)."""
  return model_config.HTC(
    semantic_head=_without_semantic(),
    cascade=model_config.Cascade(
      interleaved=False, mask_information_flow=False, match_low_quality=False
    ),
    detection_generator=model_config.DetectionGenerator(score_threshold=0.05),
  )


def _mask_rcnn_task() -> task_config.HTCTask:
  """One stage, with box deltas for each class and L1 losses."""
  model = model_config.HTC(
    semantic_head=_without_semantic(),
    box_head=model_config.BoxHead(class_agnostic=False),
    rpn_sampler=features.RPNSampler(inside_only=False),
    roi_generator=features.RoIGenerator(
      published=features.PublishedRoIGenerator(num_proposals=1000)
    ),
    cascade=model_config.Cascade(
      stages=[model_config.Stage()], interleaved=False, mask_information_flow=False
    ),
    detection_generator=model_config.DetectionGenerator(score_threshold=0.05),
  )
  task = _coco_task(model)
  task.losses.rpn_box_beta = task.losses.box_beta = 0.0
  return task


def _multi_scale(task: task_config.HTCTask) -> task_config.HTCTask:
  """The task with a random short side per image, as in the published 3x schedules."""
  task.train_data.parser.min_size_range = [640, 800]
  return task


@exp_factory.register_config_factory('cascade_mask_rcnn_resnet50fpn_1x_coco')
def cascade_mask_rcnn_resnet50fpn_1x_coco() -> cfg.ExperimentConfig:
  """Cascade Mask R-CNN R50-FPN, 12 epochs (published: box 41.2, mask 35.9 AP on val2017)."""
  return build_experiment(_coco_task(_cascade_mask_rcnn()), Schedule())


@exp_factory.register_config_factory('cascade_mask_rcnn_resnet50fpn_20e_coco')
def cascade_mask_rcnn_resnet50fpn_20e_coco() -> cfg.ExperimentConfig:
  """Cascade Mask R-CNN R50-FPN, 20 epochs (published: box 41.9, mask 36.5 AP on val2017)."""
  return build_experiment(
    _coco_task(_cascade_mask_rcnn()), schedule_of('cascade_mask_rcnn_resnet50fpn_20e_coco')
  )


@exp_factory.register_config_factory('cascade_mask_rcnn_resnet50fpn_3x_coco')
def cascade_mask_rcnn_resnet50fpn_3x_coco() -> cfg.ExperimentConfig:
  """The same, 36 epochs at many scales (published: box 44.3, mask 38.5 AP on val2017)."""
  return build_experiment(
    _multi_scale(_coco_task(_cascade_mask_rcnn())),
    schedule_of('cascade_mask_rcnn_resnet50fpn_3x_coco'),
  )


@exp_factory.register_config_factory('mask_rcnn_resnet50fpn_1x_coco')
def mask_rcnn_resnet50fpn_1x_coco() -> cfg.ExperimentConfig:
  """Mask R-CNN R50-FPN, 12 epochs (published: box 38.2, mask 34.7 AP on val2017)."""
  return build_experiment(_mask_rcnn_task(), Schedule())


@exp_factory.register_config_factory('mask_rcnn_resnet50fpn_2x_coco')
def mask_rcnn_resnet50fpn_2x_coco() -> cfg.ExperimentConfig:
  """Mask R-CNN R50-FPN, 24 epochs (published: box 39.2, mask 35.4 AP on val2017)."""
  return build_experiment(_mask_rcnn_task(), schedule_of('mask_rcnn_resnet50fpn_2x_coco'))


@exp_factory.register_config_factory('mask_rcnn_resnet50fpn_3x_coco')
def mask_rcnn_resnet50fpn_3x_coco() -> cfg.ExperimentConfig:
  """The same, 36 epochs at many scales (published: box 40.9, mask 37.1 AP on val2017)."""
  return build_experiment(
    _multi_scale(_mask_rcnn_task()), schedule_of('mask_rcnn_resnet50fpn_3x_coco')
  )


@exp_factory.register_config_factory('htc_resnetfpn_coco')
def htc_resnetfpn_coco() -> cfg.ExperimentConfig:
  """HTC heads with Model Garden's ResNet-50, FPN, RPN head, proposals and RoI aligner."""
  model = model_config.HTC(
    input_size=[1024, 1024, 3],
    backbone=model_config.Backbone(type='resnet', resnet=backbones.ResNet(model_id=50)),
    decoder=model_config.Decoder(type='fpn', fpn=decoders.FPN()),
    norm_activation=common.NormActivation(norm_momentum=0.997, norm_epsilon=1e-4, use_sync_bn=True),
    anchor=model_config.Anchor(center_offset=0.5),
    rpn_head=model_config.RPNHead(type='model_garden'),
    roi_generator=model_config.RoIGenerator(type='model_garden'),
    roi_aligner=model_config.RoIAligner(type='model_garden'),
  )
  # With Model Garden's parts, images are padded to input_size instead of to buckets.
  task = _coco_task(model, buckets=(), is_published=False)
  task.init_checkpoint = _MODEL_GARDEN_RESNET50
  task.init_checkpoint_modules = 'backbone'
  for data in (task.train_data, task.validation_data):
    data.parser.min_sizes = [1024]
    data.parser.max_size = 1024
  task.train_data.parser.augmentation.scale_jitter = _scale_jitter()
  task.losses.l2_weight_decay = 4e-5
  task.losses.decay_norm_and_bias = False
  schedule = schedule_of('htc_resnetfpn_coco')
  return build_experiment(task, schedule, cfg.RuntimeConfig(mixed_precision_dtype='bfloat16'))


@exp_factory.register_config_factory('htc_nuclei')
def htc_nuclei() -> cfg.ExperimentConfig:
  """A small HTC for the nuclei image in the package, trained in minutes on two CPU cores."""
  model = model_config.HTC(
    num_classes=2,
    input_size=[256, 256, 3],
    backbone=model_config.Backbone(
      published_resnet=features.PublishedResNet(
        model_id=18, frozen_stages=-1, norm_eval=False, width_multiplier=0.5
      )
    ),
    decoder=model_config.Decoder(published_fpn=features.PublishedFPN(num_filters=64)),
    rpn_head=model_config.RPNHead(published=features.PublishedRPNHead(num_filters=64)),
    rpn_sampler=model_config.RPNSampler(num_samples=128),
    roi_generator=model_config.RoIGenerator(
      published=features.PublishedRoIGenerator(
        pre_nms_top_k=400, num_proposals=200, test_pre_nms_top_k=400, test_num_proposals=200
      )
    ),
    cascade=model_config.Cascade(num_sampled_rois=64),
    box_head=model_config.BoxHead(fc_dims=128),
    mask_head=model_config.MaskHead(num_convs=2, num_filters=64),
    semantic_head=model_config.SemanticHead(num_classes=2, num_convs=2, num_filters=64),
  )
  task = _coco_task(model, buckets=(), is_published=False)
  task.train_data.input_path = 'build/demo/records/train-*.tfrecord'
  task.validation_data.input_path = 'build/demo/records/val-*.tfrecord'
  task.validation_data.global_batch_size = 4
  task.train_data.shuffle_buffer_size = 64
  for data in (task.train_data, task.validation_data):
    data.parser.min_sizes = [256]
    data.parser.max_size = 256
  task.train_data.parser.augmentation = augmentation_config.Augmentation(
    scale_jitter=_scale_jitter(), flip=augmentation_config.Flip(horizontal=0.5, vertical=0.5)
  )
  experiment = build_experiment(task, schedule_of('htc_nuclei'))
  experiment.trainer.steps_per_loop = 25
  experiment.trainer.summary_interval = 25
  experiment.trainer.checkpoint_interval = 100
  experiment.trainer.validation_interval = experiment.trainer.train_steps
  return experiment
