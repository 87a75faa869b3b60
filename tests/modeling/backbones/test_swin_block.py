"""Tests of a block against attention without windows, by loops over coordinates."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from htc_tf.modeling.backbones.swin_block import SwinBlock, SwinOptions
from htc_tf.ops import windows as window_ops

_WINDOW, _CHANNELS = 3, 4
_OPTIONS = SwinOptions(window=_WINDOW, mlp_ratio=2.0)


def random_block(is_shifted):
  block = SwinBlock(_CHANNELS, 2, is_shifted, _OPTIONS)
  block.build([None, None, None, _CHANNELS])
  rng = np.random.default_rng(0)
  for variable in block.variables:
    variable.assign(rng.normal(0, 0.5, variable.shape))
  return block


def mask_of(x):
  padded = window_ops.pad_to_multiple(tf.constant(x), _WINDOW)
  return window_ops.shifted_mask(padded, _WINDOW, _WINDOW // 2)


def attended_densely(block, x, shift):
  """Attention of one image over all pairs of pixels; pairs of different windows are excluded."""
  height, width = x.shape[:2]
  rows, columns = (-(-side // _WINDOW) * _WINDOW for side in (height, width))
  padded = np.zeros([rows, columns, _CHANNELS], np.float32)
  padded[:height, :width] = x
  # Windows begin `shift` pixels to the right and below; the first ones have less pixels.
  pixels = [(y, x) for y in range(rows) for x in range(columns)]
  window = {(y, x): ((y - shift) // _WINDOW, (x - shift) // _WINDOW) for y, x in pixels}
  attn = block.attn
  kernel, bias = (variable.numpy() for variable in attn.qkv.variables)
  qkv = padded.reshape(-1, _CHANNELS) @ kernel + bias
  outputs = np.zeros([rows * columns, _CHANNELS], np.float32)
  for query, (y, x_) in enumerate(pixels):
    keys = [key for key, pixel in enumerate(pixels) if window[pixel] == window[(y, x_)]]
    for head in range(2):
      part = slice(2 * head, 2 * head + 2)
      logits = [
        qkv[query, :4][part] @ qkv[key, 4:8][part] / np.sqrt(2)
        + attn.table.numpy()[
          (y - pixels[key][0] + 2) * 5 + x_ - pixels[key][1] + 2,
          head,
        ]
        for key in keys
      ]
      probs = np.exp(logits) / np.sum(np.exp(logits))
      outputs[query, part] = sum(p * qkv[key, 8:][part] for p, key in zip(probs, keys))
  kernel, bias = (variable.numpy() for variable in attn.proj.variables)
  return (outputs @ kernel + bias).reshape(rows, columns, _CHANNELS)[:height, :width]


@pytest.mark.parametrize('is_shifted', [False, True])
@pytest.mark.parametrize('height,width', [(6, 6), (5, 7), (2, 3)])
def test_attention_is_that_within_windows_of_the_map(is_shifted, height, width):
  block = random_block(is_shifted)
  x = np.random.default_rng(1).normal(size=[2, height, width, _CHANNELS]).astype(np.float32)
  normed = block.norm1(x).numpy()
  shift = 1 if is_shifted else 0
  attended = np.stack([attended_densely(block, image, shift) for image in normed])
  middle = x + attended
  hidden = block.fc1(block.norm2(middle)).numpy()
  erf = tf.math.erf(hidden / np.sqrt(2)).numpy()
  expected = middle + block.fc2(0.5 * hidden * (1 + erf)).numpy()
  np.testing.assert_allclose(block(x, mask_of(x)), expected, rtol=1e-3, atol=1e-4)


def test_factors_scale_the_branches_of_each_image():
  block = random_block(True)
  x = np.random.default_rng(1).normal(size=[2, 4, 4, _CHANNELS]).astype(np.float32)
  mask = mask_of(x)
  np.testing.assert_array_equal(block(x, mask, tf.zeros([2, 2])), x)
  factors = tf.constant([[1.0, 1.0], [1.0, 0.0]])
  mixed, full = block(x, mask, factors), block(x, mask)
  np.testing.assert_array_equal(mixed[0], full[0])
  assert not np.allclose(mixed[1], full[1])


def test_the_norm_has_the_published_epsilon():
  norms = [x for x in random_block(False).submodules if 'LayerNorm' in type(x).__name__]
  assert [norm.epsilon for norm in norms] == [1e-5, 1e-5]
  assert isinstance(norms[0], tf_keras.layers.LayerNormalization)
