"""Configuration of the trainer: Model Garden's fields and those of this package."""

import dataclasses

from official.core import config_definitions as cfg

from htc_tf.configs.bounds import Count
from htc_tf.configs.optimization import Optimization


@dataclasses.dataclass
class TrainerConfig(cfg.TrainerConfig):
  """Configuration of the training loop.

  Of Model Garden's fields, `best_checkpoint_eval_metric` may stay empty: the best checkpoint is
  then the one with the best mask AP, or box AP if the model has no masks.

  Attributes:
    optimizer_config: optimizer, learning rate and averages of the weights.
    patience: number of evaluations in a row without a better figure after which a training ends
      before its last step; 0 for never. The figure is `best_checkpoint_eval_metric`.
    num_pictures: number of validation images that are drawn at each evaluation for TensorBoard, the
      prediction beside the truth; 0 for none.
  """

  optimizer_config: Optimization = dataclasses.field(default_factory=Optimization)
  patience: Count = 0
  num_pictures: Count = 4


def best_metric(trainer: cfg.TrainerConfig, include_mask: bool) -> str:
  """The figure of an evaluation that decides on the best checkpoint, such as `segm_AP`.

  Args:
    trainer: configuration of the trainer.
    include_mask: whether the model predicts masks.
  """
  return trainer.best_checkpoint_eval_metric or ('segm_AP' if include_mask else 'bbox_AP')
