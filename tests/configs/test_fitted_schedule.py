"""Tests of the schedule of a training on data of one's own."""

import itertools

import pytest

from htc_tf.configs import experiment_files, validation
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


def test_the_schedule_of_a_published_file_follows_data_epochs_and_batch(data):
  trainer = resolution.resolve(
    Shorthands(data=data, epochs=40, batch_size=2, weights='w.pth'),
    'htc_resnet50fpn_20e_coco',
    config_files=[experiment_files.path_of('htc_cbnetv2_swin_base_coco')],
  ).trainer
  assert trainer.train_steps == 80
  assert trainer.optimizer_config.optimizer.type == 'published_adamw'
  rate = trainer.optimizer_config.learning_rate.get()
  assert list(rate.boundaries) == [64, 76]
  assert list(rate.values) == pytest.approx([1.25e-5, 1.25e-6, 1.25e-7])
  assert trainer.optimizer_config.warmup.get().warmup_learning_rate == pytest.approx(1.25e-8)


@pytest.mark.parametrize('batch_size, epochs, cycles', [(1, 6, 6), (1, 24, 24), (4, 6, 3)])
def test_a_cycle_of_a_published_file_is_an_epoch_of_two_steps_or_more(
  data, batch_size, epochs, cycles
):
  trainer = resolution.resolve(
    Shorthands(data=data, epochs=epochs, batch_size=batch_size, weights='w.pth'),
    'htc_resnet50fpn_1x_coco',
    config_files=[experiment_files.path_of('htc_resnet50fpn_swa_coco')],
  ).trainer
  steps = epochs * (3 if batch_size == 1 else 1)  # One of the four images has no instance.
  assert trainer.train_steps == steps
  rate = trainer.optimizer_config.learning_rate
  assert rate.type == 'step_cosine_with_offset'
  assert trainer.optimizer_config.warmup.type is None
  boundaries = list(rate.get().boundaries)
  assert boundaries[::2] == [cycle * steps // cycles for cycle in range(cycles)]
  assert boundaries[-1] == steps
  assert all(low < high for low, high in itertools.pairwise(boundaries))
  high = 0.02 * batch_size / 16
  assert list(rate.get().values) == pytest.approx([high, high / 100] * cycles)


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
