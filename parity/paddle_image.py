"""Measurements of the model of laihuihui/htc on one of its two stored images."""

import functools
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from htc_tf.data import preprocess
from htc_tf.modeling.htc_model import HTCModel
from htc_tf.modeling.outputs import Proposals
from parity import layout
from parity import rois as roi_heads
from parity.detections import Detected, PastedMasks, detection_measurements, mask_measurement
from parity.forward import Forward, Levels, build_model
from parity.measurement import Measurement, lost_share, near
from parity.network_inputs import network_input, share_off_by_more_than_a_gray_level
from parity.pack import Pack

EXPERIMENT = 'htc_resnet50fpn_1x_coco_paddle'
# The stored images were resized to this short side, with this limit of the long side.
_MIN_SIZE, _MAX_SIZE = 256, 400
_PROPOSAL_PX, _LOST_BAR, _DECODED_PX_BAR = 0.05, 0.01, 1e-3
_GRAY_LEVEL_BAR, _PROBABILITY_BAR = 1e-3, 1e-3
_BACKBONE_KEYS = {
  '2': ('c2_every4th', 4),
  '3': ('c3_every4th', 4),
  '4': ('c4_every4th', 4),
  '5': ('c5', 1),
}
_PYRAMID_KEYS = {
  '2': ('p2_every4th', 4),
  '3': ('p3', 1),
  '4': ('p4', 1),
  '5': ('p5', 1),
  '6': ('p6', 1),
}
# Maps that are stored for image b; for image a, all maps are stored.
_KEYS_OF_B = ('p3',)


def build_paddle_model(pack: Pack) -> HTCModel:
  """The model with the weights of the pack; both images use it."""
  return build_model(EXPERIMENT, {}, pack.paddle_state)


class PaddleImage:
  """Measurements of the model on a stored image.

  Args:
    pack: reference arrays.
    image: 'a', which the reference did not resize, or 'b', which it did.
    model: function that returns the model.
  """

  def __init__(self, pack: Pack, image: str, model: Callable[[], HTCModel]):
    self._arrays = pack.arrays(f'paddle_r50_{image}')
    self._is_complete = image == 'a'
    self._forward = Forward(model, self._inputs)
    self._box_head = functools.lru_cache(maxsize=1)(self._run_box_head)

  def _resized(self) -> np.ndarray:
    raw = self._arrays['raw_rgb']
    size = preprocess.scaled_size(raw.shape[:2], _MIN_SIZE, _MAX_SIZE)
    return preprocess.resize_image(tf.constant(raw), size).numpy()

  def _inputs(self) -> dict[str, np.ndarray]:
    """Inputs from the image that the reference resized; our resizing may differ by a gray level."""
    return network_input([self._arrays['resized_rgb']])

  def measurements(self) -> Iterator[Measurement]:
    """All measurements, from the resized image to the masks."""
    yield Measurement(
      'resized image: share of values off by more than a gray level',
      _GRAY_LEVEL_BAR,
      lambda: share_off_by_more_than_a_gray_level(self._resized(), self._arrays['resized_rgb']),
    )
    yield self._near('network input', lambda: self._inputs()['images'], 'input')
    yield from self._maps()
    yield Measurement(
      f'proposals: share not found within {_PROPOSAL_PX} px', _LOST_BAR, self._lost_proposals
    )
    for stage in range(3):
      yield from self._stage(stage)
    yield Measurement(
      'mean class probabilities from the stored proposals, largest difference',
      _PROBABILITY_BAR,
      self._probability_difference,
    )
    yield from self._masks_on_given_boxes()
    yield from self._detections()

  def _near(
    self,
    name: str,
    actual: Callable[[], np.ndarray],
    key: str,
    change: Callable[[np.ndarray], np.ndarray] = layout.channels_last,
  ) -> Measurement:
    return near(name, actual, lambda: change(self._arrays[key]))

  def _maps(self) -> Iterator[Measurement]:
    def levels() -> Levels:
      return self._forward.levels

    for kind, keys in (('backbone', _BACKBONE_KEYS), ('pyramid', _PYRAMID_KEYS)):
      for level, (key, step) in keys.items():
        if self._is_complete or key in _KEYS_OF_B:
          yield self._near(
            f'{key[0].upper()}{level}', functools.partial(self._map, kind, level, step), key
          )
    if self._is_complete:
      yield self._near('semantic logits', lambda: levels().semantic('logits'), 'semantic_logits')
    yield self._near('semantic embedding', lambda: levels().semantic('embedding'), 'semantic_feat')
    yield self._near('RPN logits of P4', lambda: levels().rpn_logits['4'], 'rpn_score_l2')
    yield self._near(
      'RPN deltas of P4',
      lambda: levels().rpn_deltas['4'],
      'rpn_delta_l2',
      lambda x: layout.yx(layout.channels_last(x)),
    )
    yield self._near(
      'anchors of P4',
      lambda: levels().anchors['4'],
      'anchors_l2',
      lambda x: layout.yx(x.reshape(-1, 4)),
    )

  def _map(self, kind: str, level: str, step: int) -> np.ndarray:
    levels = self._forward.levels
    maps = levels.backbone if kind == 'backbone' else levels.features.pyramid
    return maps[level][:, ::step, ::step]

  def _lost_proposals(self) -> float:
    reference = layout.yx(self._arrays['proposals'])
    return lost_share(self._forward.levels.proposals.boxes[0].numpy(), reference, _PROPOSAL_PX)

  def _run_box_head(self, stage: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    boxes = self._arrays[f'stage{stage}_rois']
    rois = np.concatenate([np.zeros([len(boxes), 1], np.float32), boxes], 1)
    given = roi_heads.GivenRois(self._forward.model, self._forward.levels.features, rois)
    return given.box_head(stage)

  def _stage(self, stage: int) -> Iterator[Measurement]:
    yield self._near(
      f'stage {stage} class logits on its 1000 RoIs',
      lambda: self._box_head(stage)[0],
      f'stage{stage}_scores',
      layout.background_first,
    )
    yield self._near(
      f'stage {stage} deltas on its 1000 RoIs',
      lambda: self._box_head(stage)[1],
      f'stage{stage}_deltas',
      layout.yx,
    )
    if stage < 2:
      yield Measurement(
        f'stage {stage} refined boxes, largest difference in px',
        _DECODED_PX_BAR,
        lambda: np.abs(
          self._box_head(stage)[2] - layout.yx(self._arrays[f'stage{stage + 1}_rois'])
        ).max(),
      )

  def _probability_difference(self) -> float:
    expected = layout.background_first(self._arrays['avg_scores'])
    boxes = tf.constant(layout.yx(self._arrays['proposals'])[np.newaxis])
    proposals = Proposals(boxes, tf.ones(boxes.shape[:2]), tf.ones(boxes.shape[:2], tf.bool))
    logits, _ = self._forward.model.cascade.classify(self._forward.levels.features, proposals)
    return np.abs(tf.nn.softmax(logits[0]).numpy() - expected).max()

  def _masks_on_given_boxes(self) -> Iterator[Measurement]:
    def probabilities() -> np.ndarray:
      # [num, 6] label, score, and box xyxy in input pixels
      detected = self._arrays['det_resized']
      boxes = tf.constant(layout.yx(detected[:, 2:])[np.newaxis])
      classes = tf.constant(detected[:, 0].astype(np.int32)[np.newaxis] + 1)
      return self._forward.model.cascade.segment(self._forward.levels.features, boxes, classes)[0]

    yield self._near(
      'mask probabilities on the stored detections, mean of the stages',
      probabilities,
      'mask_prob',
      lambda x: x,
    )

  def _detections(self) -> list[Measurement]:
    def ours() -> Detected:
      return self._forward.detected(0)

    return [
      *detection_measurements('detections', ours, self._reference),
      mask_measurement('masks, mean of the stages', ours, self._reference, self._pasted),
    ]

  def _reference(self) -> Detected:
    detected = self._arrays['det_resized']
    return Detected(layout.yx(detected[:, 2:]), detected[:, 1], detected[:, 0].astype(int) + 1)

  def _pasted(self) -> PastedMasks:
    masks = layout.unpacked_flat_masks(self._arrays['masks_packed'], self._arrays['masks_shape'])
    return PastedMasks(masks, self._arrays['scale_factor'].reshape(2))
