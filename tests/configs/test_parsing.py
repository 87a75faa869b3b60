"""Tests of the configuration that the flags of a command give."""

import logging

import pytest
from absl import logging as absl_logging

from htc_tf import registry_imports  # noqa: F401
from htc_tf.configs import parsing
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
    parsing.rescale_for_batch(experiment, parsed)
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
