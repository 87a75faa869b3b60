"""Measurements of every level of the R50 model on mmdetection's batch of two images."""

import functools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from htc_tf.modeling.htc_model import HTCModel
from parity import layout
from parity import rois as roi_heads
from parity.detections import Detected, PastedMasks, detection_measurements, mask_measurement
from parity.forward import Forward, build_model
from parity.measurement import Measurement, lost_share, near
from parity.network_inputs import network_input
from parity.pack import Pack

_CONFIG, _EXPERIMENT = 'htc_r50_fpn_1x_coco', 'htc_resnet50fpn_1x_coco'
_PROPOSAL_PX, _LOST_BAR, _DECODED_PX_BAR = 0.05, 0.01, 1e-3
# For each of the two images: array key, and step between the stored positions.
_BACKBONE_KEYS = {
  '2': ('C2_image0_every2nd', 2, 'C2_image1_every4th', 4),
  '3': ('C3_image0', 1, 'C3_image1_every4th', 4),
  '4': ('C4_image0', 1, 'C4_image1_every4th', 4),
  '5': ('C5_image0', 1, 'C5_image1_every4th', 4),
}
_PYRAMID_KEYS = {
  '2': ('P2_image0', 1, 'P2_image1_every4th', 4),
  '3': ('P3_image0', 1, 'P3_image1_every4th', 4),
  '4': ('P4_image0', 1, 'P4_image1', 1),
  '5': ('P5_image0', 1, 'P5_image1', 1),
  '6': ('P6_image0', 1, 'P6_image1', 1),
}


class MmdetBatch:
  """Measurements of the model on the stored batch.

  Args:
    pack: reference arrays.
  """

  def __init__(self, pack: Pack):
    self._arrays = pack.arrays('mmdet_r50_inference')
    self._fixed = pack.arrays('mmdet_r50_fixed_rois')
    self._pack = pack
    self._stored = Forward(lambda: self._model, self._stored_inputs)
    self._from_pixels = Forward(lambda: self._model, self._pixel_inputs)
    self._box_head = functools.lru_cache(maxsize=1)(self._run_box_head)

  @functools.cached_property
  def _model(self) -> HTCModel:
    return build_model(_EXPERIMENT, {}, lambda: self._pack.mmdet_state(_CONFIG))

  def _stored_inputs(self) -> dict[str, np.ndarray]:
    return {
      'images': layout.channels_last(self._arrays['input']),
      'image_shape': self._arrays['image_sizes_hw'],
    }

  def _pixel_inputs(self) -> dict[str, np.ndarray]:
    return network_input([self._arrays[f'image{image}_bgr'][..., ::-1] for image in (0, 1)])

  def measurements(self) -> Iterator[Measurement]:
    """All measurements, from the network input to the masks."""
    yield near(
      'network input from the pixels',
      lambda: self._pixel_inputs()['images'],
      lambda: layout.channels_last(self._arrays['input']),
    )
    yield from self._backbone_and_pyramid()
    yield from self._rpn()
    yield from self._semantic()
    for stage in range(3):
      yield from self._stage_on_its_rois(stage)
    yield from self._fixed_roi_features()
    for stage in range(3):
      yield from self._fixed_roi_heads(stage)
    for image in (0, 1):
      yield from self._detections(image)

  def _near(
    self,
    name: str,
    actual: Callable[[], np.ndarray],
    key: str,
    change: Callable[[np.ndarray], np.ndarray] = layout.channels_last,
  ) -> Measurement:
    return near(name, actual, lambda: change(self._arrays[key]))

  def _backbone_and_pyramid(self) -> Iterator[Measurement]:
    for letter, keys in (('C', _BACKBONE_KEYS), ('P', _PYRAMID_KEYS)):
      for level, (key0, step0, key1, step1) in keys.items():
        for image, key, step in ((0, key0, step0), (1, key1, step1)):
          yield self._near(
            f'{letter}{level} of image {image}',
            functools.partial(self._map, letter, level, image, step),
            key,
          )

  def _map(self, letter: str, level: str, image: int, step: int) -> np.ndarray:
    levels = self._stored.levels
    maps = levels.backbone if letter == 'C' else levels.features.pyramid
    return maps[level][image, ::step, ::step]

  def _rpn(self) -> Iterator[Measurement]:
    for level in '23456':
      yield from self._rpn_level(level)
    for image in (0, 1):
      yield Measurement(
        f'proposals of image {image}: share not found within {_PROPOSAL_PX} px',
        _LOST_BAR,
        functools.partial(self._lost_proposals, image),
      )

  def _rpn_level(self, level: str) -> Iterator[Measurement]:
    yield self._near(
      f'RPN logits of P{level}',
      lambda: self._stored.levels.rpn_logits[level],
      f'rpn_logits_P{level}',
    )
    yield self._near(
      f'RPN deltas of P{level}',
      lambda: self._stored.levels.rpn_deltas[level],
      f'rpn_deltas_P{level}',
      lambda x: layout.yx(layout.channels_last(x)),
    )
    yield self._near(
      f'anchors of P{level}',
      lambda: self._stored.levels.anchors[level],
      f'anchors_P{level}',
      layout.yx,
    )

  def _lost_proposals(self, image: int) -> float:
    reference = layout.yx(self._arrays[f'proposals_image{image}'])
    return lost_share(self._stored.levels.proposals.boxes[image].numpy(), reference, _PROPOSAL_PX)

  def _semantic(self) -> Iterator[Measurement]:
    for image, suffix, step in ((0, '', 1), (1, '_every2nd', 2)):
      for name, key in (('logits', 'semantic_logits'), ('embedding', 'semantic_feature')):
        yield self._near(
          f'semantic {name} of image {image}',
          functools.partial(self._semantic_map, name, image, step),
          f'{key}_image{image}{suffix}',
        )

  def _semantic_map(self, name: str, image: int, step: int) -> np.ndarray:
    return self._stored.levels.semantic(name)[image, ::step, ::step]

  def _run_box_head(self, stage: int, fixed: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outputs of a box head on the 21 fixed RoIs, or on the RoIs that the stage had."""
    rois = self._fixed['rois'] if fixed else self._arrays[f'stage{stage}_rois']
    return self._given(rois).box_head(stage)

  def _given(self, rois: np.ndarray) -> roi_heads.GivenRois:
    return roi_heads.GivenRois(self._stored.model, self._stored.levels.features, rois)

  def _stage_on_its_rois(self, stage: int) -> Iterator[Measurement]:
    yield self._near(
      f'stage {stage} class logits on its 2000 RoIs',
      lambda: self._box_head(stage, False)[0],
      f'stage{stage}_logits',
      layout.background_first,
    )
    yield self._near(
      f'stage {stage} deltas on its 2000 RoIs',
      lambda: self._box_head(stage, False)[1],
      f'stage{stage}_deltas',
      layout.yx,
    )
    if stage < 2:
      yield Measurement(
        f'stage {stage} refined boxes, largest difference in px',
        _DECODED_PX_BAR,
        lambda: self._refined_difference(stage),
      )

  def _refined_difference(self, stage: int) -> float:
    reference = layout.yx(self._arrays[f'stage{stage + 1}_rois'][:, 1:])
    return np.abs(self._box_head(stage, False)[2] - reference).max()

  def _fixed_roi_features(self) -> list[Measurement]:
    def pyramid_and_semantic(kind: str, suffix: str = '') -> np.ndarray:
      return layout.channels_last(
        self._fixed[f'{kind}_feature_fpn{suffix}'] + self._fixed[f'{kind}_feature_semantic{suffix}']
      )

    def given() -> roi_heads.GivenRois:
      return self._given(self._fixed['rois'])

    every_eighth = '_every8th_channel'
    return [
      near(
        'RoIAlign 7 of the pyramid, 21 RoIs',
        lambda: given().box_features(False),
        lambda: layout.channels_last(self._fixed['box_feature_fpn']),
      ),
      near(
        'input of the box heads, 21 RoIs',
        lambda: given().box_features(),
        lambda: pyramid_and_semantic('box'),
      ),
      near(
        'RoIAlign 14 of the pyramid, 21 RoIs',
        lambda: given().mask_features(False)[..., ::8],
        lambda: layout.channels_last(self._fixed[f'mask_feature_fpn{every_eighth}']),
      ),
      near(
        'input of the mask heads, 21 RoIs',
        lambda: given().mask_features()[..., ::8],
        lambda: pyramid_and_semantic('mask', every_eighth),
      ),
    ]

  def _fixed_roi_heads(self, stage: int) -> list[Measurement]:
    name = f'stage{stage}'
    return [
      near(
        f'stage {stage} class logits, 21 RoIs',
        lambda: self._box_head(stage, True)[0],
        lambda: layout.background_first(self._fixed[f'{name}_logits']),
      ),
      near(
        f'stage {stage} deltas, 21 RoIs',
        lambda: self._box_head(stage, True)[1],
        lambda: layout.yx(self._fixed[f'{name}_deltas']),
      ),
      Measurement(
        f'stage {stage} decoded boxes, 21 RoIs, largest difference in px',
        _DECODED_PX_BAR,
        lambda: np.abs(
          layout.yx(self._fixed[f'{name}_decoded']) - self._box_head(stage, True)[2]
        ).max(),
      ),
      near(
        f'stage {stage} mask logits of every 10th class, 21 RoIs',
        lambda: self._mask_logits(stage, range(1, 81, 10)),
        lambda: self._fixed[f'{name}_mask_logits_every10th_class'],
      ),
      near(
        f'stage {stage} mask logits of all classes, 3 RoIs',
        lambda: self._mask_logits(stage, range(1, 81), self._fixed['subset3']),
        lambda: self._fixed[f'{name}_mask_logits_subset3'],
      ),
      near(
        f'stage {stage} mask logits without information flow, given input',
        lambda: roi_heads.mask_logits(
          self._stored.model, self._mask_feature_alone(stage), stage, range(1, 9)
        ),
        lambda: self._fixed[f'{name}_mask_logits_alone_subset8_first8_classes'],
      ),
      near(
        f'stage {stage} mask feature without information flow, given input',
        lambda: self._mask_feature_alone(stage)[..., :32],
        lambda: layout.channels_last(
          self._fixed[f'{name}_mask_feature_alone_subset8_first32_channels']
        ),
      ),
    ]

  def _mask_logits(
    self, stage: int, classes: Sequence[int], subset: np.ndarray | slice = slice(None)
  ) -> np.ndarray:
    features = self._given(self._fixed['rois']).mask_features()[subset]
    chain = roi_heads.mask_chain(self._stored.model, features, stage)
    return roi_heads.mask_logits(self._stored.model, chain, stage, classes)

  def _mask_feature_alone(self, stage: int) -> np.ndarray:
    """Mask feature of a stage without information flow, on the stored input of the mask head."""
    given = layout.channels_last(self._fixed['mask_head_input_subset8'])
    return self._stored.model.cascade.stages[stage].mask_feature(given, None)

  def _detections(self, image: int) -> Iterator[Measurement]:
    reference = functools.partial(self._reference, image)
    for name, forward in (('stored input', self._stored), ('pixels', self._from_pixels)):
      yield from detection_measurements(
        f'detections of image {image} from the {name}',
        functools.partial(forward.detected, image),
        reference,
      )
    for ensemble in ('mean', 'last'):
      yield mask_measurement(
        f'masks of image {image}, {ensemble} of the stages',
        functools.partial(self._stored.detected, image, ensemble),
        reference,
        functools.partial(self._pasted, image, ensemble),
      )

  def _reference(self, image: int) -> Detected:
    boxes, scores, labels = (
      self._arrays[f'detections_image{image}_{key}'] for key in ('boxes', 'scores', 'labels')
    )
    return Detected(layout.yx(boxes), scores, labels + 1)

  def _pasted(self, image: int, ensemble: str) -> PastedMasks:
    stem = f'detections_image{image}_masks'
    masks = layout.unpacked_masks(
      self._arrays[f'{stem}_{layout.MASK_KEYS[ensemble]}_packed'], self._arrays[f'{stem}_shape']
    )
    return PastedMasks(masks, self._arrays['scale_factors_wh'][image, ::-1])
