"""Tests of the checks of the trainer's values against each other."""

import pytest

from htc_tf import registry_imports  # noqa: F401
from htc_tf.configs import parsing, trainer_validation

COSINE = 'trainer.optimizer_config.learning_rate.cosine.decay_steps'


@pytest.mark.parametrize(
  'experiment,overrides,warnings',
  [
    ('htc_nano', '', []),
    ('htc_nano', 'trainer.train_steps=30000', ['at its end from step 25000 of 30000 on']),
    ('htc_nano', f'trainer.train_steps=30000,{COSINE}=30000', []),
    ('htc_nano', 'trainer.train_steps=2501', []),
    ('htc_nano', 'trainer.train_steps=2500', ['warm-up takes 2500 steps, and the training 2500']),
    ('htc_nuclei', 'trainer.train_steps=5000', []),  # The last rate of steps is not 0.
    ('htc_nuclei', 'trainer.train_steps=40', ['warm-up takes 50 steps, and the training 40']),
    ('htc_nuclei', 'trainer.optimizer_config.warmup.type=null,trainer.train_steps=40', []),
  ],
)
def test_a_learning_rate_for_another_number_of_steps_is_named(
  experiment, overrides, warnings, caplog
):
  trainer = parsing.parse(experiment, params_override=overrides).params.trainer
  trainer_validation.check_training(trainer)
  assert len(caplog.messages) == len(warnings)
  for message, text in zip(caplog.messages, warnings):
    assert text in message and '--epochs fits both' in message


@pytest.mark.parametrize('optimizer', ['published_adamw', 'published_sgd'])
def test_one_rate_for_all_layers_suits_every_backbone(optimizer):
  override = f'trainer.optimizer_config.optimizer.type={optimizer}'
  trainer = parsing.parse('htc_resnet50fpn_1x_coco', params_override=override).params.trainer
  trainer_validation.check_rate_by_depth(trainer, 'published_hrnet')
