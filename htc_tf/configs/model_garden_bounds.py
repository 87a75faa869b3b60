"""Ranges of the values of Model Garden's configuration classes, which have plain types."""

from official.core import config_definitions as cfg
from official.modeling.hyperparams import base_config
from official.modeling.optimization.configs import learning_rate_config as rate_config
from official.modeling.optimization.configs import optimizer_config
from official.vision.configs import backbones, common, decoders, maskrcnn

from htc_tf.configs.bounds import (
  AT_LEAST_0,
  AT_LEAST_1,
  FRACTION,
  POSITIVE,
  Bounds,
  OneOf,
)

_MOMENTUM = Bounds(0, 1, below=True)
_ALL_OR_POSITIVE = Bounds(low=-1)

BOUNDS: dict[type[base_config.Config], dict[str, Bounds | OneOf]] = {
  cfg.TrainerConfig: {
    'train_steps': AT_LEAST_0,
    'steps_per_loop': AT_LEAST_0,
    'summary_interval': AT_LEAST_0,
    'checkpoint_interval': AT_LEAST_0,
    'validation_interval': AT_LEAST_0,
    'validation_steps': _ALL_OR_POSITIVE,
    'max_to_keep': Bounds(
      low=1, likely_cause='0 or -1 for all checkpoints: name a large number to keep them all'
    ),
    'continuous_eval_timeout': AT_LEAST_0,
    'best_checkpoint_metric_comp': OneOf(('higher', 'lower')),
    'recovery_begin_steps': AT_LEAST_0,
    'recovery_max_trials': AT_LEAST_0,
    'loss_upper_bound': POSITIVE,
  },
  cfg.RuntimeConfig: {
    'num_gpus': Bounds(low=0, likely_cause='-1 for all: name their number'),
    'per_gpu_thread_count': AT_LEAST_0,
    'dataset_num_private_threads': AT_LEAST_1,
    'num_packs': AT_LEAST_0,
    'gpu_thread_mode': OneOf(('gpu_shared', 'gpu_private', 'global')),
    'all_reduce_alg': OneOf(('nccl', 'hierarchical_copy', 'ring')),
  },
  cfg.DataConfig: {
    'cycle_length': AT_LEAST_1,
    'block_length': AT_LEAST_1,
    'ram_budget': AT_LEAST_1,
    'prefetch_buffer_size': AT_LEAST_1,
    'seed': AT_LEAST_0,
  },
  optimizer_config.BaseOptimizerConfig: {
    'clipnorm': POSITIVE,
    'clipvalue': POSITIVE,
    'global_clipnorm': POSITIVE,
    'momentum': _MOMENTUM,
    'decay': AT_LEAST_0,
    'rho': _MOMENTUM,
    'beta_1': _MOMENTUM,
    'beta_2': _MOMENTUM,
    'epsilon': POSITIVE,
    'weight_decay': AT_LEAST_0,
    'weight_decay_rate': AT_LEAST_0,
  },
  optimizer_config.EMAConfig: {'average_decay': FRACTION, 'start_step': AT_LEAST_0},
  rate_config.ConstantLrConfig: {'learning_rate': POSITIVE},
  rate_config.StepwiseLrConfig: {'boundaries': POSITIVE, 'values': AT_LEAST_0},
  rate_config.StepCosineLrConfig: {'boundaries': AT_LEAST_0, 'values': AT_LEAST_0},
  rate_config.ExponentialLrConfig: {
    'initial_learning_rate': POSITIVE,
    'decay_steps': AT_LEAST_1,
    'decay_rate': POSITIVE,
  },
  rate_config.PolynomialLrConfig: {
    'initial_learning_rate': POSITIVE,
    'decay_steps': AT_LEAST_1,
    'end_learning_rate': AT_LEAST_0,
    'power': POSITIVE,
  },
  rate_config.CosineLrConfig: {
    'initial_learning_rate': POSITIVE,
    'decay_steps': AT_LEAST_1,
    'alpha': FRACTION,
  },
  rate_config.DirectPowerLrConfig: {'initial_learning_rate': POSITIVE},
  rate_config.PowerAndLinearDecayLrConfig: {
    'initial_learning_rate': POSITIVE,
    'total_decay_steps': AT_LEAST_1,
    'linear_decay_fraction': FRACTION,
  },
  rate_config.PowerDecayWithOffsetLrConfig: {'initial_learning_rate': POSITIVE},
  rate_config.LinearWarmupConfig: {
    'warmup_learning_rate': AT_LEAST_0,
    'warmup_steps': AT_LEAST_1,
  },
  rate_config.PolynomialWarmupConfig: {'power': POSITIVE, 'warmup_steps': AT_LEAST_1},
  common.NormActivation: {'norm_momentum': FRACTION, 'norm_epsilon': POSITIVE},
  backbones.ResNet: {
    'model_id': OneOf((10, 18, 34, 50, 101, 152, 200)),
    'depth_multiplier': POSITIVE,
    'se_ratio': FRACTION,
    'stochastic_depth_drop_rate': _MOMENTUM,
    'stem_type': OneOf(('v0', 'v1')),
  },
  decoders.FPN: {'num_filters': AT_LEAST_1, 'fusion_type': OneOf(('sum', 'concat'))},
  decoders.NASFPN: {'num_filters': AT_LEAST_1, 'num_repeats': AT_LEAST_1},
  maskrcnn.RPNHead: {'num_convs': AT_LEAST_1, 'num_filters': AT_LEAST_1},
  maskrcnn.ROIGenerator: {
    'pre_nms_top_k': AT_LEAST_1,
    'pre_nms_score_threshold': FRACTION,
    'pre_nms_min_size_threshold': AT_LEAST_0,
    'nms_iou_threshold': FRACTION,
    'num_proposals': AT_LEAST_1,
    'test_pre_nms_top_k': AT_LEAST_1,
    'test_pre_nms_score_threshold': FRACTION,
    'test_pre_nms_min_size_threshold': AT_LEAST_0,
    'test_nms_iou_threshold': FRACTION,
    'test_num_proposals': AT_LEAST_1,
  },
}


def bound_of(config_class: type, field: str) -> Bounds | OneOf | None:
  """The range of a field of a Model Garden class, also if one of ours inherits it."""
  for base in config_class.__mro__:
    bound = BOUNDS.get(base, {}).get(field)
    if bound is not None:
      return bound
  return None
