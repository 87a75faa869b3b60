"""Tests of reading instances from outputs of every format."""

import numpy as np
import pytest

from htc_tf.errors import InputError
from htc_tf.evaluation import mask_paste
from htc_tf.serving.export_format import ExportFormat
from htc_tf.serving.instances import read_outputs

_HW = (30, 21)
_BOXES = np.array([[2, 3, 20, 15], [0, 0, 30, 21], [0, 0, 0, 0]], np.float32)
_PROBS = np.random.default_rng(0).uniform(0, 1, (3, 28, 28)).astype(np.float32)


def _outputs(boxes, masks, count=2):
  return {
    'detection_boxes': boxes[None],
    'detection_scores': np.array([[0.9, 0.5, 0]]),
    'detection_classes': np.array([[2, 1, 0]]),
    'num_detections': np.array([count]),
    'detection_masks': masks[None],
  }


def _padded_for_a_larger_image(masks):
  return np.pad(masks.astype(np.uint8), [(0, 0), (0, 5), (0, 9)])


def test_every_form_gives_the_same_instances():
  full = mask_paste.paste_masks(_PROBS, _BOXES, _HW)
  normalized = _BOXES / np.tile(np.array(_HW, np.float32), 2)
  padded = _padded_for_a_larger_image(full)
  expected = mask_paste.encode_masks(_PROBS[:2], _BOXES[:2], _HW)
  for boxes, masks, form in (
    (_BOXES, _PROBS, ExportFormat()),
    (normalized, padded, ExportFormat('normalized', 'full')),
    (_BOXES, np.packbits(padded, axis=-1), ExportFormat('pixels', 'packed')),
  ):
    found = read_outputs(_outputs(boxes, masks), 0, _HW, form)
    assert found.rles == expected, form
    np.testing.assert_allclose(found.boxes, _BOXES[:2], atol=1e-5)
    assert found.classes.tolist() == [2, 1]
    np.testing.assert_allclose(found.scores, [0.9, 0.5])


def test_no_detections_give_no_instances():
  found = read_outputs(_outputs(_BOXES, _PROBS, count=0), 0, _HW, ExportFormat())
  assert found.boxes.shape == (0, 4) and found.rles == []


def test_without_masks_there_are_no_encodings():
  outputs = _outputs(_BOXES, _PROBS)
  del outputs['detection_masks']
  assert read_outputs(outputs, 0, _HW, ExportFormat()).rles is None


@pytest.mark.parametrize(
  'masks, form',
  [
    (_PROBS, 'full'),
    (_PROBS, 'packed'),
    (np.ones((3, 30, 21), np.uint8), 'cropped'),
    (np.ones((3, 30, 3), np.uint8), 'full'),
    (np.ones((3, 29, 3), np.uint8), 'packed'),
  ],
)
def test_masks_of_another_form_are_rejected(masks, form):
  with pytest.raises(InputError, match=r'export.json'):
    read_outputs(_outputs(_BOXES, masks), 0, _HW, ExportFormat(masks=form))
