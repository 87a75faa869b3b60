"""Tests of the first convolution for images of other channels than RGB."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.convert import conversion, stem
from htc_tf.convert.checkpoint_file import Checkpoint
from htc_tf.convert.torchvision_names import TORCHVISION
from htc_tf.convert.variables import named_variables
from htc_tf.errors import CheckpointError
from tests import tiny

RNG = np.random.default_rng(0)


@pytest.mark.parametrize('channels', [1, 2, 4, 6])
def test_equal_channels_give_the_response_of_rgb_to_gray(channels):
  kernel = RNG.normal(size=[7, 7, 3, 5]).astype(np.float32)
  gray = RNG.normal(size=[1, 20, 24, 1]).astype(np.float32)
  of_rgb = tf.nn.conv2d(np.repeat(gray, 3, axis=3), kernel, 2, 'SAME')
  adapted = stem.adapted(kernel, channels)
  assert adapted.shape == (7, 7, channels, 5) and adapted.dtype == np.float32
  found = tf.nn.conv2d(np.repeat(gray, channels, axis=3), adapted, 2, 'SAME')
  np.testing.assert_allclose(found, of_rgb, rtol=1e-4, atol=1e-5)


def test_one_channel_gets_the_sum_and_others_the_scaled_mean():
  kernel = np.array([1.0, 2.0, 6.0], np.float32).reshape(1, 1, 3, 1)
  assert stem.adapted(kernel, 1).ravel().tolist() == [9.0]
  assert stem.adapted(kernel, 6).ravel().tolist() == [1.5] * 6


@pytest.mark.parametrize('deep,name', [(False, 'conv1.weight'), (True, 'stem.0.weight')])
def test_a_published_backbone_fills_a_model_of_other_channels(deep, name):
  backbone = {'published_resnet': {'deep_stem': deep}}
  rgb = tiny.build(tiny.model(backbone=backbone), seed=1)
  tensors = conversion.published_weights(rgb, TORCHVISION)
  pixels = {'mean': [1] * 4, 'stddev': [1] * 4}
  four = tiny.build(tiny.model(backbone=backbone, input_size=[64, 64, 4], pixels=pixels))
  result = conversion.convert_checkpoint(Checkpoint(tensors, 'torch', 'r.pth', ''), four)
  (adapted,) = result.adapted
  assert adapted == stem.PATHS[deep] and 'adapted' in result.describe()
  expected = named_variables(rgb)
  for path, variable in named_variables(four).items():
    if path.startswith('backbone/'):
      value = expected[path].numpy()
      value = stem.adapted(value, 4) if path == adapted else value
      np.testing.assert_array_equal(variable, value)
  tensors[name] = tensors[name][:, :2]  # Two channels are not RGB.
  with pytest.raises(CheckpointError, match=f'entries of another shape.*{name}'):
    conversion.convert_checkpoint(Checkpoint(tensors, 'torch', 'r.pth', ''), four)
