"""Tests of residual blocks."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.modeling.backbones.residual_block import ResidualBlock
from htc_tf.modeling.backbones.shortcut_block import BlockLayers
from htc_tf.modeling.layers.deform_conv import DeformConv2D

LAYERS = BlockLayers()
DEFORMABLE = {'layers': BlockLayers(middle=DeformConv2D)}
AVERAGING = {'layers': BlockLayers(average_shortcut=True)}


@pytest.mark.parametrize(
  'values,filters',
  [
    ({'bottleneck': False}, 8),
    ({}, 32),
    ({'groups': 4, 'width': 16}, 32),
    ({'groups': 2, **DEFORMABLE}, 32),
    (AVERAGING, 32),
  ],
)
@pytest.mark.parametrize('stride', [1, 2])
def test_output_shapes_are_those_computed(values, filters, stride):
  block = ResidualBlock(8, stride, **{'layers': LAYERS, **values})
  x = tf.random.stateless_normal([2, 7, 6, 5], [1, 2])
  expected = [2, -(-7 // stride), -(-6 // stride), filters]
  assert block(x).shape == expected
  assert block.compute_output_shape(x.shape) == expected


def test_a_new_block_is_its_shortcut():
  x = tf.random.stateless_uniform([2, 4, 4, 32], [1, 2])
  block = ResidualBlock(8, 1, LAYERS)
  np.testing.assert_array_equal(block(x), x)
  assert block.downsample is None


def test_groups_and_width_apply_to_the_middle_convolution():
  block = ResidualBlock(128, 2, LAYERS, groups=32, width=256)
  block.build([None, None, None, 256])
  assert block.conv1.kernel.shape == [1, 1, 256, 256]
  assert block.conv2.kernel.shape == [3, 3, 8, 256]
  assert block.conv3.kernel.shape == [1, 1, 256, 512]
  assert [conv.strides for conv in (block.conv1, block.conv2, block.conv3)] == [
    (1, 1),
    (2, 2),
    (1, 1),
  ]
  assert block.downsample[0].strides == (2, 2)


def test_a_shortcut_of_stride_2_can_average_the_pixels_of_the_map():
  block = ResidualBlock(8, 2, **AVERAGING)
  x = tf.random.stateless_uniform([2, 5, 4, 3], [1, 2])
  block(x)  # A new path gives zeros.
  pool, conv, norm = block.downsample
  assert not pool.weights and conv.strides == (1, 1)
  conv.kernel.assign(tf.random.stateless_uniform(conv.kernel.shape, [3, 4]))
  rows = [x[:, :2], x[:, 2:4], x[:, 4:]]  # The last window has one row.
  means = tf.stack(
    [tf.reduce_mean(row[:, :, c : c + 2], [1, 2]) for row in rows for c in (0, 2)], 1
  )
  expected = norm(tf.reshape(means, [2, 3, 2, 3]) @ conv.kernel[0, 0])
  np.testing.assert_allclose(block(x), expected, rtol=1e-5)


def test_a_shortcut_of_stride_1_averages_nothing():
  block = ResidualBlock(8, 1, **AVERAGING)
  block.build([None, None, None, 3])
  assert [layer.name for layer in block.downsample] == ['downsample/0', 'downsample/1']


def outputs_and_gradients(block, run, x):
  with tf.GradientTape() as tape:
    tape.watch(x)
    value = run(x)
  return [value, *tape.gradient(value, [x, *block.trainable_weights], tf.sin(value))]


RESNEXT = pytest.mark.parametrize(
  'values',
  [{'groups': 4, 'width': 16}, {'groups': 2, **DEFORMABLE}],
  ids=['grouped', 'deformable'],
)


def random_block(values):
  """A block of ResNeXt that differs from its shortcut, and an input."""
  x = tf.random.stateless_normal([2, 7, 6, 8], [1, 2])
  block = ResidualBlock(8, 2, **{'layers': LAYERS, **values})
  block.build(x.shape)
  block.bn3.gamma.assign(tf.ones([32]))
  if isinstance(block.conv2, DeformConv2D):
    block.conv2.conv_offset.bias.assign(tf.linspace(-1.3, 1.3, 18))
  return block, x


@RESNEXT
def test_a_compiled_or_recomputed_block_is_the_same_function(values):
  block, x = random_block(values)

  def run(x):
    return block(x, training=True)

  expected = outputs_and_gradients(block, run, x)
  modes = {
    'xla': (run, True),
    'recomputed': (tf.recompute_grad(run), False),
    'recomputed xla': (tf.recompute_grad(run), True),
  }
  for mode, (function, jit) in modes.items():
    compiled = tf.function(
      lambda x, f=function: outputs_and_gradients(block, f, x), jit_compile=jit, autograph=False
    )
    for actual, value in zip(compiled(x), expected):
      np.testing.assert_allclose(
        actual, value, rtol=0, atol=1e-5 * np.abs(value).max(), err_msg=mode
      )


@RESNEXT
def test_an_exported_block_is_the_same_function(values, tmp_path):
  block, x = random_block(values)
  module = tf.Module()
  module.weights = block.weights
  module.run = tf.function(
    block, input_signature=[tf.TensorSpec([None, None, None, 8])], autograph=False
  )
  tf.saved_model.save(module, str(tmp_path))
  exported = tf.saved_model.load(str(tmp_path))
  np.testing.assert_allclose(exported.run(x), block(x), atol=1e-5)
