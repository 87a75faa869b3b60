"""Tests of the errors that the checks of a configuration raise."""

import dataclasses

import pytest
from official.core import config_definitions as cfg
from official.core import exp_factory

from htc_tf.configs import model as model_config
from htc_tf.configs import model_validation, validation
from htc_tf.data import dataset_info
from htc_tf.errors import ConfigError, DataError
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
  'no detections': ({'detection_generator': {'max_detections': 0}}, 'max_detections is out of'),
  'no features': ({'box_head': {'fc_dims': -1}}, 'box_head.fc_dims is out of range.*Got: -1'),
  'no bins': ({'box_head': {'crop_size': 0}}, 'box_head.crop_size is out of range'),
  'no anchors': ({'anchor': {'aspect_ratios': []}}, 'anchor.aspect_ratios.*out of range'),
  'no proposals': (
    {'roi_generator': {'published': {'test_num_proposals': 0}}},
    'roi_generator.published.test_num_proposals is out of range',
  ),
  'groups': (
    {'backbone': {'published_resnet': {'groups': 0}}},
    'published_resnet.groups is out of range.*positive.*Got: 0',
  ),
  'base width': (
    {'backbone': {'published_resnet': {'base_width': -4}}},
    'published_resnet.base_width is out of range.*Got: -4',
  ),
  'no channel in a group': (
    {'backbone': {'published_resnet': {'model_id': 50, 'groups': 32, 'base_width': 4}}},
    r'base_width is too small.*Got: 4 \* 0.125',
  ),
  'deformable levels': (
    {'backbone': {'published_resnet': {'model_id': 50, 'deformable_stages': [3, 4, 5]}}},
    r'deformable_stages is wrong.*stages from 1 to 4.*Got: \[3, 4, 5\].*stages 2-4',
  ),
  'groups of basic blocks': (
    {'backbone': {'published_resnet': {'model_id': 18, 'groups': 32, 'base_width': 8}}},
    'needs bottleneck blocks.*model_id 50 or 101.*Got: model_id 18',
  ),
  'deformable basic blocks': (
    {'backbone': {'published_resnet': {'model_id': 34, 'deformable_stages': [4]}}},
    'needs bottleneck blocks.*Got: model_id 34',
  ),
  'recompute without norm_eval': (
    {'backbone': {'published_resnet': {'recompute': True, 'norm_eval': False}}},
    'published_resnet.recompute cannot be used.*norm_eval=true',
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
    {'backbone': {'type': 'resnet', 'published_resnet': {'groups': 0}}},
  ],
)
def test_a_valid_model_is_accepted(overrides):
  model_validation.validate_model(tiny.model(**overrides))


INFO = dataset_info.DatasetInfo(
  name='pets',
  num_images=3,
  num_instances=4,
  num_shards=1,
  categories=tuple(dataset_info.Category(i, f'c{i}', i) for i in (1, 2, 3)),
  semantic=dataset_info.SemanticInfo('instances', tiny.NUM_SEMANTIC),
  include_masks=True,
  annotation_file='train_annotations.json',
)


def write_records(folder, info):
  info.save(str(folder / 'train.json'))
  (folder / 'train-00000-of-00001.tfrecord').write_bytes(b'')


@pytest.fixture
def experiment(tmp_path):
  """A small experiment whose training records exist."""
  write_records(tmp_path, INFO)
  params = exp_factory.get_exp_config('htc_nuclei')
  params.task.model = tiny.model()
  params.task.train_data.input_path = str(tmp_path / 'train-*.tfrecord')
  params.task.validation_data.input_path = str(tmp_path / 'val-*.tfrecord')
  return params


def test_a_valid_experiment_is_accepted(experiment):
  validation.validate_experiment(experiment, 'train')


@pytest.mark.parametrize('mode', ['eval', 'train_and_eval', 'continuous_eval'])
def test_validation_records_are_checked_in_modes_with_evaluation(experiment, mode):
  with pytest.raises(ConfigError, match=r'task.validation_data.input_path matches no file.*val-\*'):
    validation.validate_experiment(experiment, mode)


@pytest.mark.parametrize('path', ['', 'nowhere/train-*.tfrecord', ['nowhere'], None])
def test_an_input_path_without_files_is_refused(experiment, path):
  experiment.task.train_data.input_path = path
  with pytest.raises(ConfigError, match=r'task.train_data.input_path matches no file'):
    validation.validate_experiment(experiment, 'train')


def test_records_without_metadata_are_refused(experiment, tmp_path):
  (tmp_path / 'train.json').unlink()
  with pytest.raises(DataError, match='No metadata of a data set'):
    validation.validate_experiment(experiment, 'train')


WRONG_DATA = {
  'batch': ({'global_batch_size': 0}, 'train_data.global_batch_size is out of range'),
  'buffer': ({'shuffle_buffer_size': -1}, 'train_data.shuffle_buffer_size is out of range'),
  'no size': ({'parser': {'min_sizes': []}}, 'parser.min_sizes is wrong.*one size or more'),
  'size': ({'parser': {'max_size': 0}}, 'parser.max_size is out of range.*positive.*Got: 0'),
  'exchanged sizes': (
    {'parser': {'min_sizes': [300]}},
    r'parser.min_sizes is wrong.*max_size = 256.*\[300\].*exchanged',
  ),
  'size range': (
    {'parser': {'min_size_range': [300, 200]}},
    'min_size_range is wrong.*low <= high',
  ),
  'size range beyond the long side': (
    {'parser': {'min_size_range': [200, 300]}},
    r'min_size_range.*max_size = 256.*\[200, 300\]',
  ),
  'one size for a range': ({'parser': {'min_size_range': [200]}}, r'min_size_range.*\[200\]'),
  'scale': (
    {'parser': {'augmentation': {'scale_jitter': {'min_factor': 1.2, 'max_factor': 0.8}}}},
    'scale_jitter is not a range.*min_factor=1.2, max_factor=0.8',
  ),
  'scale of 0': (
    {'parser': {'augmentation': {'scale_jitter': {'min_factor': 0.0}}}},
    'scale_jitter.min_factor is out of range.*positive',
  ),
  'flip': (
    {'parser': {'augmentation': {'flip': {'horizontal': 50}}}},
    'flip.horizontal is out of range.*0..1.*Got: 50.*a percentage',
  ),
  'vertical flip': (
    {'parser': {'augmentation': {'flip': {'vertical': -1.0}}}},
    'flip.vertical is out of range',
  ),
}


BUCKET = {'height': 32, 'width': 64}
WRONG_BUCKETS = {
  'divisor': (
    [BUCKET, {'height': 40, 'width': 64}],
    r'train_data.parser.buckets\[1\] is wrong.*multiples of 32.*40 x 64',
  ),
  'missing side': ([{'height': 64}], r'buckets\[0\] is wrong.*64 x 0'),
  'misspelled key': ([{'hight': 32, 'width': 64}], r"buckets\[0\] has unknown keys.*\['hight'\]"),
  'too large': (
    [{'height': 64, 'width': 96}],
    r'buckets\[0\] is larger than task.model.input_size.*64 x 64.*64 x 96',
  ),
  'string instead of a number': (
    [{'height': '32', 'width': 64}],
    r'buckets\[0\].height is of the wrong type',
  ),
  'no list': (64, r'buckets is of the wrong type. Expected: a list. Got: 64'),
  'no keys': ([64], r"buckets\[0\] is of the wrong type. Expected: keys of \['height'"),
}


@pytest.mark.parametrize('case', WRONG_BUCKETS)
def test_wrong_buckets_are_refused(experiment, case):
  buckets, message = WRONG_BUCKETS[case]
  experiment.task.train_data.override({'parser': {'buckets': buckets}})
  with pytest.raises(ConfigError, match=message):
    validation.validate_experiment(experiment, 'train')


def test_valid_buckets_are_accepted(experiment):
  experiment.task.train_data.override(
    {'parser': {'buckets': [BUCKET, {'height': 64, 'width': 32}]}}
  )
  validation.validate_experiment(experiment, 'train')


def test_parts_of_model_garden_need_buckets_of_the_input_size(experiment):
  experiment.task.model.override({'roi_generator': {'type': 'model_garden'}})
  experiment.task.train_data.override({'parser': {'buckets': [{'height': 64, 'width': 64}]}})
  validation.validate_experiment(experiment, 'train')
  experiment.task.train_data.override({'parser': {'buckets': [BUCKET]}})
  with pytest.raises(ConfigError, match=r'buckets\[0\] does not match the model.*64 x 64.*32 x 64'):
    validation.validate_experiment(experiment, 'train')


@pytest.mark.parametrize('case', WRONG_DATA)
def test_a_wrong_input_pipeline_is_refused(experiment, case):
  overrides, message = WRONG_DATA[case]
  experiment.task.train_data.override(overrides)
  with pytest.raises(ConfigError, match=message):
    validation.validate_experiment(experiment, 'train')


WRONG_RECORDS = {
  'classes': (
    {'categories': INFO.categories[:2]},
    r'num_classes disagree.*Expected: 3 \(2 categories.*Got: 4.*num_classes=3',
  ),
  'masks': ({'include_masks': False}, 'has no masks.*include_mask=false'),
  'semantic': ({'semantic': None}, 'has no semantic maps.*semantic_head.enabled=false'),
  'semantic classes': (
    {'semantic': dataset_info.SemanticInfo('stuff_maps', 183)},
    'semantic_head.num_classes disagree.*Expected: 183.*Got: 5',
  ),
}


@pytest.mark.parametrize('case', WRONG_RECORDS)
def test_records_that_do_not_match_the_model_are_refused(experiment, tmp_path, case):
  changes, message = WRONG_RECORDS[case]
  write_records(tmp_path, dataclasses.replace(INFO, **changes))
  with pytest.raises(ConfigError, match=message):
    validation.validate_experiment(experiment, 'train')


def test_validation_records_may_have_more_categories(experiment, tmp_path):
  """The evaluation matches them by id and name."""
  experiment.task.validation_data.input_path = experiment.task.train_data.input_path
  experiment.task.model.num_classes = 3
  validation.validate_experiment(experiment, 'eval')


def test_records_of_some_categories_fit_the_run_that_they_continue(experiment, tmp_path):
  semantic = dataset_info.SemanticInfo('instances', 2)
  category = dataclasses.replace(INFO.categories[1], label=1)
  changes = {'categories': (category,), 'semantic': semantic}
  write_records(tmp_path, dataclasses.replace(INFO, **changes))
  with pytest.raises(ConfigError, match='num_classes disagree'):
    validation.validate_experiment(experiment, 'train')
  experiment.task.model.semantic_head.num_classes = INFO.num_classes
  validation.validate_experiment(experiment, 'train', INFO)
  other = dataclasses.replace(INFO, categories=(dataset_info.Category(1, 'x', 1),))
  with pytest.raises(ConfigError, match='num_classes disagree'):
    validation.validate_experiment(experiment, 'train', other)


def test_evaluation_needs_neither_masks_nor_semantic_maps(experiment, tmp_path):
  write_records(tmp_path, dataclasses.replace(INFO, include_masks=False, semantic=None))
  experiment.task.validation_data.input_path = experiment.task.train_data.input_path
  validation.validate_experiment(experiment, 'eval')


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
  'beta': ({'task': {'losses': {'box_beta': 0.0}}}, 'task.losses.box_beta is out of range'),
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


def test_an_evaluation_has_one_image_size(experiment):
  experiment.task.validation_data.input_path = experiment.task.train_data.input_path
  experiment.task.validation_data.parser.min_sizes = [128, 256]
  with pytest.raises(ConfigError, match=r'validation_data.parser.min_sizes has several sizes'):
    validation.validate_experiment(experiment, 'eval')


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
