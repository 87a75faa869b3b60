"""Assignment of published weights (mmdetection's names and axes) to a model."""

from collections.abc import Iterator, Mapping

import numpy as np
import tf_keras

State = Mapping[str, np.ndarray]

_NORM = ('weight', 'bias', 'running_mean', 'running_var')


def fill(model, state: State) -> None:
  """Set every variable of an `HTCModel` with ResNet; KeyError names an entry that is missing."""
  for name, layer in backbone_layers(model.backbone):
    if isinstance(layer, tf_keras.layers.Conv2D):
      layer.set_weights([kernel(state[f'backbone.{name}.weight'])])
    else:
      layer.set_weights([state[f'backbone.{name}.{part}'] for part in _NORM])
  for name, layer in _named_convs(model):
    layer.set_weights([kernel(state[f'{name}.weight']), state[f'{name}.bias']])
  for stage, parts in enumerate(model.cascade.stages):
    fill_box_head(parts.box_head, state, f'roi_head.bbox_head.{stage}')
    fill_mask_parts(parts, state, f'roi_head.mask_head.{stage}')


def backbone_layers(backbone) -> Iterator[tuple[str, tf_keras.layers.Layer]]:
  """Pairs (published name, layer) of a ResNet, ResNeXt or Res2Net."""
  if hasattr(backbone, 'conv1'):
    yield from (('conv1', backbone.conv1), ('bn1', backbone.bn1))
  for index, layer in enumerate(getattr(backbone, 'stem', [])):
    yield f'stem.{index // 2 * 3 + index % 2}', layer
  for stage in range(1, 5):
    for index, block in enumerate(getattr(backbone, f'layer{stage}')):
      for part in ('conv1', 'bn1', 'conv2', 'bn2', 'conv3', 'bn3'):
        if hasattr(block, part):
          yield f'layer{stage}.{index}.{part}', getattr(block, part)
      for part in ('convs', 'bns'):
        for scale, layer in enumerate(getattr(block, part, [])):
          yield f'layer{stage}.{index}.{part}.{scale}', layer
      for part, layer in enumerate(block.downsample or []):
        if layer.weights:  # An average pooling has none.
          yield f'layer{stage}.{index}.downsample.{part}', layer


def fill_box_head(head, state: State, name: str) -> None:
  """Set a box head's weights, whose inputs and outputs are in another order than published."""
  for index, layer in enumerate(head._fcs):
    weight = state[f'{name}.shared_fcs.{index}.weight']
    if index == 0:
      weight = _channels_last(weight)
    layer.set_weights([weight.T, state[f'{name}.shared_fcs.{index}.bias']])
  weight, bias = (state[f'{name}.fc_cls.{part}'] for part in ('weight', 'bias'))
  head._logits.set_weights([background_first(weight.T), background_first(bias)])
  weight, bias = (state[f'{name}.fc_reg.{part}'] for part in ('weight', 'bias'))
  head._deltas.set_weights([yx_order(weight.T), yx_order(bias)])


def fill_mask_parts(stage, state: State, name: str) -> None:
  """Set the weights of a stage's mask head and mask predictor."""
  convs = [(f'{name}.convs.{i}.conv', conv) for i, conv in enumerate(stage.mask_head._convs)]
  if stage.mask_head._flow is not None:
    convs.append((f'{name}.conv_res.conv', stage.mask_head._flow))
  convs.append((f'{name}.upsample', stage.mask_predictor._upsample))
  for conv_name, conv in convs:
    conv.set_weights([kernel(state[f'{conv_name}.weight']), state[f'{conv_name}.bias']])
  stage.mask_predictor._kernel.assign(state[f'{name}.conv_logits.weight'][:, :, 0, 0])
  stage.mask_predictor._bias.assign(state[f'{name}.conv_logits.bias'])


def _named_convs(model) -> Iterator[tuple[str, tf_keras.layers.Layer]]:
  """Pairs (published name, layer) of decoder, RPN and semantic branch."""
  yield from _numbered('neck.lateral_convs', model.decoder._laterals)
  yield from _numbered('neck.fpn_convs', model.decoder._outputs)
  rpn = model.rpn_head
  yield from (
    ('rpn_head.rpn_conv', rpn._conv),
    ('rpn_head.rpn_cls', rpn._logits),
    ('rpn_head.rpn_reg', _YXDeltas(rpn._deltas)),
  )
  semantic, name = model.semantic_head, 'roi_head.semantic_head'
  yield from _numbered(f'{name}.lateral_convs', semantic._laterals)
  yield from _numbered(f'{name}.convs', semantic._convs)
  yield f'{name}.conv_embedding.conv', semantic._embedding
  yield f'{name}.conv_logits', semantic._logits


def _numbered(name: str, layers: list) -> Iterator[tuple[str, tf_keras.layers.Layer]]:
  return ((f'{name}.{index}.conv', layer) for index, layer in enumerate(layers))


class _YXDeltas:
  """A layer of box deltas whose `set_weights` takes weights in the published order of deltas."""

  def __init__(self, layer):
    self._layer = layer

  def set_weights(self, weights: list[np.ndarray]) -> None:
    self._layer.set_weights([yx_order(weight) for weight in weights])


def kernel(weight: np.ndarray) -> np.ndarray:
  """A kernel in HWIO from OIHW; for transposed convolutions, HWOI from IOHW."""
  return weight.transpose(2, 3, 1, 0)


def _channels_last(weight: np.ndarray, size: int = 7) -> np.ndarray:
  """Weight [out, size * size * C] from [out, C * size * size]."""
  grid = weight.reshape(len(weight), -1, size, size)  # [out, C, size, size]
  return grid.transpose(0, 2, 3, 1).reshape(len(weight), -1)


def background_first(values: np.ndarray) -> np.ndarray:
  """The values with the last class of the last axis moved to the front."""
  return np.roll(values, 1, axis=-1)


def yx_order(values: np.ndarray) -> np.ndarray:
  """The values with dx, dy, dw, dh (or x1, y1, x2, y2) of the last axis as dy, dx, dh, dw."""
  groups = values.reshape(*values.shape[:-1], -1, 4)[..., [1, 0, 3, 2]]
  return groups.reshape(values.shape)


def channels_last(maps: np.ndarray) -> np.ndarray:
  """Maps [..., H, W, C] from [..., C, H, W]."""
  return np.moveaxis(maps, -3, -1)


def load(path: str) -> dict[str, np.ndarray]:
  """All arrays of an .npz file."""
  with np.load(path) as arrays:
    return dict(arrays)
