"""Tests of the errors that the checks of a configuration raise."""

import pytest
from official.core import config_definitions as cfg

from htc_tf.configs import model as model_config
from htc_tf.configs import model_validation, validation
from htc_tf.errors import ConfigError
from tests import tiny

Stage = model_config.Stage


def stages(*values):
  return {'cascade': {'stages': [Stage(**entry) for entry in values]}}


WRONG_MODELS = {
  'one class': ({'num_classes': 1}, 'num_classes is too small.*Got: 1'),
  'no samples': (
    {'cascade': {'num_sampled_rois': 0}},
    'task.model.cascade.num_sampled_rois is out of range.*positive.*Got: 0',
  ),
  'thresholds of other classes': (
    {'num_classes': 4, 'detection_generator': {'class_score_thresholds': [0.1, 0.2]}},
    'class_score_thresholds is wrong.*3 limits.*Got: 2 limits',
  ),
  'suppression': (
    {'detection_generator': {'nms': 'soft'}},
    "nms is unknown.*'linear'.*Got: 'soft'",
  ),
  'no detections': ({'detection_generator': {'max_detections': 0}}, 'max_detections is out of'),
  'no features': ({'box_head': {'fc_dims': -1}}, 'box_head.fc_dims is out of range.*Got: -1'),
  'no bins': ({'box_head': {'crop_size': 0}}, 'box_head.crop_size is out of range'),
  'no anchors': ({'anchor': {'aspect_ratios': []}}, 'anchor.aspect_ratios.*out of range'),
  'no proposals': (
    {'roi_generator': {'published': {'test_num_proposals': 0}}},
    'roi_generator.published.test_num_proposals is out of range',
  ),
  'a shared mask branch with information flow': (
    {'cascade': {'shared_mask': True}},
    'shared_mask cannot be used.*Got: include_mask=true, interleaved=true',
  ),
  'a relay without a shared mask branch': (
    {'cascade': {'feature_relay': True}},
    'feature_relay cannot be used.*shared_mask=true.*Got: shared_mask=false',
  ),
  'shortcuts over an odd number of convolutions': (
    {'mask_head': {'residual': True, 'num_convs': 3}},
    'mask_head.num_convs is odd.*even number.*Got: 3',
  ),
  'no stage': (stages(), 'stages has the wrong length.*1 to 5 stages.*Got: 0'),
  'six stages': (stages(*[{}] * 6), 'stages has the wrong length.*Got: 6'),
  'falling thresholds': (
    stages({'iou_threshold': 0.6}, {'iou_threshold': 0.5}),
    r'stages are inconsistent.*rise from stage to stage.*\[0.6, 0.5\]',
  ),
  'threshold': (stages({'iou_threshold': 1.5}), r'stages\[0\].iou_threshold is out of range.*1.5'),
  'three coder weights': (
    stages({}, {'box_coder_weights': [10.0, 10.0, 5.0]}),
    r'stages\[1\].box_coder_weights is wrong',
  ),
  'negative coder weight': (
    stages({'box_coder_weights': [10.0, 10.0, 5.0, -5.0]}),
    r'stages\[0\].box_coder_weights\[3\] is out of range.*positive',
  ),
  'loss weight': (
    stages({'loss_weight': -1.0}),
    r'stages\[0\].loss_weight is out of range.*0 or more.*sign',
  ),
  'order of levels': ({'min_level': 5, 'max_level': 4}, 'levels are out of order.*Got: 5, 4'),
  'coarsest level of the aligner': (
    {'roi_aligner': {'published': {'max_level': 7}}},
    r'pools from levels that the decoder does not have.*2..6.*Got: 2..7',
  ),
  'order of the aligner levels': (
    {'roi_aligner': {'published': {'min_level': 5, 'max_level': 4}}},
    'pools from levels that the decoder does not have',
  ),
  'semantic level': ({'semantic_head': {'level': 7}}, 'fuses at a level .*Got: 7'),
  'input size': ({'input_size': [64, 65, 3]}, r'input_size is wrong.*multiples of 32.*65'),
  'channels': ({'input_size': [64, 64, 65]}, r'input_size is wrong.*1 to 64 channels.*64, 65\]'),
  'channel': ({'input_size': [64, 64, 0]}, r'input_size is wrong.*1 to 64 channels.*64, 0\]'),
  'mean of channels': ({'input_size': [64, 64, 2]}, r'pixels has no mean.*2 numbers.*mean=\[\]'),
  'mean of 16 bits': ({'pixels': {'bits': 16}}, r'pixels has no mean.*3 numbers.*16 bits'),
  'mean without deviation': ({'pixels': {'mean': [1, 2, 3]}}, r'pixels has no mean.*stddev=\[\]'),
  'bits': ({'pixels': {'bits': 12}}, r'pixels.bits.*12'),
  'deviation': (
    {'pixels': {'mean': [1, 2, 3], 'stddev': [1, 0, 1]}},
    r'pixels.stddev\[1\].*positive',
  ),
  'no channels': ({'input_size': [64, 64]}, 'input_size is wrong'),
  'input size with the decoder of Model Garden': (
    {'decoder': {'type': 'fpn', 'fpn': {'num_filters': 8}}, 'input_size': [96, 96, 3]},
    'multiples of 64',
  ),
  'mask filters': (
    {'mask_head': {'num_filters': 16}},
    'mask_head.num_filters does not fit the decoder.*Expected: 8.*Got: 16',
  ),
  'semantic filters': (
    {'semantic_head': {'num_filters': 4}},
    'semantic_head.num_filters does not fit the decoder',
  ),
  'box crop': (
    {'box_head': {'crop_size': 5}},
    'semantic_head.crop_size does not fit.*box_head.crop_size = 5.*Got: 14',
  ),
  'mask crop': ({'mask_head': {'crop_size': 28}}, 'multiple of mask_head.crop_size = 28'),
  'ensemble': (
    {'detection_generator': {'mask_ensemble': 'best'}},
    r"mask_ensemble is unknown.*\['mean', 'last'\].*'best'",
  ),
  'sampling rule': ({'cascade': {'sampling_rule': 'odd'}}, 'sampling_rule is unknown'),
  'level rule': (
    {'roi_aligner': {'published': {'level_rule': 'torch'}}},
    'level_rule is unknown.*mmdet',
  ),
  'rpn head': ({'rpn_head': {'type': 'none'}}, 'rpn_head.type is unknown'),
  'generator': ({'roi_generator': {'type': 'none'}}, 'roi_generator.type is unknown'),
  'aligner': ({'roi_aligner': {'type': 'none'}}, 'roi_aligner.type is unknown'),
}


@pytest.mark.parametrize('case', WRONG_MODELS)
def test_a_wrong_model_is_refused(case):
  overrides, message = WRONG_MODELS[case]
  config = tiny.model()
  new_stages = overrides.get('cascade', {}).get('stages')
  if new_stages is not None:
    config.cascade.stages = new_stages
  else:
    config.override(overrides)
  with pytest.raises(ConfigError, match=message):
    model_validation.validate_model(config)


@pytest.mark.parametrize(
  'overrides',
  [
    {},
    {'include_mask': False, 'mask_head': {'num_filters': 16}},
    {'semantic_head': {'enabled': False, 'num_filters': 4, 'level': 9}},
    {'semantic_head': {'feeds_box': False}, 'box_head': {'crop_size': 5}},
    {'cascade': {'mask_information_flow': False}, 'mask_head': {'num_filters': 16}},
    {'input_size': [96, 160, 3]},
    {
      'backbone': {
        'published_resnet': {
          'model_id': 101,
          'groups': 64,
          'base_width': 8,
          'deformable_stages': [2, 3, 4],
          'recompute': True,
        }
      }
    },
    {
      'backbone': {
        'published_resnet': {'model_id': 152, 'scales': 2, 'deep_stem': True, 'avg_down': True}
      }
    },
    {'backbone': {'published_resnet': {'model_id': 18, 'deep_stem': True, 'avg_down': True}}},
    {
      'backbone': {
        'published_resnet': {
          'model_id': 50,
          'standardized': True,
          'switchable_stages': [2, 3],
          'deformable_stages': [4],
        }
      },
      'decoder': {'type': 'recursive_fpn', 'recursive_fpn': {'num_filters': tiny.CHANNELS}},
    },
    {'backbone': {'type': 'resnet', 'published_resnet': {'groups': 0}}},
    tiny.HRNET,
    {**tiny.HRNET, 'input_size': [96, 160, 3]},
  ],
)
def test_a_valid_model_is_accepted(overrides):
  model_validation.validate_model(tiny.model(**overrides))


def test_a_valid_experiment_is_accepted(experiment):
  validation.validate_experiment(experiment, 'train')


@pytest.mark.parametrize('mode', ['eval', 'train_and_eval', 'continuous_eval'])
def test_validation_records_are_checked_in_modes_with_evaluation(experiment, mode):
  with pytest.raises(ConfigError, match=r'task.validation_data.input_path matches no file.*val-\*'):
    validation.validate_experiment(experiment, mode)


WRONG_RUNS = {
  'steps': ({'trainer': {'train_steps': 0}}, 'trainer.train_steps is out of range.*Got: 0'),
  'string instead of steps': (
    {'trainer': {'train_steps': 'many'}},
    'trainer.train_steps is of the wrong type',
  ),
  'steps per loop': ({'trainer': {'steps_per_loop': -1}}, 'trainer.steps_per_loop is out of range'),
  'checkpoint interval': (
    {'trainer': {'checkpoint_interval': 0}},
    'checkpoint_interval is out of range',
  ),
  'weight': (
    {'task': {'losses': {'l2_weight_decay': -1}}},
    'task.losses.l2_weight_decay is out of range.*0 or more.*Got: -1.*sign',
  ),
  'beta': ({'task': {'losses': {'box_beta': -0.1}}}, 'task.losses.box_beta is out of range'),
  'checkpoint': ({'task': {'init_checkpoint': 3}}, 'init_checkpoint is of the wrong type.*quotes'),
  'modules': (
    {'task': {'init_checkpoint_modules': 5}},
    r'init_checkpoint_modules is of the wrong type. Expected: str or list. Got: 5',
  ),
  'element of modules': (
    {'task': {'init_checkpoint_modules': ['backbone', 5]}},
    r'init_checkpoint_modules\[1\] is of the wrong type',
  ),
  'section in place of a number': (
    {'task': {'model': {'num_classes': {'a': 1}}}},
    'num_classes is of the wrong type',
  ),
  'huge number': ({'trainer': {'train_steps': -(10**400)}}, 'train_steps is out of range'),
  'annotations': ({'task': {'annotation_file': 3}}, 'annotation_file is of the wrong type'),
  'rates by depth of a backbone with other names': (
    {
      'task': {'model': {'backbone': {'type': 'published_hrnet'}}},
      'trainer': {
        'optimizer_config': {
          'optimizer': {
            'type': 'published_adamw',
            'published_adamw': {'rate_by_depth': {'factor': 0.9}},
          }
        }
      },
    },
    'rate_by_depth.factor cannot be used.*published_resnet or published_swin.*Got: published_hrnet',
  ),
  'infinite rate': (
    {'trainer': {'optimizer_config': {'optimizer': {'sgd': {'momentum': float('nan')}}}}},
    'sgd.momentum is out of range.*Got: nan',
  ),
  'boolean in quotes': (
    {'task': {'freeze_backbone': 'false'}},
    "task.freeze_backbone is of the wrong type.*bool.*Got: 'false'.*quotes",
  ),
  'negative seed': ({'task': {'seed': -1}}, 'task.seed is out of range.*from 0.*Got: -1'),
  'large seed': ({'task': {'seed': 2**31}}, 'task.seed is out of range.*below 2147483648'),
  'boolean seed': ({'task': {'seed': True}}, 'task.seed is of the wrong type'),
  'kept checkpoints': ({'trainer': {'max_to_keep': 0}}, 'max_to_keep is out of range.*1 or more'),
  'summaries': (
    {'trainer': {'summary_interval': 30, 'steps_per_loop': 25}},
    'summary_interval does not fit trainer.steps_per_loop.*multiple of steps_per_loop = 25.*30',
  ),
  'order of steps': (
    {'trainer': {'optimizer_config': {'learning_rate': {'stepwise': {'boundaries': [9, 8]}}}}},
    r'learning_rate.boundaries are out of order.*steps that rise.*\[9, 8\]',
  ),
  'number of rates': (
    {'trainer': {'optimizer_config': {'learning_rate': {'stepwise': {'boundaries': [9]}}}}},
    r'boundaries and values disagree.*2 values for 1 boundaries.*boundaries=\[9\]',
  ),
  'negative rate': (
    {'trainer': {'optimizer_config': {'learning_rate': {'stepwise': {'values': [1, -1, 0]}}}}},
    r'stepwise.values\[1\] is out of range.*0 or more.*-1',
  ),
  'schedule without values': (
    {'trainer': {'optimizer_config': {'learning_rate': {'type': 'cosine'}}}},
    'learning_rate.initial_learning_rate has no value',
  ),
  'unknown schedule': (
    {'trainer': {'optimizer_config': {'learning_rate': {'type': 'cosin'}}}},
    "learning_rate.type is unknown.*'cosine'.*Got: 'cosin'",
  ),
  'no optimizer': (
    {'trainer': {'optimizer_config': {'optimizer': {'type': None}}}},
    'optimizer.type has no value',
  ),
  'negative GPUs': ({'runtime': {'num_gpus': -1}}, 'runtime.num_gpus is out of range.*0 or more'),
  'TPU strategy': (
    {'runtime': {'distribution_strategy': 'tpu'}},
    'TPUs and parameter servers are not supported.*one_device.*Got: tpu.*Python',
  ),
  'parameter servers': (
    {'runtime': {'distribution_strategy': 'parameter_server'}},
    'TPUs and parameter servers are not supported.*Got: parameter_server',
  ),
  'TPU address': ({'runtime': {'tpu': 'grpc://a'}}, 'not supported.*tpu=grpc://a'),
  'strategy': (
    {'runtime': {'distribution_strategy': 'foo'}},
    "distribution_strategy is unknown.*'mirrored'.*Got: 'foo'",
  ),
}


@pytest.mark.parametrize('case', WRONG_RUNS)
def test_a_wrong_run_is_refused(experiment, case):
  overrides, message = WRONG_RUNS[case]
  experiment.override(overrides)
  with pytest.raises(ConfigError, match=message):
    validation.validate_experiment(experiment, 'train')


def test_validation_steps_are_positive_or_minus_one(experiment):
  experiment.task.validation_data.input_path = experiment.task.train_data.input_path
  for steps in (-1, 1):
    experiment.trainer.validation_steps = steps
    validation.validate_experiment(experiment, 'eval')
  experiment.trainer.validation_steps = 0
  with pytest.raises(ConfigError, match=r'validation_steps is out of range.*-1 for all'):
    validation.validate_experiment(experiment, 'eval')


BEST = {'best_checkpoint_export_subdir': 'best'}


@pytest.mark.parametrize('use', [BEST, {'patience': 2}])
@pytest.mark.parametrize('metric', ['AP', 'segm_AP', 'bbox_AP_by_category/cat'])
def test_an_unknown_metric_of_the_best_checkpoint_is_refused(experiment, metric, use):
  experiment.task.validation_data.input_path = experiment.task.train_data.input_path
  experiment.task.model.override({'include_mask': False})
  experiment.trainer.override({**use, 'best_checkpoint_eval_metric': metric})
  with pytest.raises(ConfigError, match=r"eval_metric is unknown.*'bbox_AP', 'bbox_AP50'"):
    validation.validate_experiment(experiment, 'train_and_eval')
  validation.validate_experiment(experiment, 'train')


@pytest.mark.parametrize(
  'metric', ['', 'bbox_AP', 'segm_AP', 'segm_ARs', 'bbox_AP_by_category/cat']
)
def test_a_known_metric_of_the_best_checkpoint_is_accepted(experiment, metric):
  experiment.task.validation_data.input_path = experiment.task.train_data.input_path
  experiment.task.per_category_metrics = True
  experiment.trainer.override({**BEST, 'best_checkpoint_eval_metric': metric})
  validation.validate_experiment(experiment, 'train_and_eval')


def test_an_unknown_mode_is_refused(experiment):
  with pytest.raises(ConfigError, match=r"mode is unknown.*'train_and_eval'.*Got: 'trian'"):
    validation.validate_experiment(experiment, 'trian')


def test_an_experiment_of_another_task_is_refused():
  params = cfg.ExperimentConfig(task=cfg.TaskConfig())
  with pytest.raises(ConfigError, match=r'not an HTC experiment.*Got: TaskConfig'):
    validation.validate_experiment(params, 'train')


@pytest.mark.parametrize(
  'dtype,loss_scale',
  [
    (None, None),
    ('float32', None),
    ('bfloat16', None),
    ('float16', None),
    ('float16', 'dynamic'),
    ('float16', 1024.0),
    ('float16', 1024),
  ],
)
def test_a_valid_precision_is_accepted(dtype, loss_scale):
  validation.validate_runtime(cfg.RuntimeConfig(mixed_precision_dtype=dtype, loss_scale=loss_scale))


@pytest.mark.parametrize(
  'dtype,loss_scale,message',
  [
    ('float64', None, "mixed_precision_dtype is unknown.*'bfloat16'.*'float64'"),
    ('float16', 'automatic', "loss_scale is wrong.*'dynamic' or a positive.*'automatic'"),
    ('float16', 0, 'loss_scale is wrong.*0'),
    ('bfloat16', 'dynamic', 'loss_scale has no effect.*float16.*bfloat16'),
    (None, 128.0, 'loss_scale has no effect'),
  ],
)
def test_a_wrong_precision_is_refused(dtype, loss_scale, message):
  with pytest.raises(ConfigError, match=message):
    validation.validate_runtime(
      cfg.RuntimeConfig(mixed_precision_dtype=dtype, loss_scale=loss_scale)
    )


EMA = {'optimizer_config': {'ema': {'average_decay': 0.99}}}


@pytest.mark.parametrize(
  'runtime,trainer,message',
  [
    ({'mixed_precision_dtype': 'float16'}, {}, 'ema does not work with float16'),
    ({}, {'recovery_max_trials': 2}, 'ema does not work with trainer.recovery_max_trials'),
  ],
)
def test_what_does_not_work_with_averaged_weights_is_refused(experiment, runtime, trainer, message):
  experiment.runtime.override(runtime)
  experiment.trainer.override(trainer)
  validation.validate_experiment(experiment, 'train')
  experiment.trainer.override(EMA)
  with pytest.raises(ConfigError, match=message):
    validation.validate_experiment(experiment, 'train')
