"""The stages of a Swin transformer behind the patch embedding."""

import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tf_keras

from htc_tf.modeling.backbones.swin_block import PUBLISHED, SwinOptions, layer_norm
from htc_tf.modeling.backbones.swin_stage import SwinStage
from htc_tf.modeling.layers.frozen_variables import creating_frozen

LEVELS = ('2', '3', '4', '5')


class SwinSize(NamedTuple):
  """Size of a transformer.

  Attributes:
    embed_dim: number of channels of the first stage; each further one has twice as many.
    depths: number of blocks of each stage.
    num_heads: number of heads of each stage.
  """

  embed_dim: int
  depths: Sequence[int]
  num_heads: Sequence[int]


class SwinTraining(NamedTuple):
  """What concerns only training.

  Attributes:
    drop_path_rate: drop path rate of the last block; those of the others rise linearly from 0.
    frozen_stages: last frozen stage; 0 is the patch embedding, 1 also the first stage, ..., 4
      everything but the norms of the outputs; -1 freezes nothing.
    recompute: whether training keeps only the outputs of blocks and recomputes the rest in the
      backward pass.
  """

  drop_path_rate: float = 0.0
  frozen_stages: int = -1
  recompute: bool = False


_NOTHING_DROPPED = SwinTraining()


class SwinTrunk(tf_keras.layers.Layer):
  """The four stages, each with a norm of its output.

  Args:
    size: number of channels, blocks and heads.
    options: options of all blocks.
    training: drop path rate, frozen stages and recomputation.
    **kwargs: arguments of Layer.
  """

  def __init__(
    self,
    size: SwinSize,
    options: SwinOptions = PUBLISHED,
    training: SwinTraining = _NOTHING_DROPPED,
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self._frozen_stages = training.frozen_stages
    rates = np.linspace(0.0, training.drop_path_rate, sum(size.depths)).tolist()
    ends = np.cumsum(size.depths)
    self._widths = [size.embed_dim * 2**index for index in range(len(LEVELS))]
    self.stages = [
      SwinStage(
        width,
        size.num_heads[index],
        rates[ends[index] - size.depths[index] : ends[index]],
        index < len(LEVELS) - 1,
        options,
        training.recompute,
        name=f'layers/{index}',
      )
      for index, width in enumerate(self._widths)
    ]
    self.norms = [layer_norm(name=f'norm{index}') for index in range(len(LEVELS))]
    for stage in self.stages[: max(self._frozen_stages, 0)]:
      stage.trainable = False

  def build(self, input_shape: Sequence[int | None]) -> None:
    """Create the variables."""
    for index, width in enumerate(self._widths):
      is_frozen = index < self._frozen_stages
      creating = creating_frozen() if is_frozen else contextlib.nullcontext()
      with creating, tf.name_scope(self.stages[index].name):
        self.stages[index].build([None, None, None, width])
      with tf.name_scope(self.norms[index].name):
        self.norms[index].build([None, None, None, width])
    super().build(input_shape)

  def call(
    self,
    embedding: tf.Tensor,
    added: Sequence[tf.Tensor] | None = None,
    training: bool | None = None,
  ) -> dict[str, tf.Tensor]:
    """The normed output of every stage.

    Args:
      embedding: [batch, height, width, embed_dim].
      added: for each stage, a map that is added to its input; None for none.
      training: whether branches are dropped.

    Returns:
      {'2': [batch, height, width, embed_dim], '3': [batch, ceil(height / 2), ceil(width / 2),
      2 * embed_dim], ...}.
    """
    outputs, x = {}, embedding
    for index, level in enumerate(LEVELS):
      x = x if added is None else x + added[index]
      of_stage, x = self.stages[index](x, training=training)
      outputs[level] = self.norms[index](of_stage)
    return outputs

  def output_specs(self, image_shape: tf.TensorShape) -> dict[str, tf.TensorShape]:
    """Shape of each output by level.

    Args:
      image_shape: [batch, height, width, channels] of the images.
    """
    sides = image_shape[1:3]
    return {
      level: tf.TensorShape(
        [None, *(side and -(-side // 2 ** int(level)) for side in sides), width]
      )
      for level, width in zip(LEVELS, self._widths)
    }
