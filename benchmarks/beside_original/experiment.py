"""Our configuration of a recipe: the published HTC, reduced."""

from typing import Any

from official.core import config_definitions as cfg
from official.core import exp_factory

from benchmarks.beside_original.recipe import DECAYS, WARMUP_FACTOR, Recipe
from htc_tf import registry_imports  # noqa: F401  Registers optimizers and experiments.
from htc_tf.configs.schedule import Schedule, build_trainer

_EXPERIMENT = 'htc_resnet50fpn_1x_coco'


def build(recipe: Recipe, sampling_rule: str = 'random') -> cfg.ExperimentConfig:
  """The experiment of a recipe; the paths of its records are not set.

  Args:
    recipe: the recipe.
    sampling_rule: 'random', or 'even' for repeatable steps.
  """
  params = exp_factory.get_exp_config(_EXPERIMENT)
  model = {**_model(recipe), 'input_size': [recipe.side, recipe.side, 3]}
  model['cascade'] = {'num_sampled_rois': recipe.num_rois, 'sampling_rule': sampling_rule}
  parser = {'min_sizes': [recipe.side], 'max_size': recipe.side, 'buckets': []}
  params.override(
    {
      'task': {
        'model': model,
        'train_data': {
          'global_batch_size': recipe.batch_size,
          'parser': {**parser, 'augmentation': {'flip': {'horizontal': 0.0}}},
        },
        'validation_data': {'global_batch_size': recipe.batch_size, 'parser': parser},
        'losses': {'l2_weight_decay': recipe.weight_decay},
      }
    }
  )
  params.trainer = build_trainer(schedule(recipe))
  return params


def schedule(recipe: Recipe) -> Schedule:
  """The published 1x schedule in fewer epochs: two decays at the same shares of the run."""
  return Schedule(
    epochs=recipe.epochs,
    milestones=tuple(recipe.epochs * share for share in DECAYS),
    learning_rate=recipe.learning_rate,
    batch_size=recipe.batch_size,
    # Images that do not fill a batch are left out.
    num_images=recipe.num_images // recipe.batch_size * recipe.batch_size,
    warmup_steps=recipe.warmup_steps,
    warmup_factor=WARMUP_FACTOR,
    momentum=recipe.momentum,
    clip_norm=recipe.clip_norm,
  )


def _model(recipe: Recipe) -> dict[str, Any]:
  """Overrides that reduce the model. Its norms are trained, because it starts from random weights.

  Args:
    recipe: the recipe.
  """
  filters = {'num_filters': recipe.channels}
  top = recipe.num_proposals
  convs = {'num_convs': recipe.num_convs, **filters}
  return {
    'num_classes': recipe.num_classes + 1,
    'backbone': {
      'published_resnet': {
        'model_id': 18,
        'width_multiplier': recipe.base_channels / 64,
        'frozen_stages': -1,
        'norm_eval': False,
      }
    },
    'decoder': {'published_fpn': filters},
    'rpn_head': {'published': filters},
    'roi_generator': {
      'published': {
        'pre_nms_top_k': top,
        'num_proposals': top,
        'test_pre_nms_top_k': top,
        'test_num_proposals': top,
      }
    },
    'box_head': {'fc_dims': recipe.units},
    'mask_head': convs,
    'semantic_head': {'num_classes': recipe.num_semantic_classes, **convs},
    # mmdetection 3.3.0 detects with the masks of the last stage alone.
    'detection_generator': {'mask_ensemble': 'last'},
  }
