"""Configuration of data, losses and the HTC task."""

import dataclasses
from typing import Annotated

from official.core import config_definitions as cfg
from official.modeling import hyperparams

from htc_tf.configs import augmentation as augmentation_config
from htc_tf.configs import model as model_config
from htc_tf.configs.bounds import (
  Bounds,
  Count,
  Fraction,
  NonNegativeFloat,
  OneOf,
  PositiveInt,
  Weight,
)
from htc_tf.configs.detection_views import DetectionViews

SEED_LIMIT = 2**31
# Orders of training records.
BUFFER, PERMUTATION = 'buffer', 'permutation'
Seed = Annotated[int, Bounds(0, SEED_LIMIT, below=True)]


@dataclasses.dataclass
class Bucket(hyperparams.Config):
  """A static size of the network input.

  Attributes:
    height: height in pixels.
    width: width in pixels.
  """

  height: int = 0
  width: int = 0


@dataclasses.dataclass
class Parser(hyperparams.Config):
  """Resizing, augmentation and padding of images.

  Attributes:
    min_sizes: lengths of the short side after resizing, in pixels; training chooses one per image.
    min_size_range: smallest and largest short side, in pixels; training chooses an integer from
      this range, both ends included, instead of one of `min_sizes`. Empty: use `min_sizes`.
    max_size: limit of the long side, in pixels.
    buckets: static sizes of the network input, none larger than `task.model.input_size`. An image
      is padded to the smallest bucket that holds it, or shrunk into one if none does; all images of
      a batch are of one bucket. Empty: a batch holds images of one orientation, padded to their
      largest height and width, rounded up to multiples of the model's `size_divisor` (32 with the
      published decoder), as in the paper's code. With the proposals or the RoI aligner of Model
      Garden, images are always padded to `task.model.input_size`.
    augmentation: random changes of training images.
    max_num_instances: largest number of ground-truth instances per image.
  """

  min_sizes: list[PositiveInt] = dataclasses.field(default_factory=lambda: [800])
  min_size_range: list[PositiveInt] = dataclasses.field(default_factory=list)
  max_size: PositiveInt = 1333
  buckets: list[Bucket] = dataclasses.field(default_factory=list)
  augmentation: augmentation_config.Augmentation = dataclasses.field(
    default_factory=augmentation_config.Augmentation
  )
  max_num_instances: PositiveInt = 100


@dataclasses.dataclass
class DataConfig(cfg.DataConfig):
  """One input pipeline: its records, batch size and parsing.

  Attributes:
    input_path: glob pattern of TFRecord files written by `htc-create-coco-records`, or several
      patterns, separated by commas or in a list.
    global_batch_size: number of images per batch of all replicas together.
    is_training: whether the pipeline shuffles, repeats and augments the images.
    dtype: type of the images; if empty, `runtime.mixed_precision_dtype`.
    parser: resizing, augmentation and padding.
    shuffle: order of training records: 'buffer' draws the next record from the next
      `shuffle_buffer_size` ones; 'permutation' reads all records once per epoch, each epoch in
      another order of all of them, as the published trainings do. It needs records on this machine,
      and neither `cache` nor tf.data service; otherwise 'buffer' takes its place, and the log says
      so.
    shuffle_buffer_size: number of records from which training draws the next one.
    permutation_seed: seed of the permutations, the same in all starts of a run and on all workers;
      the training command sets it. None: `seed`.
    num_read: number of records that all workers together read in earlier starts of the run, where
      the permutations continue; the training command sets it.
    file_type: type of the files.
    drop_remainder: whether incomplete batches at the end of the data are dropped.
    label_map: label of the model for each label of the records, the background first; empty: the
      same labels. The training command sets it for a run that continues with records of some of the
      categories of its model.
    semantic_label_map: the same for the labels of the semantic maps.
    repeat_threshold: share of the images below which a class is rare; training reads images with
      an object of a rare class more often (repeat-factor sampling, LVIS: 0.001). 0: all images are
      read equally often.
    published_selection: whether training leaves out images without annotations or with a side under
      32 pixels, and annotations without area or with a side under 1 pixel, as the published
      trainings do; see `data.published_selection`. False: all images are used.
  """

  input_path: str | list[str] = ''
  global_batch_size: Count = 0
  is_training: bool = False
  dtype: Annotated[str, OneOf(('', 'float32', 'bfloat16', 'float16'))] = ''
  parser: Parser = dataclasses.field(default_factory=Parser)
  shuffle: Annotated[str, OneOf((BUFFER, PERMUTATION))] = BUFFER
  shuffle_buffer_size: PositiveInt = 1000
  permutation_seed: Seed | None = None
  num_read: Count = 0
  file_type: Annotated[str, OneOf(('tfrecord',))] = 'tfrecord'
  drop_remainder: bool = True
  label_map: list[Count] = dataclasses.field(default_factory=list)
  semantic_label_map: list[Count] = dataclasses.field(default_factory=list)
  repeat_threshold: Fraction = 0.0
  published_selection: bool = False


@dataclasses.dataclass
class Losses(hyperparams.Config):
  """Weights and constants of the losses.

  The class, box and mask terms of a stage are also multiplied by the `loss_weight` of the stage.

  Attributes:
    rpn_class_weight: factor on the class loss of the RPN.
    rpn_box_weight: factor on the box loss of the RPN.
    class_weight: factor on the class losses of the stages.
    box_weight: factor on the box losses of the stages.
    mask_weight: factor on the mask losses of the stages.
    semantic_weight: factor on the loss of the semantic branch.
    context_weight: factor on the loss of the global context branch.
    assistant_weight: factor on all losses of the assisting backbone of a composite.
    box_kind: loss on the boxes of the stages: 'smooth_l1' of the deltas, or 'giou' of the decoded
      boxes (Rezatofighi et al. 2019), which is usually weighted by 10.
    rpn_box_beta: smooth-L1 transition point of the RPN, in encoded units; 0 for the L1 loss.
    box_beta: smooth-L1 transition point of the stages, in encoded units; 0 for the L1 loss.
    semantic_average_over_valid: whether the semantic loss is averaged over the valid pixels only;
      in the paper's code ignored pixels count as well.
    semantic_average_per_image: whether the semantic loss is the mean over the images of the mean
      over each image and the padding that it would have alone, as in the published trainings with
      one image per GPU, instead of the mean over all pixels of the batch.
    l2_weight_decay: SGD weight decay, the factor on half the squared norm of each decayed variable.
    decay_norm_and_bias: whether norm scales and biases are decayed too, as in the paper's code.
  """

  rpn_class_weight: Weight = 1.0
  rpn_box_weight: Weight = 1.0
  class_weight: Weight = 1.0
  box_weight: Weight = 1.0
  mask_weight: Weight = 1.0
  semantic_weight: Weight = 0.2
  context_weight: Weight = 3.0
  assistant_weight: Weight = 0.5
  box_kind: Annotated[str, OneOf(('smooth_l1', 'giou'))] = 'smooth_l1'
  rpn_box_beta: NonNegativeFloat = 1.0 / 9.0
  box_beta: NonNegativeFloat = 1.0
  semantic_average_over_valid: bool = False
  semantic_average_per_image: bool = False
  l2_weight_decay: Weight = 1e-4
  decay_norm_and_bias: bool = True


@dataclasses.dataclass
class HTCTask(cfg.TaskConfig):
  """The task: model, data, losses, initial weights and evaluation.

  Attributes:
    model: configuration of the model.
    train_data: input pipeline of training.
    validation_data: input pipeline of evaluation.
    losses: weights and constants of the losses.
    init_checkpoint: checkpoint, model directory, published file or ImageNet classifier that a
      training starts from; None: random weights.
    init_checkpoint_modules: modules to read from `init_checkpoint`: 'all', or some of 'backbone'
      and 'decoder'.
    annotation_file: COCO annotations for the evaluation; empty: the copy beside the records.
    per_category_metrics: whether the AP of every category is reported as well.
    test_time_augmentation: views of an image that evaluation and prediction combine.
    freeze_backbone: whether the whole backbone is frozen.
    jit_compile: whether XLA compiles the forward and backward pass of training, once per bucket of
      the training data; the training command sets it for `runtime.enable_xla`.
    skip_non_finite_steps: whether a step with a loss or gradient that is not finite is skipped and
      counted, instead of stopping the run; more than 100 such steps in a row stop it.
    seed: seed that makes a run repeatable, bit for bit on one machine, at some cost in speed; None:
      every run differs.
  """

  model: model_config.HTC = dataclasses.field(default_factory=model_config.HTC)
  train_data: DataConfig = dataclasses.field(default_factory=lambda: DataConfig(is_training=True))
  validation_data: DataConfig = dataclasses.field(
    default_factory=lambda: DataConfig(is_training=False, drop_remainder=False)
  )
  losses: Losses = dataclasses.field(default_factory=Losses)
  init_checkpoint: str | None = None
  init_checkpoint_modules: str | list[str] = 'all'
  annotation_file: str | None = None
  per_category_metrics: bool = False
  test_time_augmentation: DetectionViews = dataclasses.field(default_factory=DetectionViews)
  freeze_backbone: bool = False
  jit_compile: bool = False
  skip_non_finite_steps: bool = False
  seed: Seed | None = None
