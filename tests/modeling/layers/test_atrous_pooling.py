"""Tests of atrous spatial pyramid pooling against NumPy."""

import numpy as np
import tensorflow as tf

from htc_tf.modeling.layers.atrous_pooling import AtrousPooling

RNG = np.random.default_rng(0)


def convolved(x, conv, dilation):
  kernel, bias = (variable.numpy() for variable in conv.weights)
  size = kernel.shape[0]
  pad = dilation * (size // 2)
  padded = np.pad(x, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
  height, width = x.shape[1:3]
  sums = bias + sum(
    padded[:, dy * dilation : dy * dilation + height, dx * dilation : dx * dilation + width]
    @ kernel[dy, dx]
    for dy in range(size)
    for dx in range(size)
  )
  return np.maximum(sums, 0.0)


def randomized():
  layer, x = AtrousPooling(3), RNG.normal(size=[2, 9, 5, 4]).astype(np.float32)
  layer(x)
  for variable in layer.weights:
    variable.assign(RNG.normal(size=variable.shape))
  return layer, x


def test_equals_numpy():
  layer, x = randomized()
  branches = [convolved(x, conv, d) for conv, d in zip(layer._convs, (1, 3, 6))]
  of_mean = convolved(x.mean((1, 2), keepdims=True), layer._convs[3], 1)
  branches.append(np.broadcast_to(of_mean, branches[0].shape))
  np.testing.assert_allclose(layer(x), np.concatenate(branches, -1), rtol=1e-4, atol=1e-4)


def test_gradients_reach_every_variable():
  layer, x = randomized()
  with tf.GradientTape() as tape:
    loss = tf.reduce_sum(layer(x) ** 2)
  gradients = tape.gradient(loss, layer.trainable_weights)
  assert len(gradients) == 8 and all(np.any(gradient) for gradient in gradients)
