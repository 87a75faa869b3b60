"""Tests of the first convolution for images of other channels than RGB."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.convert import conversion, stem
from htc_tf.convert.checkpoint_file import Checkpoint
from htc_tf.convert.mmdet_names import MMDET
from htc_tf.convert.torchvision_names import TORCHVISION
from htc_tf.convert.variables import named_variables
from htc_tf.errors import CheckpointError
from tests import swin_classifiers, tiny

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


@pytest.mark.parametrize('composite', [False, True])
def test_the_patch_embedding_of_a_swin_transformer_is_adapted(composite):
  swin = {**tiny.COMPOSITE_SWIN['published_swin'], 'composite': composite}
  backbone = {**tiny.COMPOSITE_SWIN, 'published_swin': swin}
  pixels = {'mean': [1] * 4, 'stddev': [1] * 4}
  model = tiny.build(tiny.model(1, backbone=backbone, input_size=[64, 64, 4], pixels=pixels))
  tensors = swin_classifiers.tensors()
  result = conversion.convert_checkpoint(Checkpoint(tensors, 'torch', 'swin.pth', ''), model)
  (path,) = result.adapted
  kernel = tensors['patch_embed.proj.weight'].transpose(2, 3, 1, 0)
  np.testing.assert_array_equal(named_variables(model)[path], stem.adapted(kernel, 4))


def test_a_kernel_for_bgr_sees_in_rgb_what_it_saw_in_bgr():
  kernel = RNG.normal(size=[3, 3, 3, 4]).astype(np.float32)
  image = RNG.normal(size=[1, 8, 8, 3]).astype(np.float32)
  of_bgr = tf.nn.conv2d(image[..., ::-1], kernel, 1, 'SAME')
  found = tf.nn.conv2d(image, stem.reversed_channels(kernel), 1, 'SAME')
  np.testing.assert_allclose(found, of_bgr, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('name_map', [MMDET, TORCHVISION], ids=lambda name_map: name_map.source)
@pytest.mark.parametrize('digits', ['0aaf329e', '1516f1aa', '478d0b67', ''])
@pytest.mark.parametrize('place', ['content', 'name'])
def test_the_first_convolution_of_a_known_file_of_bgr_images_is_turned(name_map, digits, place):
  saved, filled = tiny.build(seed=1), tiny.build(seed=2)
  kernels = [named_variables(model)['backbone/conv1/kernel'] for model in (saved, filled)]
  kernels[0].assign(RNG.normal(size=kernels[0].shape))
  tensors = conversion.published_weights(saved, name_map)
  path = f'weights-{digits}_again.pth' if place == 'name' else 'weights.pth'
  content = 'f' * 64 if place == 'name' else digits and digits + '0' * 56
  file = Checkpoint(tensors, 'torch', path, content)
  result = conversion.convert_checkpoint(file, filled)
  is_bgr = digits in ('0aaf329e', '1516f1aa')
  step = -1 if is_bgr else 1
  np.testing.assert_array_equal(kernels[1], kernels[0].numpy()[:, :, ::step])
  assert result.from_bgr == (('backbone/conv1/kernel',) if is_bgr else ())
  assert ('1 variables for BGR images, turned to RGB' in result.describe()) == is_bgr
  others = [name for name in tensors if 'layer4' in name and 'conv1' in name]
  again = conversion.published_weights(filled, name_map)
  assert others and all(np.array_equal(again[name], tensors[name]) for name in others)


def test_a_known_file_of_bgr_images_starts_a_model_of_other_channels():
  rgb = tiny.build(seed=1)
  pixels = {'mean': [1] * 4, 'stddev': [1] * 4}
  four = tiny.build(tiny.model(input_size=[64, 64, 4], pixels=pixels))
  tensors = conversion.published_weights(rgb, TORCHVISION)
  result = conversion.convert_checkpoint(
    Checkpoint(tensors, 'torch', 'weights.pth', '1516f1aa' + '0' * 56), four
  )
  assert result.adapted == result.from_bgr == ('backbone/conv1/kernel',)
