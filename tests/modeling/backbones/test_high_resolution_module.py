"""Tests of the module of HRNet against cases computed by hand and against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.modeling.backbones.high_resolution_module import HighResolutionModule
from htc_tf.modeling.layers.batch_norm import NormOptions

FROZEN_STATISTICS = NormOptions()


def build(widths, side, num_blocks=0, norm=FROZEN_STATISTICS):
  """A module for maps of size [side, side], [side / 2, side / 2], ..."""
  module = HighResolutionModule(widths, num_blocks, norm)
  module.build([[1, side // 2**i, side // 2**i, width] for i, width in enumerate(widths)])
  return module


def column(values):
  """A map [1, len(values), len(values), 1] whose rows have these values."""
  return np.tile(np.float32(values)[np.newaxis, :, np.newaxis, np.newaxis], [1, 1, len(values), 1])


def test_the_exchange_of_three_branches_is_that_computed_by_hand():
  module = build([1, 1, 1], 8)
  for paths in module.fuse_layers:
    for path in paths:
      for conv in [path] if hasattr(path, 'conv') else path or []:
        kernel = np.zeros(conv.conv.kernel.shape, np.float32)
        kernel[tuple(side // 2 for side in kernel.shape[:2])] = 1.0  # Reads the central pixel.
        conv.conv.kernel.assign(kernel)
  # The path over two halvings has a ReLU in its middle, none at its end.
  first, second = module.fuse_layers[2][0]
  first.conv.kernel.assign(-first.conv.kernel)
  second.norm.beta.assign([-1.0])
  fine = [1.0, 0.0, -2.0, 0.0, 3.0, 0.0, -4.0, 0.0]
  fused = module([column(fine), column([10.0, 20.0, -30.0, 40.0]), column([100.0, -200.0])])
  expected = [
    # fine + nearest upsampling of the others.
    [111.0, 110.0, 118.0, 120.0, 0.0, 0.0, 0.0, 0.0],
    # Every second row of fine, + middle + upsampled coarse.
    [111.0, 118.0, 0.0, 0.0],
    # relu(-fine)[::4] - 1 + middle[::2] + coarse: 0 - 1 + 10 + 100, and 0 - 1 - 30 - 200.
    [109.0, 0.0],
  ]
  for actual, rows in zip(fused, expected):
    np.testing.assert_allclose(actual, column(rows), atol=5e-3)


def test_a_path_over_two_halvings_keeps_the_channels_up_to_its_last_convolution():
  module = build([2, 3, 5, 7], 8)
  shapes = [conv.conv.kernel.shape.as_list() for conv in module.fuse_layers[3][0]]
  assert shapes == [[3, 3, 2, 2], [3, 3, 2, 2], [3, 3, 2, 7]]
  assert module.fuse_layers[0][3].conv.kernel.shape == [1, 1, 7, 2]
  assert module.fuse_layers[2][2] is None


@pytest.mark.parametrize('heights,widths', [((7, 4, 2), (9, 5, 3)), ((1, 1, 1), (2, 1, 1))])
def test_odd_sizes_keep_their_shapes(heights, widths):
  module = HighResolutionModule([2, 4, 8], 1, NormOptions())
  maps = [tf.ones([2, *sizes]) for sizes in zip(heights, widths, (2, 4, 8))]
  assert [x.shape for x in module(maps)] == [x.shape for x in maps]


@pytest.mark.parametrize('norm_eval', [True, False])
def test_the_gradient_reaches_every_variable(norm_eval):
  module = build([2, 4, 8], 8, num_blocks=1, norm=NormOptions(norm_eval))
  rng = np.random.default_rng(0)
  for variable in module.trainable_variables:
    variable.assign(rng.uniform(0.2, 0.6, variable.shape))
  maps = [tf.constant(rng.random([2, 8 // 2**i, 8 // 2**i, 2 ** (i + 1)])) for i in range(3)]
  with tf.GradientTape() as tape:
    outputs = module([tf.cast(x, tf.float32) for x in maps], training=True)
    total = tf.add_n([tf.reduce_sum(x**2) for x in outputs])
  for variable, gradient in zip(
    module.trainable_variables, tape.gradient(total, module.trainable_variables)
  ):
    assert np.any(gradient), variable.name
