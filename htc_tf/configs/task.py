"""Configuration of data, losses and the HTC task."""

import dataclasses

from official.core import config_definitions as cfg
from official.modeling import hyperparams

from htc_tf.configs import model as model_config


@dataclasses.dataclass
class Frame(hyperparams.Config):
  """A static size of the network input, in pixels."""

  height: int = 0
  width: int = 0


@dataclasses.dataclass
class Parser(hyperparams.Config):
  """How an image becomes a network input.

  Attributes:
    min_sizes: short side after resizing, in pixels; with several, training draws one an image.
    min_size_range: lowest and highest short side; training draws a whole number from them, both
      included, instead of one of `min_sizes`. Empty: `min_sizes`.
    max_size: bound on the long side, in pixels.
    frames: static sizes of the network input, none larger than `task.model.input_size`. An image
      is padded to the least of them that holds it (shrunk into one if none does), and a batch is of
      one frame. Empty: a batch is of one orientation and padded to the next multiples of 32 of its
      own largest height and width, as published. Parts of Model Garden that need a static frame
      take `task.model.input_size`, whether it is given here or not.
    random_horizontal_flip: probability, in training.
    random_vertical_flip: probability, in training.
    scale_range: training multiplies the scale by a factor drawn from it, then crops to the frame
      (to `task.model.input_size` if there are no frames).
    max_num_instances: most truths an image trains on.
  """

  min_sizes: list[int] = dataclasses.field(default_factory=lambda: [800])
  min_size_range: list[int] = dataclasses.field(default_factory=list)
  max_size: int = 1333
  frames: list[Frame] = dataclasses.field(default_factory=list)
  random_horizontal_flip: float = 0.5
  random_vertical_flip: float = 0.0
  scale_range: list[float] = dataclasses.field(default_factory=lambda: [1.0, 1.0])
  max_num_instances: int = 100


@dataclasses.dataclass
class DataConfig(cfg.DataConfig):
  """One input pipeline: which records, how many a step, how they are parsed.

  Attributes:
    input_path: TFRecord pattern written by `htc-create-coco-records`.
    dtype: of the images; follows `runtime.mixed_precision_dtype` when empty.
  """

  input_path: str | list[str] = ''
  global_batch_size: int = 0
  is_training: bool = False
  dtype: str = ''
  parser: Parser = dataclasses.field(default_factory=Parser)
  shuffle_buffer_size: int = 1000
  file_type: str = 'tfrecord'
  drop_remainder: bool = True


@dataclasses.dataclass
class Losses(hyperparams.Config):
  """Weights and constants of the losses; a stage's weight multiplies its three terms.

  Attributes:
    rpn_box_beta: smooth-L1 transition of the RPN, in encoded units.
    box_beta: smooth-L1 transition of the stages.
    semantic_average_over_valid: leave ignored pixels out of the mean; published: they count.
    l2_weight_decay: SGD weight decay (half the squared norm of each decayed variable).
    decay_norm_and_bias: decay normalisation affines and biases too, as published.
  """

  rpn_class_weight: float = 1.0
  rpn_box_weight: float = 1.0
  class_weight: float = 1.0
  box_weight: float = 1.0
  mask_weight: float = 1.0
  semantic_weight: float = 0.2
  rpn_box_beta: float = 1.0 / 9.0
  box_beta: float = 1.0
  semantic_average_over_valid: bool = False
  l2_weight_decay: float = 1e-4
  decay_norm_and_bias: bool = True


@dataclasses.dataclass
class HTCTask(cfg.TaskConfig):
  """The task: model, data, losses, where to start from and what to evaluate against.

  Attributes:
    init_checkpoint: checkpoint or directory that training starts from.
    init_checkpoint_modules: 'all', or some of 'backbone', 'decoder'.
    annotation_file: COCO annotations to evaluate against; empty: the copy beside the records.
    per_category_metrics: report AP of every category too.
    freeze_backbone: train nothing of the backbone.
    jit_compile: compile forward and backward pass of a training step by XLA, once for each static
      frame of the training data; the training command sets it for `runtime.enable_xla`.
    skip_non_finite_steps: leave out and count a step whose loss or gradient is not finite, instead
      of stopping the run; a hundred in a row stop it.
    seed: makes a run repeatable, bit for bit on one machine, at some cost in speed; None: every
      run differs.
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
  freeze_backbone: bool = False
  jit_compile: bool = False
  skip_non_finite_steps: bool = False
  seed: int | None = None
