"""Configuration of the optimizer: Model Garden's choices and those of this package."""

import dataclasses

from official.modeling import optimization
from official.modeling.optimization.configs import optimization_config, optimizer_config

PUBLISHED_SGD = 'published_sgd'


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
class Optimizer(optimization_config.OptimizerConfig):
  """Choice of the optimizer, also among those of Model Garden.

  Attributes:
    published_sgd: SGD with the momentum of the published trainings.
  """

  published_sgd: PublishedSGD = dataclasses.field(default_factory=PublishedSGD)


@dataclasses.dataclass
class Optimization(optimization.OptimizationConfig):
  """Optimizer, learning rate and averages of a training.

  Attributes:
    optimizer: choice of the optimizer.
  """

  optimizer: Optimizer = dataclasses.field(default_factory=Optimizer)
