"""Facts about a network that the names and shapes of its variables and its configuration both tell.

By them, a file is compared with an experiment without a model being built. They do not have to tell
everything: the conversion compares every single variable.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from htc_tf.configs import features
from htc_tf.configs import model as model_config
from htc_tf.modeling.backbones.published_resnet import SPECS

Facts = dict[str, Any]
# Parts that may have group norms, and the paths of their convolutions.
_GROUP_NORMS = {
  'decoder': 'decoder/laterals',
  'box head': 'cascade/stages/0/box_head/convs',
  'mask head': r'cascade/(stages/\d+/)?mask_head/convs',
}
Shapes = Mapping[str, Sequence[int]]

_RESNET_KERNELS = ('backbone/layer1/0/conv2/kernel', 'backbone/layer1/0/convs/0/kernel')

# Maps that predict the offsets and strengths of 3x3 taps.
_MODULATED_MAPS = 27


class Traits(NamedTuple):
  """Facts about a network by what they describe.

  Attributes:
    kind: kind of the backbone; each kind has its own facts.
    backbone: facts about the backbone.
    rest: facts about decoder and heads.
  """

  kind: str
  backbone: Facts
  rest: Facts


def of_variables(shapes: Shapes) -> Traits:
  """The facts about a network with the given variables.

  Args:
    shapes: shapes by path of the variable, in our layout; see `variables.named_variables`.
  """
  return Traits(*_backbone_of_variables(shapes), _rest_of_variables(shapes))


def of_config(config: model_config.HTC) -> Traits:
  """The facts about a configured network, whose backbone is in the published layout."""
  return Traits(*_backbone_of_config(config), _rest_of_config(config))


def differences(found: Traits, expected: Traits) -> list[str]:
  """The facts that differ, e.g. 'blocks: [3, 4, 23, 3] instead of [3, 4, 6, 3]'.

  Args:
    found: facts about a file; None if the file does not tell.
    expected: facts about an experiment.
  """
  texts = []
  if found.kind != expected.kind:
    texts.append(f'backbone: {found.kind} instead of {expected.kind}')
  else:
    texts += _different(found.backbone, expected.backbone)
  return texts + _different(found.rest, expected.rest)


def backbone_differences(found: Shapes, expected: Shapes) -> list[str]:
  """The facts about backbones that differ, for the backbone of a classifier and that of a model.

  Residual networks of one kind have none: detectors add to them what a classifier has not. Nor have
  composites of Swin transformers, which differ from one alone in nothing else.

  Args:
    found: shapes of the classifier by path of the variable, in our layout.
    expected: shapes of the model.
  """
  kind, facts = _backbone_of_variables(found)
  expected_kind, expected_facts = _backbone_of_variables(expected)
  if kind != expected_kind:
    return [f'backbone: {kind} instead of {expected_kind}']
  if kind != 'Swin':
    return []
  return _different(facts, {**expected_facts, 'composed of two': facts['composed of two']})


def _different(found: Facts, expected: Facts) -> list[str]:
  return [
    f'{key}: {_text(found[key])} instead of {_text(value)}'
    for key, value in expected.items()
    if found[key] not in (None, value)
  ]


def _text(value: Any) -> str:
  if isinstance(value, bool):
    return 'yes' if value else 'no'
  return 'none' if value == [] else str(value)


def _backbone_of_variables(shapes: Shapes) -> tuple[str, Facts]:
  if _has(shapes, r'backbone/stage2/'):
    return 'HRNet', {
      'width': shapes['backbone/stage2/0/branches/0/0/conv1/kernel'][-1],
      'modules': [_count(shapes, rf'backbone/stage{stage}/(\d+)/') for stage in (2, 3, 4)],
    }
  if _has(shapes, r'backbone/trunks?/'):
    trunk = r'backbone/trunk(?:s/0)?/stages'
    tables = _first(shapes, rf'{trunk}/\d+/blocks/0/attn/table')
    embeddings = _first(shapes, r'backbone/(?:patch|shared)_embed/proj/bias')
    return 'Swin', {
      'composed of two': _has(shapes, r'backbone/trunks/'),
      'channels of the first stage': embeddings[0][0] if embeddings else None,
      'blocks': [_count(shapes, rf'{trunk}/{stage}/blocks/(\d+)/') for stage in range(4)],
      'attention heads': [shape[-1] for shape in tables],
    }
  kernel = next((shapes[path] for path in _RESNET_KERNELS if path in shapes), (0, 0, 1, 0))
  return 'ResNet', {
    'blocks': [_count(shapes, rf'backbone/layer{stage}/(\d+)/') for stage in range(1, 5)],
    'bottlenecks': 'backbone/layer1/0/conv3/kernel' in shapes,
    'groups': kernel[3] // kernel[2],
    'channels per group or scale': kernel[2],
    'scales': 1 + _count(shapes, r'backbone/layer1/0/convs/(\d+)/'),
    'deep stem': _has(shapes, r'backbone/stem/'),
    'deformable stages': _stages(shapes, 'conv_offset'),
    'modulated': any(
      shape[-1] == _MODULATED_MAPS
      for shape in _first(shapes, r'backbone/layer\d/\d+/conv2/conv_offset/bias')
    ),
    'standardized': _has(shapes, r'backbone/layer1/.*/weight_gamma'),
    'switchable stages': _stages(shapes, 'switch'),
  }


def _backbone_of_config(config: model_config.HTC) -> tuple[str, Facts]:
  backbone = config.backbone.get()
  if isinstance(backbone, features.PublishedHRNet):
    return 'HRNet', {'width': backbone.width, 'modules': list(backbone.num_modules)}
  if isinstance(backbone, features.PublishedSwin):
    return 'Swin', {
      'composed of two': backbone.composite,
      'channels of the first stage': backbone.embed_dim,
      'blocks': list(backbone.depths),
      'attention heads': list(backbone.num_heads),
    }
  if not isinstance(backbone, features.PublishedResNet):
    return str(config.backbone.type), {}
  bottlenecks, blocks = SPECS[backbone.model_id]
  return 'ResNet', {
    'blocks': list(blocks),
    'bottlenecks': bottlenecks,
    'groups': backbone.groups,
    'channels per group or scale': round(backbone.base_width * backbone.width_multiplier),
    'scales': backbone.scales,
    'deep stem': backbone.deep_stem,
    'deformable stages': list(backbone.deformable_stages),
    'modulated': backbone.modulated,
    'standardized': backbone.standardized,
    'switchable stages': list(backbone.switchable_stages),
  }


def _rest_of_variables(shapes: Shapes) -> Facts:
  box_head = 'cascade/stages/0/box_head'
  shared_mask = _has(shapes, r'cascade/mask_head/')
  residual_mask = _has(shapes, r'cascade/(stages/\d+/)?mask_head/convs/\d+/conv\d+/')
  return {
    'decoder': _decoder(
      _has(shapes, r'decoder/reduction/'), _has(shapes, r'decoder/feedback_backbone/')
    ),
    'stages': _count(shapes, r'cascade/stages/(\d+)/box_head/'),
    'boxes by class': _has_boxes_by_class(shapes, box_head),
    'convolutions of a box head': _count(shapes, rf'{box_head}/convs/(\d+)/'),
    'linear layers of a box head': _count(shapes, rf'{box_head}/fcs/(\d+)/'),
    'group norms': [
      part for part, pattern in _GROUP_NORMS.items() if _has(shapes, rf'{pattern}/\d+/norm/')
    ],
    'masks': _masks(
      shared_mask or _has(shapes, r'cascade/stages/\d+/mask_head/'), shared_mask, residual_mask
    ),
    'mask information flow': _has(shapes, r'cascade/stages/\d+/mask_head/flow/'),
    'semantic branch': _has(shapes, r'semantic_head/'),
    'global context': _has(shapes, r'context_head/'),
    'feature relay': _has(shapes, r'cascade/relay/'),
  }


def _rest_of_config(config: model_config.HTC) -> Facts:
  cascade = config.cascade
  return {
    'decoder': _decoder(
      config.decoder.type == 'published_hrfpn', config.decoder.type == 'recursive_fpn'
    ),
    'stages': len(cascade.stages),
    'boxes by class': not config.box_head.class_agnostic,
    'convolutions of a box head': config.box_head.num_convs,
    'linear layers of a box head': config.box_head.num_fcs,
    'group norms': [
      part
      for part, has_norms in zip(
        _GROUP_NORMS,
        (
          getattr(config.decoder.get(), 'norm_groups', 0),
          config.box_head.norm_groups,
          config.include_mask and config.mask_head.norm_groups,
        ),
      )
      if has_norms
    ],
    'masks': _masks(config.include_mask, cascade.shared_mask, config.mask_head.residual),
    'mask information flow': config.include_mask
    and cascade.mask_information_flow
    and len(cascade.stages) > 1,
    'semantic branch': config.semantic_head.enabled,
    'global context': config.global_context.enabled,
    'feature relay': config.include_mask and cascade.feature_relay,
  }


def _has_boxes_by_class(shapes: Shapes, box_head: str) -> bool | None:
  """None for one class, for which the shapes are the same."""
  if tuple(shapes.get(f'{box_head}/logits/bias', ())) == (2,):
    return None
  return f'{box_head}/class_deltas/kernel' in shapes


def _decoder(is_high_resolution: bool, is_recursive: bool) -> str:
  if is_recursive:
    return 'recursive FPN'
  return 'HRFPN' if is_high_resolution else 'FPN'


def _masks(has_masks: bool, is_shared: bool, is_residual: bool) -> str:
  if not has_masks:
    return 'none'
  owner = 'one head' if is_shared else 'a head for each stage'
  return f'{owner}, residual' if is_residual else owner


def _has(shapes: Shapes, pattern: str) -> bool:
  """Whether a path begins with a pattern."""
  return any(re.match(pattern, path) for path in shapes)


def _count(shapes: Shapes, pattern: str) -> int:
  """Number of different values of the group of a pattern that paths begin with."""
  return len({found.group(1) for path in shapes if (found := re.match(pattern, path))})


def _first(shapes: Shapes, pattern: str) -> list[Sequence[int]]:
  """Shapes of the paths that a pattern stands for, in the order of the paths."""
  return [shapes[path] for path in sorted(shapes) if re.fullmatch(pattern, path)]


def _stages(shapes: Shapes, part: str) -> list[int]:
  """Residual stages whose 3x3 convolutions have a part."""
  pattern = rf'backbone/layer(\d)/\d+/conv2/{part}/'
  return sorted({int(found.group(1)) for path in shapes if (found := re.match(pattern, path))})
