"""Measurements of a configuration of mmdetection on its stored image."""

import functools
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from htc_tf.convert.checkpoint_file import Checkpoint
from htc_tf.modeling.htc_model import HTCModel
from parity import layout, member_weights
from parity.detections import Detected, PastedMasks, detection_measurements, mask_measurement
from parity.forward import Forward, build_model
from parity.measurement import MAPS_BAR, Measurement, lost_share, near
from parity.network_inputs import network_input
from parity.pack import ZOO_EXTRACT, Arrays, Pack

_PROPOSAL_PX, _LOST_BAR = 0.05, 0.01
_PYRAMID_KEYS = {
  '2': ('P2_every4th', 4),
  '3': ('P3_every4th', 4),
  '4': ('P4_every4th', 4),
  '5': ('P5', 1),
  '6': ('P6', 1),
}
_BACKBONE_KEYS = {
  '2': ('C2_every4th', 4),
  '3': ('C3_every4th', 4),
  '4': ('C4_every4th', 4),
  '5': ('C5_every2nd', 2),
}
_PACK_MASKS = types.MappingProxyType(
  {
    ensemble: f'detections_masks_{layout.MASK_KEYS[ensemble]}_packed'
    for ensemble in ('mean', 'last')
  }
)


class Bars(NamedTuple):
  """Largest differences that pass.

  Attributes:
    maps: of feature maps, divided by the largest value.
    scores: of the scores of detections.
  """

  maps: float = MAPS_BAR
  scores: float = 1e-3


class Variant(NamedTuple):
  """A published configuration.

  Attributes:
    config: name of the configuration in the repository that published it.
    experiment: name of our experiment.
    overrides: nested overrides of the configuration of the experiment's model.
    has_semantic: whether the model has the semantic branch.
    masks: keys of the reference masks by mask ensemble.
    kind: folder of the reference: 'htc', 'zoo' for the families around HTC, or 'member' for their
      larger networks, of which every eighth channel of maps and every eighth pixel of the input
      are stored.
    bars: largest differences that pass.
    source: the implementation that computed the reference.
    sha256: first digits of the hash of a published file with this network, by which conversion
      knows networks that read BGR images; '' if the shapes are enough.
  """

  config: str
  experiment: str
  overrides: Mapping[str, Any] = types.MappingProxyType({})
  has_semantic: bool = True
  masks: Mapping[str, str] = _PACK_MASKS
  kind: str = 'htc'
  bars: Bars = Bars()
  source: str = 'mmdetection 3.3.0'
  sha256: str = ''

  @property
  def thinning(self) -> int:
    """Distance of the stored channels of maps, and of the stored pixels of the input."""
    return member_weights.THINNING if self.kind == 'member' else 1

  def arrays(self, pack: Pack) -> Arrays:
    """The reference arrays."""
    return pack.arrays(f'mmdet_{self.config}' if self.kind == 'htc' else self.config)

  def image(self, pack: Pack) -> Arrays:
    """The arrays with the image; larger networks see that of the families around HTC."""
    return (
      Pack(ZOO_EXTRACT).arrays(member_weights.IMAGE) if self.kind == 'member' else self.arrays(pack)
    )

  def state(self, pack: Pack) -> Checkpoint:
    """The weights.

    Raises:
      MissingArrayError: the pack lacks them.
    """
    if self.kind == 'member':
      return pack.member_state(self.config, self.sha256)
    return pack.zoo_state(self.config) if self.kind == 'zoo' else pack.mmdet_state(self.config)


def _resnext(groups: int, **values: Any) -> dict[str, Any]:
  """Overrides for ResNeXt-101 whose groups have 4 channels each."""
  return {
    'backbone': {'published_resnet': {'model_id': 101, 'groups': groups, 'base_width': 4, **values}}
  }


VARIANTS = (
  Variant(
    'htc-without-semantic_r50_fpn_1x_coco',
    'htc_without_semantic_resnet50fpn_1x_coco',
    has_semantic=False,
  ),
  Variant(
    'htc_r101_fpn_20e_coco',
    'htc_resnet50fpn_20e_coco',
    {'backbone': {'published_resnet': {'model_id': 101}}},
  ),
  Variant('htc_x101-32x4d_fpn_16xb1-20e_coco', 'htc_resnet50fpn_20e_coco', _resnext(32)),
  Variant('htc_x101-64x4d_fpn_16xb1-20e_coco', 'htc_resnet50fpn_20e_coco', _resnext(64)),
  Variant(
    'htc_x101-64x4d-dconv-c3-c5_fpn_ms-400-1400-16xb1-20e_coco',
    'htc_resnet50fpn_20e_coco',
    _resnext(64, deformable_stages=[2, 3, 4]),
  ),
)


class MmdetImage:
  """Measurements of the model of a configuration on the stored image.

  Args:
    pack: reference arrays.
    variant: configuration.
  """

  def __init__(self, pack: Pack, variant: Variant):
    self._arrays, self._image = variant.arrays(pack), variant.image(pack)
    self._variant = variant
    self._pack = pack
    self._forward = Forward(lambda: self._model, self._inputs)

  @functools.cached_property
  def _model(self) -> HTCModel:
    return build_model(
      self._variant.experiment,
      self._variant.overrides,
      lambda: self._variant.state(self._pack),
    )

  def _inputs(self) -> dict[str, np.ndarray]:
    return network_input([self._image['image_bgr'][..., ::-1]])

  def measurements(self) -> Iterator[Measurement]:
    """All measurements, from the network input to the masks."""
    thinning = self._variant.thinning
    key = 'input' if thinning == 1 else f'input_every{thinning}th'
    yield near(
      'network input from the pixels',
      lambda: self._inputs()['images'][0, ::thinning, ::thinning],
      lambda: layout.channels_last(self._arrays[key]),
    )
    for level, (key, step) in _BACKBONE_KEYS.items():
      yield self._near(f'C{level}', functools.partial(self._map, 'backbone', level, step), key)
    for level, (key, step) in _PYRAMID_KEYS.items():
      yield self._near(f'P{level}', functools.partial(self._map, 'pyramid', level, step), key)
    if self._variant.has_semantic:
      yield self._near(
        'semantic logits',
        lambda: self._forward.levels.semantic('logits')[0, ::4, ::4, ::thinning],
        'semantic_logits_every4th',
      )
      yield self._near(
        'semantic embedding',
        lambda: self._forward.levels.semantic('embedding')[0, ::4, ::4, ::thinning],
        'semantic_feature_every4th',
      )
    yield Measurement(
      f'proposals: share not found within {_PROPOSAL_PX} px', _LOST_BAR, self._lost_proposals
    )
    yield from self._detections()

  def _near(self, name: str, actual: Callable[[], np.ndarray], key: str) -> Measurement:
    expected = self._arrays
    return near(name, actual, lambda: layout.channels_last(expected[key]), self._variant.bars.maps)

  def _map(self, kind: str, level: str, step: int) -> np.ndarray:
    levels = self._forward.levels
    maps = levels.backbone if kind == 'backbone' else levels.features.pyramid
    return maps[level][0, ::step, ::step, :: self._variant.thinning]

  def _lost_proposals(self) -> float:
    reference = layout.yx(self._arrays['proposals'])
    return lost_share(self._forward.levels.proposals.boxes[0].numpy(), reference, _PROPOSAL_PX)

  def _detections(self) -> Iterator[Measurement]:
    yield from detection_measurements(
      'detections from the pixels',
      lambda: self._forward.detected(0),
      self._reference,
      self._variant.bars.scores,
    )
    for ensemble in self._variant.masks:
      yield mask_measurement(
        f'masks, {ensemble} of the stages',
        functools.partial(self._forward.detected, 0, ensemble),
        self._reference,
        functools.partial(self._pasted, ensemble),
      )

  def _reference(self) -> Detected:
    boxes, scores, labels = (
      self._arrays[f'detections_{key}'] for key in ('boxes', 'scores', 'labels')
    )
    return Detected(layout.yx(boxes), scores, labels + 1)

  def _pasted(self, ensemble: str) -> PastedMasks:
    key = self._variant.masks[ensemble]
    masks = layout.unpacked_masks(self._arrays[key], self._arrays['detections_masks_shape'])
    return PastedMasks(masks, self._image['scale_factor_wh'][::-1])
