"""Tests of the configuration that the flags of a command give."""

import logging
import pathlib
import shutil

import pytest
from absl import logging as absl_logging
from official.modeling import optimization

from htc_tf import registry_imports  # noqa: F401
from htc_tf.configs import experiment_files, parsing
from htc_tf.errors import ConfigError

COCO = 'htc_resnet50fpn_1x_coco'
EIGHT = 'task.train_data.global_batch_size=8'


def test_the_error_for_an_unknown_experiment_lists_the_known_ones():
  with pytest.raises(ConfigError) as error:
    parsing.parse('htc_resnet50_coco')
  assert all(name in str(error.value) for name in parsing.known_experiments())
  assert "'htc_resnet50_coco'" in str(error.value)


def test_files_and_texts_count_in_order(tmp_path):
  for name, steps in (('a', 1), ('b', 2)):
    (tmp_path / f'{name}.yaml').write_text(
      f'trainer: {{train_steps: {steps}, max_to_keep: {steps}, steps_per_loop: {steps}}}'
    )
  files = [str(tmp_path / 'a.yaml'), str(tmp_path / 'b.yaml')]
  texts = ['trainer.max_to_keep=3,trainer.steps_per_loop=3', 'trainer.steps_per_loop=4']
  parsed = parsing.parse('htc_nuclei', files, texts)
  trainer = parsed.params.trainer
  assert (trainer.train_steps, trainer.max_to_keep, trainer.steps_per_loop) == (2, 3, 4)
  assert parsed.changed == {
    'trainer.train_steps',
    'trainer.max_to_keep',
    'trainer.steps_per_loop',
  }


def rescaled(caplog, *texts, experiment=COCO):
  absl_logging.use_absl_handler()
  with caplog.at_level(logging.INFO):
    parsed = parsing.parse(experiment, (), texts)
    parsing.rescale_for_batch(parsed)
  return parsed.params.trainer


def test_the_schedule_follows_the_batch_size(caplog):
  trainer = rescaled(caplog, EIGHT)
  assert trainer.train_steps == 175920
  assert trainer.optimizer_config.learning_rate.stepwise.boundaries == [117280, 161260]
  assert trainer.optimizer_config.learning_rate.stepwise.values == pytest.approx([1e-2, 1e-3, 1e-4])
  assert 'fitted to 8' in caplog.text


@pytest.mark.parametrize(
  'other',
  [
    'trainer.max_to_keep=5',
    'trainer.steps_per_loop=10,trainer.summary_interval=10',
    'trainer.optimizer_config.optimizer.sgd.momentum=0.95',
    'trainer.best_checkpoint_eval_metric=segm_AP',
    'runtime.num_gpus=2',
  ],
)
def test_the_schedule_follows_whatever_else_is_set(caplog, other):
  assert rescaled(caplog, EIGHT, other).train_steps == 175920


@pytest.mark.parametrize(
  'text, warns',
  [
    ('sgd.momentum=0.95', True),
    ('adam.epsilon=0.1', True),
    ('published_sgd.momentum=0.95', False),
    ('type=sgd', False),
    (['type=sgd', 'sgd.momentum=0.95'], False),
  ],
)
def test_a_value_of_an_optimizer_that_is_not_chosen_is_named(caplog, text, warns):
  prefix = 'trainer.optimizer_config.optimizer'
  texts = [text] if isinstance(text, str) else text
  parsing.parse('htc_resnet50fpn_1x_coco', params_override=[f'{prefix}.{t}' for t in texts])
  assert (f'{prefix}.{texts[0].split("=")[0]} has no effect' in caplog.text) == warns
  assert ('has no effect' in caplog.text) == warns


def test_an_interval_that_is_set_stays(caplog):
  trainer = rescaled(caplog, f'{EIGHT},trainer.checkpoint_interval=500')
  assert trainer.train_steps == 175920
  assert trainer.checkpoint_interval == 500
  assert trainer.validation_interval == 14660


@pytest.mark.parametrize(
  'key',
  [
    'trainer.train_steps=87960',  # Equal to the value of the experiment.
    'trainer.train_steps=5',
    'trainer.optimizer_config.learning_rate.stepwise.values=[0.1, 0.01, 0.001]',
    'trainer.optimizer_config.learning_rate.type=cosine',
    'trainer.optimizer_config.warmup.linear.warmup_steps=9',
  ],
)
def test_a_schedule_that_is_set_stays(caplog, key):
  base = parsing.parse(COCO, (), [key]).params.trainer
  assert rescaled(caplog, EIGHT, key).as_dict() == base.as_dict()
  assert f'because {key.partition("=")[0]} is set' in caplog.text


def test_an_unchanged_batch_changes_nothing(caplog):
  assert rescaled(caplog, 'task.train_data.global_batch_size=16').train_steps == 87960
  assert not caplog.text


@pytest.mark.parametrize('size', ['0', '-4', 'many', '2.5'])
def test_a_wrong_batch_is_left_to_the_checks(caplog, size):
  assert rescaled(caplog, f'task.train_data.global_batch_size={size}').train_steps == 87960


@pytest.mark.parametrize(
  'stem', ['htc_cbnetv2_swin_base_coco', 'htc_cbnetv2_swin_large_4conv1fc_coco']
)
def test_the_schedule_of_a_published_file_follows_the_batch_size(stem):
  files = [experiment_files.path_of(stem)]
  parsed = parsing.parse('htc_resnet50fpn_20e_coco', files, [EIGHT])
  parsing.rescale_for_batch(parsed)
  trainer = parsed.params.trainer
  assert trainer.train_steps == 2 * 146600
  rate = trainer.optimizer_config.learning_rate.get()
  assert rate.boundaries == [2 * 117280, 2 * 139270]
  assert rate.values == pytest.approx([5e-5, 5e-6, 5e-7])
  assert trainer.optimizer_config.warmup.get().warmup_learning_rate == pytest.approx(5e-8)
  assert parsed.changed == {'task.train_data.global_batch_size'}


@pytest.mark.parametrize('batch, factor', [(8, 2), (2, 8), (32, 0.5)])
def test_cycles_of_a_published_file_follow_the_batch_size(batch, factor):
  files = [experiment_files.path_of('htc_resnet50fpn_swa_coco')]
  text = f'task.train_data.global_batch_size={batch}'
  parsed = parsing.parse(COCO, files, [text])
  parsing.rescale_for_batch(parsed)
  optimizer = parsed.params.trainer.optimizer_config
  epoch = round(7330 * factor)
  assert parsed.params.trainer.train_steps == 12 * epoch
  assert parsed.params.trainer.checkpoint_interval == epoch
  assert optimizer.warmup.type is None
  rate = optimization.OptimizerFactory(optimizer).build_learning_rate()
  high = 0.02 / factor
  for cycle in (0, 1, 11):
    begin, end = cycle * epoch, (cycle + 1) * epoch
    assert float(rate(begin)) == pytest.approx(high)
    # Along the cosine, not above it: a step between two cycles would have a rate between them.
    assert float(rate((begin + end) // 2)) == pytest.approx(0.505 * high, rel=1e-2)
    assert float(rate(end - 1)) == pytest.approx(0.01 * high, rel=1e-3)


def test_a_published_file_as_an_override_belongs_to_the_experiment_too(monkeypatch):
  path = experiment_files.path_of('htc_cbnetv2_swin_base_coco')
  parsed = parsing.parse('htc_resnet50fpn_20e_coco', (), [EIGHT, path])
  parsing.rescale_for_batch(parsed)
  assert parsed.params.trainer.train_steps == 2 * 146600
  monkeypatch.chdir(pathlib.Path(path).parent)
  for text in (EIGHT, '{trainer: {max_to_keep: 2}}', 'trainer.max_to_keep=' + '1' * 5000, '\0', ''):
    assert not experiment_files.is_published(text)
  assert experiment_files.is_published('htc_cbnetv2_swin_base_coco.yaml')


def test_a_copy_of_a_published_file_is_a_schedule_of_the_user(tmp_path, caplog):
  path = shutil.copy(experiment_files.path_of('htc_cbnetv2_swin_base_coco'), tmp_path)
  absl_logging.use_absl_handler()
  with caplog.at_level(logging.INFO):
    parsed = parsing.parse('htc_resnet50fpn_20e_coco', [str(path)], [EIGHT])
    parsing.rescale_for_batch(parsed)
  assert parsed.params.trainer.train_steps == 146600
  assert 'stays as it is, because trainer.optimizer_config.learning_rate' in caplog.text


def test_other_files_come_after_published_ones(tmp_path):
  own = tmp_path / 'own.yaml'
  own.write_text('task: {losses: {l2_weight_decay: 0.01}}')
  files = [str(own), experiment_files.path_of('htc_cbnetv2_swin_base_coco')]
  parsed = parsing.parse('htc_resnet50fpn_20e_coco', files)
  assert parsed.params.task.losses.l2_weight_decay == 0.01
  assert parsed.base.task.losses.l2_weight_decay == 0.0


def test_a_rate_of_another_kind_of_schedule_is_named(caplog):
  files = [experiment_files.path_of('htc_cbnetv2_swin_base_coco')]
  parsing.parse('htc_base', files)
  assert 'learning_rate.stepwise.values has no effect: the learning rate is cosine' in caplog.text
