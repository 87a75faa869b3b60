"""The activation of transformers, the Gaussian error linear unit (Hendrycks and Gimpel, 2016)."""

import math

import tensorflow as tf

from htc_tf.ops import plain


def gelu(x: tf.Tensor) -> tf.Tensor:
  """The input times the share of a standard normal distribution below it, exactly, not by tanh.

  TensorFlow computes it by erfc, which is precise for negative values also in 16 bits. ONNX and
  LiteRT only have erf, which those graphs of plain operations have.

  Args:
    x: tensor of floats.

  Returns:
    Tensor of the shape and dtype of `x`.
  """
  if not plain.required():
    return tf.nn.gelu(x, approximate=False)
  return 0.5 * x * (1.0 + tf.math.erf(x * math.sqrt(0.5)))
