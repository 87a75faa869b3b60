"""Tests of the comparison of a run with the one in its model directory."""

import dataclasses
import pathlib
import re

import pytest
from official.core import exp_factory

from htc_tf import registry_imports  # noqa: F401
from htc_tf.checkpoints import model_directory
from htc_tf.configs import schedule, sizes
from htc_tf.data.dataset_info import Category, DatasetInfo
from htc_tf.errors import ConfigError, DataError
from htc_tf.training import run_guard

INFO = DatasetInfo(
  name='pets',
  num_images=3,
  num_instances=4,
  num_shards=1,
  categories=(Category(1, 'cat', 1), Category(7, 'dog', 2)),
  semantic=None,
  include_masks=True,
  annotation_file='train_annotations.json',
)


def experiment(**overrides):
  params = exp_factory.get_exp_config('htc_nuclei')
  params.override(overrides)
  return params


@pytest.fixture
def folder(tmp_path):
  """A model directory in mid-run."""
  model_directory.save_params(str(tmp_path), experiment())
  model_directory.save_dataset_info(str(tmp_path), INFO)
  return str(tmp_path)


def content(folder):
  return {path.name: path.read_bytes() for path in pathlib.Path(folder).iterdir()}


def check(folder, params, info=INFO, step=100):
  before = content(folder)
  try:
    run_guard.check_continues(folder, f'{folder}/ckpt-{step}', params, info)
  finally:
    assert content(folder) == before


def test_the_same_run_continues_silently(folder, caplog):
  check(folder, experiment())
  assert not caplog.text


RATE = 'trainer.optimizer_config.learning_rate'
REFUSED = {
  'classes': (
    {'task': {'model': {'num_classes': 5}}},
    'task.model.num_classes: 2 before, 5 now',
  ),
  'stages': (
    {'task': {'model': {'cascade': {'stages': [{'iou_threshold': 0.5}]}}}},
    r'task.model.cascade.stages \(number\): 3 before, 1 now',
  ),
  'branch': (
    {'task': {'model': {'semantic_head': {'enabled': False}}}},
    'task.model.semantic_head.enabled: True before, False now',
  ),
  'backbone': (
    {'task': {'model': {'backbone': {'published_resnet': {'model_id': 34}}}}},
    'model_id: 18 before, 34 now',
  ),
  'channels': (
    {'task': {'model': {'input_size': [512, 512, 4]}}},
    r'task.model.input_size: \[.*, 3\] before, \[512, 512, 4\] now',
  ),
  'mean of the channels': (
    {'task': {'model': {'pixels': {'mean': [1.0, 2.0, 3.0]}}}},
    r'task.model.pixels.mean: \[\] before, \[1.0, 2.0, 3.0\] now',
  ),
  'batch': (
    {'task': {'train_data': {'global_batch_size': 8}}},
    'task.train_data.global_batch_size: 4 before, 8 now',
  ),
  'optimizer': (
    {'trainer': {'optimizer_config': {'optimizer': {'type': 'adam'}}}},
    'optimizer.type: .*sgd.* before, .*adam.* now',
  ),
  'momentum': (
    {'trainer': {'optimizer_config': {'optimizer': {'sgd': {'momentum': 0.5}}}}},
    'momentum: 0.9 before, 0.5 now',
  ),
  'rate': (
    {
      'trainer': {'optimizer_config': {'learning_rate': {'stepwise': {'values': [1.0, 0.1, 0.01]}}}}
    },
    rf'{RATE}.stepwise.values: \[0.02.*before, \[1.0, 0.1, 0.01\] now',
  ),
  'warm-up': (
    {'trainer': {'optimizer_config': {'warmup': {'linear': {'warmup_steps': 40}}}}},
    'warmup.linear.warmup_steps: 50 before, 40 now',
  ),
  'boundary in the past': (
    {'trainer': {'optimizer_config': {'learning_rate': {'stepwise': {'boundaries': [90, 495]}}}}},
    rf'{RATE}.stepwise.boundaries',
  ),
}


@pytest.mark.parametrize('case', REFUSED)
def test_another_configuration_is_refused_with_both_values(folder, case):
  overrides, message = REFUSED[case]
  with pytest.raises(
    ConfigError, match=f'holds a run of another configuration.*{message}'
  ) as error:
    check(folder, experiment(**overrides))
  assert 'new --model_dir' in str(error.value)
  assert f'task.init_checkpoint={folder}/ckpt-100' in str(error.value)


def test_a_run_on_hrnet_may_change_its_frozen_stages_but_not_its_width(tmp_path, caplog):
  def with_hrnet(**values):
    backbone = {'type': 'published_hrnet', 'published_hrnet': values}
    return experiment(task={'model': {'backbone': backbone}})

  model_directory.save_params(str(tmp_path), with_hrnet())
  check(str(tmp_path), with_hrnet(frozen_stages=1, norm_eval=False, recompute=True))
  assert 'published_hrnet.frozen_stages: -1 before, 1 now' in caplog.text
  with pytest.raises(ConfigError, match=r'published_hrnet.width: 32 before, 18 now'):
    check(str(tmp_path), with_hrnet(width=18))


def test_a_run_on_swin_may_change_its_drop_path_but_not_its_width(tmp_path, caplog):
  def with_swin(**values):
    backbone = {'type': 'published_swin', 'published_swin': values}
    return experiment(task={'model': {'backbone': backbone}})

  model_directory.save_params(str(tmp_path), with_swin())
  check(str(tmp_path), with_swin(frozen_stages=1, drop_path_rate=0.1, recompute=True))
  assert 'published_swin.drop_path_rate: 0.2 before, 0.1 now' in caplog.text
  with pytest.raises(ConfigError, match=r'published_swin.embed_dim: 96 before, 128 now'):
    check(str(tmp_path), with_swin(embed_dim=128))


def test_the_other_rule_of_the_momentum_is_refused_with_what_to_do(tmp_path):
  def published(kind):
    params = exp_factory.get_exp_config('htc_resnet50fpn_1x_coco')
    params.override({'trainer': {'optimizer_config': {'optimizer': {'type': kind}}}})
    return params

  folder = str(tmp_path)
  model_directory.save_params(folder, published('sgd'))
  with pytest.raises(
    ConfigError, match=r'optimizer.type: .sgd. before, .published_sgd. now'
  ) as error:
    check(folder, published('published_sgd'))
  assert 'To continue the run as it began, set trainer.optimizer_config.optimizer.type' in str(
    error.value
  )
  check(folder, published('sgd'))  # What the message says works.


def test_values_of_an_optimizer_that_is_not_chosen_are_not_compared(folder, caplog):
  other = {'published_sgd': {'momentum': 0.1, 'global_clipnorm': 3.0}, 'adam': {'epsilon': 1.0}}
  check(folder, experiment(trainer={'optimizer_config': {'optimizer': other}}))
  assert not caplog.text


@pytest.mark.parametrize('size', ['htc_nano', 'htc_base'])
def test_a_longer_cosine_is_refused_with_what_to_do_instead(tmp_path, size):
  def with_epochs(epochs):
    params = exp_factory.get_exp_config(size)
    trainer = schedule.build_trainer(sizes.SIZES[size[4:]].schedule(epochs, 15, 4))
    params.override({'trainer': {'train_steps': trainer.train_steps}})
    params.trainer.optimizer_config = trainer.optimizer_config
    return params

  model_directory.save_params(str(tmp_path), with_epochs(10))
  with pytest.raises(ConfigError) as error:
    check(str(tmp_path), with_epochs(20), step=40)
  text = str(error.value)
  assert 'decay_steps: 40 before, 80 now' in text
  assert 'another length of the training, 40 steps before and 80 now, such as by --epochs' in text
  assert f'a new --model_dir and --weights={tmp_path}/ckpt-40' in text
  params = with_epochs(20)
  params.override({'task': {'train_data': {'global_batch_size': 16}}})
  with pytest.raises(ConfigError, match='a model directory that is used again'):
    check(str(tmp_path), params, step=40)


ALLOWED = {
  'a longer training': ({'trainer': {'train_steps': 900}}, 'train_steps: 540 before, 900 now'),
  'a boundary in the future': (
    {'trainer': {'optimizer_config': {'learning_rate': {'stepwise': {'boundaries': [405, 500]}}}}},
    r'boundaries: \[405, 495\] before, \[405, 500\] now',
  ),
  'a loss weight': (
    {'task': {'losses': {'mask_weight': 2.0}}},
    'mask_weight: 1.0 before, 2.0 now',
  ),
  'a score threshold': (
    {'task': {'model': {'detection_generator': {'score_threshold': 0.05}}}},
    'score_threshold: 0.001 before, 0.05 now',
  ),
  'precision': (
    {'runtime': {'mixed_precision_dtype': 'bfloat16'}},
    "runtime.mixed_precision_dtype: 'float32' before, 'bfloat16' now",
  ),
  'another size': (
    {'task': {'model': {'input_size': [512, 512, 3]}}},
    r'task.model.input_size: .*\[512, 512, 3\] now',
  ),
  'interval': ({'trainer': {'checkpoint_interval': 10}}, 'checkpoint_interval'),
}


@pytest.mark.parametrize('case', ALLOWED)
def test_a_change_that_leaves_the_run_so_far_valid_is_logged(folder, case, caplog):
  overrides, message = ALLOWED[case]
  check(folder, experiment(**overrides))
  assert 'This start differs from the one before' in caplog.text
  assert re.search(message, caplog.text)


def test_devices_and_the_seed_of_a_start_are_not_compared(folder, caplog):
  check(folder, experiment(runtime={'num_gpus': 0, 'distribution_strategy': 'one_device'}))
  check(folder, experiment(task={'train_data': {'seed': 3, 'deterministic': True}}))
  assert not caplog.text


def test_converted_weights_allow_any_batch_and_schedule(folder):
  """A checkpoint of step 0 is the start of a run, not its middle."""
  check(folder, experiment(task={'train_data': {'global_batch_size': 8}}), step=0)
  with pytest.raises(ConfigError, match='num_classes'):
    check(folder, experiment(task={'model': {'num_classes': 5}}), step=0)


@pytest.mark.parametrize(
  'categories',
  [
    (Category(1, 'dog', 1), Category(7, 'cat', 2)),
    (Category(1, 'cat', 1), Category(8, 'dog', 2)),
    (*INFO.categories, Category(9, 'emu', 3)),
  ],
)
def test_other_categories_are_refused_with_both_lists(folder, categories):
  info = dataclasses.replace(INFO, categories=categories)
  with pytest.raises(DataError, match=r'other categories.*Expected: 1 cat, 7 dog. Got: ') as error:
    check(folder, experiment(), info)
  assert ', '.join(f'{entry.id} {entry.name}' for entry in categories) in str(error.value)
  assert 'task.init_checkpoint' in str(error.value)


@pytest.mark.parametrize('categories', [INFO.categories[:1], (Category(7, 'dog', 1),)])
def test_some_of_the_categories_continue(folder, categories, caplog):
  check(folder, experiment(), dataclasses.replace(INFO, categories=categories))
  check(folder, experiment(task={'train_data': {'label_map': [0, 2]}}))
  assert not caplog.text


def test_without_a_checkpoint_every_run_fits(folder):
  params = experiment(task={'model': {'num_classes': 5}})
  run_guard.check_continues(folder, None, params, dataclasses.replace(INFO, categories=()))


def test_a_directory_without_a_configuration_is_named(tmp_path, caplog):
  run_guard.check_continues(str(tmp_path), f'{tmp_path}/ckpt-9', experiment(), INFO)
  assert 'has no params.yaml' in caplog.text


def test_a_damaged_configuration_is_an_error(folder):
  (pathlib.Path(folder) / 'params.yaml').write_text('task: [')
  with pytest.raises(ConfigError, match=r'params.yaml is not the configuration of a run'):
    check(folder, experiment())
