"""Tests of our configuration of a recipe."""

import numpy as np

from benchmarks.beside_original import experiment, recipe
from htc_tf.configs import model as model_config
from htc_tf.tasks.htc import HTCTask
from tests.benchmarks.beside_original.test_recipe import RECIPE


def test_the_optimizer_follows_the_rates_of_the_recipe():
  params = experiment.build(RECIPE._replace(epochs=30))
  optimizer = HTCTask.create_optimizer(params.trainer.optimizer_config, params.runtime)
  expected = recipe.rates(RECIPE._replace(epochs=30))
  rates = [float(optimizer.learning_rate(step)) for step in range(len(expected))]
  np.testing.assert_allclose(rates, expected, rtol=1e-6)
  assert params.trainer.optimizer_config.optimizer.type == 'published_sgd'
  assert params.trainer.train_steps == len(expected)


def test_all_but_the_sizes_is_as_published():
  model, published = experiment.build(RECIPE).task.model, model_config.HTC()
  for part in ('anchor', 'rpn_sampler', 'roi_aligner'):
    assert getattr(model, part) == getattr(published, part)
  assert model.cascade.stages == published.cascade.stages
  assert (model.num_classes, model.semantic_head.num_classes) == (8, 11)
  task = experiment.build(RECIPE).task
  assert task.train_data.parser.augmentation.flip.horizontal == 0
  assert task.losses == type(task.losses)()
