"""Tests of the schedule of a training on data of one's own."""

import pytest

from htc_tf.configs import validation
from htc_tf.configs.shorthands import Shorthands
from tests.configs import resolution


def test_the_learning_rate_follows_the_batch(data):
  first, second = (
    resolution.resolve(Shorthands(data=data, size='nano', batch_size=batch)).trainer
    for batch in (4, 2)
  )
  rates = [t.optimizer_config.learning_rate.cosine.initial_learning_rate for t in (first, second)]
  assert rates[0] == pytest.approx(2 * rates[1])
  assert second.train_steps == 2 * first.train_steps


def test_the_warm_up_is_a_share_of_the_run(data):
  trainer = resolution.resolve(Shorthands(data=data, size='nano', epochs=200)).trainer
  assert trainer.optimizer_config.warmup.linear.warmup_steps == 20
  assert trainer.optimizer_config.learning_rate.cosine.decay_steps == trainer.train_steps == 200


def test_an_override_of_the_batch_counts_for_the_schedule(data):
  params = resolution.resolve(
    Shorthands(data=data, size='nano', epochs=10),
    params_override='task.train_data.global_batch_size=2',
  )
  assert params.trainer.train_steps == 20


def test_warm_up_and_learning_rate_follow_typed_steps(data):
  flags = Shorthands(data=data, size='nano')
  trainer = resolution.resolve(flags, params_override='trainer.train_steps=50').trainer
  assert trainer.optimizer_config.learning_rate.cosine.decay_steps == 50
  assert trainer.optimizer_config.warmup.linear.warmup_steps == 5
  assert trainer.validation_interval == 1
  flags = Shorthands(data=data, weights='w.pth')
  published = resolution.resolve(
    flags, 'htc_resnet50fpn_1x_coco', params_override='trainer.train_steps=120'
  ).trainer
  assert list(published.optimizer_config.learning_rate.stepwise.boundaries) == [80, 110]


@pytest.mark.parametrize(
  'experiment,flags,steps,boundaries,rate',
  [
    # Four images; rates are those per image of the experiment.
    ('htc_resnet50fpn_20e_coco', {'batch_size': 2}, 40, [32, 38], 0.02 * 2 / 16),
    ('htc_resnet50fpn_20e_coco', {'batch_size': 2, 'epochs': 40}, 80, [64, 76], 0.02 * 2 / 16),
    ('htc_nuclei', {}, 60, [45, 55], 0.02),
    ('htc_nuclei', {'batch_size': 2, 'epochs': 120}, 240, [180, 220], 0.01),
    ('htc_resnetfpn_coco', {'epochs': 24}, 24, [16, 22], 0.08),
  ],
)
def test_an_experiment_keeps_its_schedule_for_other_data(
  data, experiment, flags, steps, boundaries, rate
):
  trainer = resolution.resolve(Shorthands(data=data, **flags), experiment).trainer
  assert trainer.train_steps == steps
  assert list(trainer.optimizer_config.learning_rate.stepwise.boundaries) == boundaries
  values = trainer.optimizer_config.learning_rate.stepwise.values
  assert list(values) == pytest.approx([rate, rate / 10, rate / 100])
  assert trainer.steps_per_loop == (25 if experiment == 'htc_nuclei' else 100)


@pytest.mark.parametrize('flags', [{}, {'epochs': 7}])
def test_averages_of_the_weights_can_be_chosen(data, flags):
  params = resolution.resolve(
    Shorthands(data=data, size='nano', **flags),
    params_override='trainer.optimizer_config.ema.average_decay=0.99',
  )
  assert params.trainer.optimizer_config.ema.average_decay == 0.99
  validation.validate_experiment(params, 'train_and_eval')


def test_epochs_alone_need_no_folder(data):
  params = resolution.resolve(
    Shorthands(epochs=30),
    'htc_nuclei',
    params_override=f'task.train_data.input_path={data}/train-*.tfrecord',
  )
  assert params.trainer.train_steps == 30
