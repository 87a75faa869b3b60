"""Measurements of test-time augmentation against mmdetection 2.28.2.

The reference is `aug_test` of the HTC head and of the RPN of mmdetection 2.28.2, the last version
that averages masks over views, with the parts of mmdetection 3.3.0 and the weights of the pack. Its
views are one image at two scales, each plain and mirrored.
"""

import functools
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from htc_tf.data import preprocess
from htc_tf.modeling.multi_view import Fusion, detect_views
from htc_tf.modeling.views import views_of
from parity import layout
from parity.detections import Detected, detection_measurements, matched_rows
from parity.forward import build_model
from parity.measurement import Measurement
from parity.network_inputs import network_input
from parity.pack import Pack

FILE = 'mmdet_views_r50'
_CONFIG, _EXPERIMENT = 'htc_r50_fpn_1x_coco', 'htc_resnet50fpn_1x_coco'
_NUM_SCALES = 2
_MASK_BAR = 1e-3  # The reference is stored in float16.


class MmdetViews:
  """Measurements of the detections in several views.

  Args:
    pack: reference arrays.
  """

  def __init__(self, pack: Pack):
    self._pack = pack
    self._arrays = pack.arrays(FILE)

  def measurements(self) -> Iterator[Measurement]:
    """The measurements of boxes, scores and masks."""
    yield from detection_measurements(
      'detections in four views', lambda: self._ours, lambda: self._reference
    )
    yield Measurement(
      'masks averaged over views and stages, largest difference', _MASK_BAR, self._mask_difference
    )

  @functools.cached_property
  def _reference(self) -> Detected:
    boxes, labels = self._arrays['detections'], self._arrays['labels']
    return Detected(layout.yx(boxes[:, :4]), boxes[:, 4], labels + 1, self._arrays['masks'])

  @functools.cached_property
  def _ours(self) -> Detected:
    model = build_model(_EXPERIMENT, {}, lambda: self._pack.mmdet_state(_CONFIG))
    original_hw, scaled = self._arrays['original_hw'], []
    for number in range(_NUM_SCALES):
      rgb = self._arrays[f'image{number}_bgr'][..., ::-1]
      info = preprocess.image_info(original_hw, rgb.shape[:2])
      scaled.append((tf.constant(network_input([rgb])['images']), info[tf.newaxis]))
    found = detect_views(model, views_of(scaled, mirrors=True), Fusion())
    assert found.masks is not None, 'The model has masks.'
    count = int(found.num_detections[0])
    boxes, scores, classes, masks = (
      np.asarray(values[0, :count])
      for values in (found.boxes, found.scores, found.classes, found.masks)
    )
    return Detected(boxes, scores, classes, masks)

  def _mask_difference(self) -> float:
    ours, reference = self._ours, self._reference
    assert ours.masks is not None and reference.masks is not None, 'The model has masks.'
    rows = matched_rows(ours, reference)
    found = rows >= 0
    differences = np.abs(ours.masks[rows[found]] - reference.masks[found])
    return float(differences.max(initial=0.0))
