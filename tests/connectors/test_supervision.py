"""Tests of detections for supervision, whose annotators, filters and IoU are the oracle."""

import numpy as np
import pytest

sv = pytest.importorskip('supervision', reason='supervision is not installed: make test-connectors')
from htc_tf.connectors.supervision import to_detections  # noqa: E402
from htc_tf.errors import InputError  # noqa: E402
from tests.serving.outputs import detected  # noqa: E402


def test_detections_have_boxes_masks_scores_classes_and_names():
  image = detected.image()
  found = to_detections(image)
  assert isinstance(found, sv.Detections) and len(found) == 3
  np.testing.assert_array_equal(found.xyxy, [[10, 5, 30, 15], [2, 20, 50, 36], [20, 8, 34, 20]])
  np.testing.assert_array_equal(found.mask, detected.masks())
  np.testing.assert_allclose(found.confidence, [0.9, 0.8, 0.7], rtol=1e-6)
  assert found.class_id.tolist() == [0, 1, 0]
  assert found['class_name'].tolist() == ['cat', 'wild dog', 'cat']


def test_detections_work_in_supervision():
  image = detected.image()
  found = to_detections(image)
  dogs = found[found['class_name'] == 'wild dog']
  assert len(dogs) == 1 and dogs.area.tolist() == [detected.masks()[1].sum()]
  annotated = sv.MaskAnnotator().annotate(image.pixels.copy(), found)
  changed = (annotated != image.pixels).any(-1)
  assert not (changed & ~detected.masks().any(0)).any() and changed.any()
  assert len(found.with_nms(0.1, class_agnostic=True)) < 3


def test_detections_without_masks_and_without_objects():
  assert to_detections(detected.image(with_masks=False)).mask is None
  empty = to_detections(detected.image().filtered(1.0))
  assert len(empty) == 0 and empty.xyxy.shape == (0, 4)
  assert len(sv.Detections.merge([empty, to_detections(detected.image())])) == 3


def test_real_detections(predictor):
  pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
  (image,) = predictor.detect(pixels, 0)
  found = to_detections(image)
  assert len(found) == len(image) > 0
  assert found.mask.shape == (len(image), 40, 60)


@pytest.mark.parametrize(
  'given, name',
  [
    (iter([detected.image()]), 'list_iterator'),
    ([detected.image()], 'list'),
    ({'detection_boxes': np.zeros((1, 1, 4))}, 'dict'),
  ],
)
def test_what_is_not_one_image_is_an_error_that_shows_the_loop(given, name):
  with pytest.raises(InputError, match=rf'for image in model.detect.*Got: {name}'):
    to_detections(given)
