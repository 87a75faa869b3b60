"""ImageNet classifiers of Swin transformers as they are published, with random weights."""

import numpy as np

# From names of the authors to those of mmpretrain, from the first one that occurs.
_MMPRETRAIN_NAMES = (
  ('layers.', 'backbone.stages.'),
  ('patch_embed.proj.', 'backbone.patch_embed.projection.'),
  ('patch_embed.norm.', 'backbone.patch_embed.norm.'),
  ('norm.', 'backbone.norm3.'),
  ('head.', 'head.fc.'),
)
_MMPRETRAIN_PARTS = (
  ('attn.', 'attn.w_msa.'),
  ('mlp.fc1.', 'ffn.layers.0.0.'),
  ('mlp.fc2.', 'ffn.layers.1.'),
)


def mmpretrain_tensors(**sizes):
  """Entries as mmpretrain names them, with the values of `tensors`, whose arguments `sizes` are.

  They belong to another classifier than those of `tensors`: mmpretrain has the channels of merged
  neighbors in another order. Masks of attention are not stored.
  """
  return {
    _in_mmpretrain(name): value
    for name, value in tensors(**sizes).items()
    if not name.endswith('attn_mask')
  }


def _in_mmpretrain(name):
  old, new = next(pair for pair in _MMPRETRAIN_NAMES if name.startswith(pair[0]))
  name = new + name.removeprefix(old)
  for part, other in _MMPRETRAIN_PARTS:
    name = name.replace(part, other)
  return name


def tensors(
  embed_dim=8, depths=(2, 1, 1, 1), num_heads=(1, 2, 2, 4), window=3, mlp_ratio=2, seed=0
):
  """Entries of the state dictionary under the key `model` of a file of the transformer's authors.

  Args:
    embed_dim: number of channels of the first stage.
    depths: number of blocks of each stage.
    num_heads: number of heads of each stage.
    window: side of the windows.
    mlp_ratio: width of the hidden layers in channels of their stage.
    seed: seed of the values.
  """
  shapes = {
    **_layer('patch_embed.proj', [embed_dim, 3, 4, 4]),
    **_layer('patch_embed.norm', [embed_dim]),
  }
  for stage, (depth, heads) in enumerate(zip(depths, num_heads)):
    width, last = embed_dim * 2**stage, stage == len(depths) - 1
    for block in range(depth):
      name = f'layers.{stage}.blocks.{block}'
      shapes |= _block_shapes(name, width, heads, window, int(width * mlp_ratio))
      if block % 2 and not last:  # One window covers the last maps: their blocks shift nothing.
        shapes[f'{name}.attn_mask'] = [4, window**2, window**2]
    if not last:
      shapes[f'layers.{stage}.downsample.reduction.weight'] = [2 * width, 4 * width]
      shapes |= _layer(f'layers.{stage}.downsample.norm', [4 * width])
  shapes |= _layer('norm', [8 * embed_dim])
  shapes |= _layer('head', [5, 8 * embed_dim])
  rng = np.random.default_rng(seed)
  values = {name: rng.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}
  # Layer norms have weights about 1, so that every part has an effect on the output.
  return {
    name: value + np.float32(value.ndim == 1 and name.endswith('weight'))
    for name, value in values.items()
  }


def _layer(name, shape):
  return {f'{name}.weight': shape, f'{name}.bias': shape[:1]}


def _block_shapes(name, width, heads, window, hidden):
  return {
    **_layer(f'{name}.norm1', [width]),
    f'{name}.attn.relative_position_bias_table': [(2 * window - 1) ** 2, heads],
    f'{name}.attn.relative_position_index': [window**2, window**2],
    **_layer(f'{name}.attn.qkv', [3 * width, width]),
    **_layer(f'{name}.attn.proj', [width, width]),
    **_layer(f'{name}.norm2', [width]),
    **_layer(f'{name}.mlp.fc1', [hidden, width]),
    **_layer(f'{name}.mlp.fc2', [width, hidden]),
  }
