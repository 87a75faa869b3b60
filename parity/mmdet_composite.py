"""CBNetV2's composite of two transformers, made of mmdetection's Swin for the references.

mmdetection 3.3.0 has no composite. Its Swin computes what that of CBNetV2 computes, with other
names and, where patches are merged, another order of the four neighbors.
"""

from typing import Any

import numpy as np
import torch
from mmdet.models.backbones.swin import SwinTransformer
from mmdet.registry import MODELS
from torch.nn import functional

_RENAMED = (
  ('.stages.', '.layers.'),
  ('.attn.w_msa.', '.attn.'),
  ('.ffn.layers.0.0.', '.mlp.fc1.'),
  ('.ffn.layers.1.', '.mlp.fc2.'),
  ('.patch_embed.projection.', '.patch_embed.proj.'),
)
_NEIGHBORS = [0, 2, 1, 3]


@MODELS.register_module()
class CompositeSwin(torch.nn.Module):
  """Two Swin transformers, the second of which reads the features of the first (section 3.2).

  Args:
    embed_dims: number of channels of the first stage.
    **options: options of both transformers.
  """

  def __init__(self, embed_dims: int, **options: Any):
    super().__init__()
    self.cb_modules = torch.nn.ModuleList(
      SwinTransformer(embed_dims=embed_dims, **options) for _ in range(2)
    )
    del self.cb_modules[1].patch_embed
    widths = [embed_dims * 2**level for level in range(4)]
    self.cb_linears = torch.nn.ModuleList(
      torch.nn.ModuleList(
        torch.nn.Identity() if width == target else torch.nn.Conv2d(width, target, 1)
        for width in widths[level:]
      )
      for level, target in enumerate(widths)
    )

  def forward(self, images: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Maps of the assisting and of the leading transformer, four [batch, channels, h, w] each."""
    embedded, size = self.cb_modules[0].patch_embed(images)
    assistant = self._maps(0, embedded, size, [0.0] * 4)
    summands = []
    for level, linears in enumerate(self.cb_linears):
      feeds = [
        functional.interpolate(linear(maps), assistant[level].shape[2:])
        for linear, maps in zip(linears, assistant[level:])
      ]
      summands.append(sum(feeds).flatten(2).transpose(1, 2))
    return assistant, self._maps(1, embedded, size, summands)

  def _maps(
    self, index: int, x: torch.Tensor, size: tuple[int, int], summands: list[Any]
  ) -> list[torch.Tensor]:
    swin, maps = self.cb_modules[index], []
    for level, stage in enumerate(swin.stages):
      x, size, out, out_size = stage(x + summands[level], size)
      out = getattr(swin, f'norm{level}')(out)
      # The compiled RoIAlign reads maps whose channels are not outermost in memory wrongly.
      maps.append(out.transpose(1, 2).unflatten(2, out_size).contiguous())
    return maps


def use(model: Any, embed_dims: int, **options: Any) -> None:
  """Give the configuration of a model this backbone.

  Args:
    model: configuration of mmdetection, which is changed.
    embed_dims: number of channels of the first stage, doubled in each further one.
    **options: options of both transformers.
  """
  model.backbone = {'type': 'CompositeSwin', 'embed_dims': embed_dims, **options}
  model.neck.in_channels = [embed_dims * 2**level for level in range(4)]


def published_name(name: str) -> str:
  """The name that CBNetV2 has for an entry; others are returned as they are."""
  if name.startswith('backbone.cb_modules.'):
    for ours, theirs in _RENAMED:
      name = name.replace(ours, theirs)
  return name


def from_published(name: str, values: np.ndarray) -> np.ndarray:
  """Values in mmdetection's order of the merged patches from those in CBNetV2's.

  Args:
    name: name of the entry.
    values: [..., 4 * channels] if the entry belongs to the merging of patches.
  """
  if not _merges_patches(name):
    return values
  grid = values.reshape(*values.shape[:-1], 4, -1)[..., _NEIGHBORS, :]  # [..., 4, channels]
  return np.ascontiguousarray(np.swapaxes(grid, -1, -2)).reshape(values.shape)


def to_published(name: str, values: np.ndarray) -> np.ndarray:
  """The inverse of `from_published`."""
  if not _merges_patches(name):
    return values
  grid = np.swapaxes(values.reshape(*values.shape[:-1], -1, 4), -1, -2)  # [..., 4, channels]
  return grid[..., _NEIGHBORS, :].reshape(values.shape)


def _merges_patches(name: str) -> bool:
  return any(f'.downsample.{part}.' in name for part in ('reduction', 'norm'))
