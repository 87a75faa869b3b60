"""Tests of the published FPN against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.errors import ConfigError
from htc_tf.modeling.decoders.published_fpn import PublishedFPN

SIZES = {'2': (13, 18), '3': (7, 9), '4': (4, 5), '5': (2, 3)}


def make_maps():
  rng = np.random.default_rng(0)
  return {
    level: rng.normal(size=[1, *size, 2 + int(level)]).astype(np.float32)
    for level, size in SIZES.items()
  }


def weights_of(layer, name):
  return next(v.numpy() for v in layer.variables if name in v.name)


def convolve(x, kernel, bias):
  pad = kernel.shape[0] // 2
  padded = np.pad(x, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
  height, width = x.shape[1:3]
  out = bias + np.zeros([*x.shape[:3], kernel.shape[-1]])
  for dy in range(kernel.shape[0]):
    for dx in range(kernel.shape[1]):
      out += padded[:, dy : dy + height, dx : dx + width] @ kernel[dy, dx]
  return out


def nearest(x, height, width):
  rows = np.arange(height) * x.shape[1] // height
  columns = np.arange(width) * x.shape[2] // width
  return x[:, rows][:, :, columns]


def test_equals_numpy_on_odd_sizes():
  maps = make_maps()
  layer = PublishedFPN(SIZES, max_level=7, num_filters=3)
  layer(maps)
  rng = np.random.default_rng(1)
  for variable in layer.variables:  # The initial biases are zero.
    variable.assign(rng.normal(size=variable.shape))

  def parts(name):
    return [weights_of(layer, f'{name}/{kind}') for kind in ('kernel', 'bias')]

  inner = [convolve(maps[level], *parts(f'lateral_convs/{i}')) for i, level in enumerate('2345')]
  for i in (2, 1, 0):
    inner[i] = inner[i] + nearest(inner[i + 1], *inner[i].shape[1:3])
  expected = {level: convolve(inner[i], *parts(f'fpn_convs/{i}')) for i, level in enumerate('2345')}
  expected['6'] = expected['5'][:, ::2, ::2]
  expected['7'] = expected['6'][:, ::2, ::2]
  actual = layer(maps)
  assert sorted(actual) == sorted(expected) == sorted(layer.output_specs)
  for level, value in expected.items():
    np.testing.assert_allclose(actual[level], value, rtol=1e-4, atol=1e-4, err_msg=level)


def test_levels_below_min_level_are_not_used():
  layer = PublishedFPN(SIZES, min_level=3, max_level=5, num_filters=3)
  assert sorted(layer(make_maps())) == ['3', '4', '5'] == sorted(layer.output_specs)
  assert not any('/3/' in variable.name for variable in layer.variables)


@pytest.mark.parametrize('levels', [{}, {'3': (7, 9), '4': (4, 5)}])
def test_a_missing_level_is_rejected(levels):
  with pytest.raises(ConfigError, match='backbone levels from 2 on'):
    PublishedFPN(levels)


def test_gradient_reaches_every_variable():
  maps = make_maps()
  layer = PublishedFPN(SIZES, num_filters=2)
  with tf.GradientTape() as tape:
    total = tf.add_n([tf.reduce_sum(value**2) for value in layer(maps).values()])
  assert all(
    np.any(gradient)
    for gradient in tape.gradient(
      total, [v for v in layer.trainable_variables if 'kernel' in v.name]
    )
  )


def test_group_norms_follow_the_convolutions_without_activation():
  maps = make_maps()
  fpn = PublishedFPN(SIZES, num_filters=4, norm_groups=2)
  outputs = fpn(maps)

  def normed(x, kernel):
    convolved = convolve(x, kernel, np.zeros(4))
    groups = convolved.reshape(*convolved.shape[:3], 2, 2)
    mean, variance = (f(groups, (1, 2, 4), keepdims=True) for f in (np.mean, np.var))
    return ((groups - mean) / np.sqrt(variance + 1e-5)).reshape(convolved.shape)

  merged = normed(maps['5'], fpn._laterals[3].conv.kernel.numpy())
  np.testing.assert_allclose(
    outputs['5'], normed(merged, fpn._outputs[3].conv.kernel.numpy()), atol=1e-4
  )
  lateral = normed(maps['4'], fpn._laterals[2].conv.kernel.numpy())
  merged = lateral + nearest(merged, *SIZES['4'])
  np.testing.assert_allclose(
    outputs['4'], normed(merged, fpn._outputs[2].conv.kernel.numpy()), atol=1e-4
  )
  assert len(fpn.trainable_variables) == 8 * 3
