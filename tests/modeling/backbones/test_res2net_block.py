"""Tests of the block of Res2Net."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.modeling.backbones.res2net_block import Res2NetBlock
from htc_tf.modeling.backbones.shortcut_block import BlockLayers

LAYERS = BlockLayers(average_shortcut=True)
RNG = np.random.default_rng(0)


def random_block(stride, is_first, channels=12):
  """A block with 3 scales of 4 channels and random variables, and an input."""
  block = Res2NetBlock(3, stride, LAYERS, width=4, num_scales=3, is_first=is_first)
  x = RNG.normal(size=[2, 7, 6, channels]).astype(np.float32)
  block.build(x.shape)
  for variable in block.variables:
    low = 0.5 if 'variance' in variable.name or 'gamma' in variable.name else -0.5
    variable.assign(RNG.uniform(low, 1.0, variable.shape))
  return block, x


def convolved(x, conv, norm, stride=1):
  """NumPy: convolution with equal padding, then the frozen norm."""
  kernel = conv.kernel.numpy()
  size = kernel.shape[0]
  sums = sum(pixels @ kernel[dy, dx] for (dy, dx), pixels in shifted(x, size, stride))
  scale = norm.gamma / np.sqrt(norm.moving_variance + norm.epsilon)
  return (sums - norm.moving_mean) * scale + norm.beta


def shifted(x, size, stride):
  """Pairs of a tap and the pixels that it reads; outside the map, they are 0."""
  pad = size // 2
  padded = np.pad(x, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
  height, width = x.shape[1:3]
  for dy in range(size):
    for dx in range(size):
      yield (dy, dx), padded[:, dy : dy + height : stride, dx : dx + width : stride]


def expected_output(block, x, stride, is_first):
  inner = np.maximum(convolved(x, block.conv1, block.bn1), 0.0)
  scales = np.split(inner, 3, axis=-1)
  first = np.maximum(convolved(scales[0], block.convs[0], block.bns[0], stride), 0.0)
  second_input = scales[1] if is_first else scales[1] + first
  second = np.maximum(convolved(second_input, block.convs[1], block.bns[1], stride), 0.0)
  last = scales[2]
  if stride > 1:
    last = sum(pixels for _, pixels in shifted(last, 3, stride)) / 9.0
  path = convolved(np.concatenate([first, second, last], -1), block.conv3, block.bn3)
  if block.downsample is None:
    return np.maximum(path + x, 0.0)
  pool, conv, norm = block.downsample
  return np.maximum(path + convolved(pool(x).numpy(), conv, norm), 0.0)


@pytest.mark.parametrize('stride,is_first,channels', [(1, False, 12), (1, True, 5), (2, True, 12)])
def test_equals_numpy(stride, is_first, channels):
  block, x = random_block(stride, is_first, channels)
  expected = expected_output(block, x, stride, is_first)
  assert expected.shape == tuple(block.compute_output_shape(x.shape))
  np.testing.assert_allclose(block(x), expected, rtol=1e-4, atol=1e-4)


def test_a_new_block_is_its_shortcut():
  block = Res2NetBlock(3, 1, LAYERS, width=4, num_scales=3)
  x = tf.random.stateless_uniform([2, 4, 4, 12], [1, 2])
  np.testing.assert_array_equal(block(x), x)
  assert block.downsample is None


def test_a_shortcut_of_stride_1_has_the_published_indices():
  block, x = random_block(1, True, channels=5)
  pool, conv, _ = block.downsample
  np.testing.assert_array_equal(pool(x), x)
  assert conv.name == 'downsample/1'


@pytest.mark.parametrize('stride,is_first', [(1, False), (2, True)])
def test_gradients_reach_every_variable_also_under_xla(stride, is_first):
  block, x = random_block(stride, is_first)

  def gradients():
    with tf.GradientTape() as tape:
      loss = tf.reduce_sum(block(x, training=True) ** 2)
    return tape.gradient(loss, block.trainable_variables)

  compiled = tf.function(gradients, jit_compile=True, autograph=False)()
  for variable, expected, actual in zip(block.trainable_variables, gradients(), compiled):
    assert np.any(expected), variable.name
    tolerance = 1e-4 * np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance, err_msg=variable.name)
