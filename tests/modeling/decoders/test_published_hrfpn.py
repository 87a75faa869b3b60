"""Tests of the published HRFPN against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.errors import ConfigError
from htc_tf.modeling.decoders.published_hrfpn import PublishedHRFPN

SIZES = {'2': (12, 20), '3': (6, 10), '4': (3, 5)}


def make_maps(sizes):
  rng = np.random.default_rng(0)
  return {
    level: rng.normal(size=[1, *size, int(level)]).astype(np.float32)
    for level, size in sizes.items()
  }


def upsampled(x, size):
  """Bilinear interpolation at pixel centers; beyond the outermost ones, the map is constant."""
  for axis, length in enumerate(size, 1):
    old = np.arange(x.shape[axis]) + 0.5
    new = (np.arange(length) + 0.5) * (x.shape[axis] / length)
    x = np.apply_along_axis(lambda row, old=old, new=new: np.interp(new, old, row), axis, x)
  return x


def convolve(x, kernel, bias):
  pad = kernel.shape[0] // 2
  padded = np.pad(x, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
  windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[:2], axis=(1, 2))
  return np.einsum('bhwcyx,yxco->bhwo', windows, kernel) + bias


def pooled(x, side):
  height, width = x.shape[1] // side, x.shape[2] // side
  x = x[:, : height * side, : width * side]
  return x.reshape(1, height, side, width, side, -1).mean(axis=(2, 4))


def randomized(layer, maps):
  layer(maps)
  rng = np.random.default_rng(1)
  for variable in layer.variables:  # The initial biases are zero.
    variable.assign(rng.normal(size=variable.shape))
  return layer


def expected_pyramid(layer, maps, levels):
  size = maps['2'].shape[1:3]
  merged = np.concatenate([upsampled(maps[level], size) for level in '234'], -1)
  merged = convolve(merged, *layer._reduction.get_weights())
  return {
    str(level): convolve(pooled(merged, 2 ** (level - 2)), *conv.get_weights())
    for level, conv in zip(levels, layer._outputs)
  }


@pytest.mark.parametrize('levels', [range(2, 6), range(3, 5)], ids=str)
@pytest.mark.parametrize(
  'sizes', [SIZES, {'2': (13, 18), '3': (7, 9), '4': (4, 5)}], ids=['even', 'odd']
)
def test_equals_numpy(sizes, levels):
  maps = make_maps(sizes)
  layer = randomized(PublishedHRFPN(sizes, levels[0], levels[-1], num_filters=3), maps)
  expected = expected_pyramid(layer, maps, levels)
  for actual in (layer(maps), tf.function(layer.call, autograph=False)(maps)):
    assert sorted(actual) == sorted(expected) == sorted(layer.output_specs)
    for level, value in expected.items():
      np.testing.assert_allclose(actual[level], value, rtol=1e-4, atol=1e-4, err_msg=level)


@pytest.mark.parametrize('in_graph', [False, True])
def test_every_level_has_a_pixel(in_graph):
  maps = make_maps({'2': (2, 5), '3': (1, 3)})
  layer = randomized(PublishedHRFPN(maps, max_level=6, num_filters=3), maps)
  layer._outputs[2:] = [lambda x: x] * 3
  run = layer
  if in_graph:  # The sizes are unknown when the graph is built.
    specs = {level: tf.TensorSpec([1, None, None, x.shape[-1]]) for level, x in maps.items()}
    run = tf.function(layer.call, input_signature=[specs], autograph=False)
  outputs = run(maps)
  sizes = [tuple(outputs[level].shape[1:3]) for level in '23456']
  assert sizes == [(2, 5), (1, 2), (1, 1), (1, 1), (1, 1)]
  np.testing.assert_allclose(outputs['6'], outputs['4'], rtol=1e-6)


def test_the_gradient_reaches_every_variable():
  maps = make_maps(SIZES)
  layer = randomized(PublishedHRFPN(SIZES, num_filters=2), maps)
  with tf.GradientTape() as tape:
    total = tf.add_n([tf.reduce_sum(value**2) for value in layer(maps).values()])
  variables = layer.trainable_variables
  assert len(variables) == 2 + 2 * 5
  assert all(np.any(gradient) for gradient in tape.gradient(total, variables))


@pytest.mark.parametrize('levels', [{}, {'3': (7, 9), '4': (4, 5)}])
def test_a_missing_level_is_rejected(levels):
  with pytest.raises(ConfigError, match='a backbone level of 2 or finer'):
    PublishedHRFPN(levels)
