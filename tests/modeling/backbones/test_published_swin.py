"""Tests of the Swin transformer; test_swin_block.py compares a block with loops."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.modeling.backbones import swin_stage
from tests.modeling.backbones import tiny_swin


def num_parameters(embed_dim, depths, num_heads):
  """Number of parameters by hand: embedding, blocks, merging, output norms."""
  total = (4 * 4 * 3 + 3) * embed_dim
  for stage, (depth, heads) in enumerate(zip(depths, num_heads)):
    c = embed_dim * 2**stage
    block = 4 * c + 4 * c * c + 4 * c + 8 * c * c + 5 * c + 169 * heads
    total += depth * block + 2 * c
    total += (8 * c + 8 * c * c) if stage < 3 else 0
  return total


def test_the_number_of_parameters_is_the_published_one():
  size = 96, [2, 2, 6, 2], [3, 6, 12, 24]
  values = dict(zip(('embed_dim', 'depths', 'num_heads'), size))
  model = tiny_swin.build(**values, window_size=7, mlp_ratio=4.0)
  found = sum(np.prod(v.shape) for v in model.trainable_variables)
  assert found == num_parameters(*size)
  # Swin-T has a classifier and one norm in the place of those of the four outputs (28.29 million).
  norms = [2 * 96 * 2**stage for stage in range(4)]
  assert round((found - sum(norms[:3]) + 1000 * 769) / 1e6, 2) == 28.29


def test_output_sizes_are_rounded_up_in_one_graph():
  model = tiny_swin.randomized()
  run = tf.function(model, [tf.TensorSpec([None, None, None, 3])], autograph=False)
  for height, width in ((32, 64), (63, 40), (5, 33)):
    outputs, eager = (call(tiny_swin.images(height, width)) for call in (run, model))
    assert sorted(outputs) == ['2', '3', '4', '5']
    for level, value in outputs.items():
      stride = 2 ** int(level)
      assert value.shape[1:3] == [-(-height // stride), -(-width // stride)]
      assert value.shape[-1] == model.output_specs[level][-1] == 8 * 2 ** (int(level) - 2)
      np.testing.assert_allclose(value, eager[level], atol=1e-4)


def test_an_image_does_not_depend_on_the_others_of_its_batch():
  model, batch = tiny_swin.randomized(), tiny_swin.images()
  together, alone = model(batch), model(batch[1:])
  for level in together:
    np.testing.assert_allclose(together[level][1], alone[level][0], atol=1e-5)


@pytest.mark.parametrize('patch_norm', [False, True])
def test_gradients_reach_every_variable(patch_norm):
  model = tiny_swin.randomized(patch_norm=patch_norm)
  assert len(model.patch_embed.variables) == (4 if patch_norm else 2)
  for variable, gradient in zip(
    model.trainable_variables, tiny_swin.gradients_of(model, tiny_swin.images())
  ):
    assert np.any(gradient), variable.name


def stage_of(variable):
  return int(variable.name.split('layers/')[1][0]) + 1 if 'layers/' in variable.name else 0


@pytest.mark.parametrize('frozen_stages', [-1, 0, 1, 4])
def test_only_stages_that_are_not_frozen_are_trained(frozen_stages):
  model = tiny_swin.randomized(frozen_stages=frozen_stages)
  trained = [v for v in model.trainable_variables if not v.name.startswith('norm')]
  trained = [
    v for v in trained if '/norm' not in v.name or 'layers/' in v.name or 'patch' in v.name
  ]
  assert {stage_of(v) for v in trained} == set(range(frozen_stages + 1, 5))
  with tf.GradientTape() as tape:
    model(tiny_swin.images(), training=True)
  assert {v.ref() for v in tape.watched_variables()} == {v.ref() for v in model.trainable_variables}


def test_branches_are_dropped_in_training_only_and_not_in_frozen_stages():
  batch = tiny_swin.images()
  model = tiny_swin.randomized(drop_path_rate=0.9, frozen_stages=2)
  outputs, training = model(batch), model(batch, training=True)
  assert [np.array_equal(outputs[level], training[level]) for level in '2345'] == [1, 1, 0, 0]


def test_rates_of_drop_path_rise_from_block_to_block(monkeypatch):
  rates = []

  def record(rate, batch, number):
    rates.append(rate)
    return tf.ones([number, batch])

  monkeypatch.setattr(swin_stage, 'drop_factors', record)
  model, batch = tiny_swin.randomized(drop_path_rate=0.5), tiny_swin.images()
  model(batch, training=True)
  np.testing.assert_allclose(rates, [0.125, 0.25, 0.375, 0.5])  # Of the first block: 0.


@pytest.mark.parametrize(
  'policy,in_graph', [('float32', True), ('float32', False), ('mixed_bfloat16', False)]
)
def test_recompute_gives_the_same_gradients(policy, in_graph):
  batch, found = tiny_swin.images(), []
  for recompute in (False, True):
    model = tiny_swin.randomized(policy, recompute=recompute, drop_path_rate=0.5)
    run = tf.function(tiny_swin.gradients_of, autograph=False) if in_graph else None
    tf.random.set_seed(3)
    found.append((run or tiny_swin.gradients_of)(model, batch))
  for variable, expected, actual in zip(model.trainable_variables, *found):
    tolerance = {'float32': 1e-4, 'mixed_bfloat16': 5e-2}[policy] * np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance, err_msg=variable.name)


def test_mixed_precision_stays_near_float32():
  batch = tiny_swin.images()
  expected, found = (tiny_swin.randomized(p)(batch) for p in ('float32', 'mixed_bfloat16'))
  for level, value in found.items():
    assert value.dtype == tf.bfloat16
    difference = np.abs(tf.cast(value, tf.float32) - expected[level])
    assert difference.mean() < 0.02 * np.abs(expected[level]).max()
