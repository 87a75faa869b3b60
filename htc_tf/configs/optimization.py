"""Configuration of the optimizer: Model Garden's choices and those of this package."""

import dataclasses
from typing import Annotated

from official.modeling import optimization
from official.modeling.hyperparams import base_config
from official.modeling.optimization.configs import optimization_config, optimizer_config

from htc_tf.configs.bounds import OneOf, PositiveFraction

PUBLISHED_SGD, PUBLISHED_ADAMW = 'published_sgd', 'published_adamw'


@dataclasses.dataclass
class PublishedSGD(optimizer_config.BaseOptimizerConfig):
  """SGD with the momentum of PyTorch and Paddle; see `optimization.published_sgd`.

  Attributes:
    name: name of the optimizer.
    momentum: factor on the velocity of the step before.
  """

  name: str = 'PublishedSGD'
  momentum: float = 0.0


@dataclasses.dataclass
class RateByDepth(base_config.Config):
  """Learning rates that fall towards the first layers of a backbone (layer-wise decay).

  Attributes:
    factor: factor on the learning rate from a part of the backbone, a published ResNet or Swin
      transformer, to the part before it; 1 as CBNetV2 trains.
    part: a part is a residual or transformer block, 'layer', or a whole stage, 'stage'.
  """

  factor: PositiveFraction = 1.0
  part: Annotated[str, OneOf(('layer', 'stage'))] = 'layer'


@dataclasses.dataclass
class PublishedAdamW(optimizer_config.BaseOptimizerConfig):
  """AdamW with the rule of PyTorch; see `optimization.published_adamw`.

  It decays weights itself: set `task.losses.l2_weight_decay` to 0.

  Attributes:
    name: name of the optimizer.
    beta_1: factor on the first moment of the step before.
    beta_2: factor on the second moment of the step before.
    epsilon: number that is added to the root of the second moment.
    weight_decay: share of a weight that a step with a learning rate of 1 removes.
    exclude_from_decay: regular expressions; a variable whose name has one of them is not decayed.
    rate_by_depth: learning rates of the layers of the backbone.
  """

  name: str = 'PublishedAdamW'
  beta_1: float = 0.9
  beta_2: float = 0.999
  epsilon: float = 1e-8
  weight_decay: float = 0.01
  exclude_from_decay: list[str] = dataclasses.field(default_factory=list)
  rate_by_depth: RateByDepth = dataclasses.field(default_factory=RateByDepth)


@dataclasses.dataclass
class Optimizer(optimization_config.OptimizerConfig):
  """Choice of the optimizer, also among those of Model Garden.

  Attributes:
    published_sgd: SGD with the momentum of the published trainings.
    published_adamw: AdamW of the published trainings of transformers.
  """

  published_sgd: PublishedSGD = dataclasses.field(default_factory=PublishedSGD)
  published_adamw: PublishedAdamW = dataclasses.field(default_factory=PublishedAdamW)


@dataclasses.dataclass
class Optimization(optimization.OptimizationConfig):
  """Optimizer, learning rate and averages of a training.

  Attributes:
    optimizer: choice of the optimizer.
  """

  optimizer: Optimizer = dataclasses.field(default_factory=Optimizer)
