"""Tests of detection in batches: images of one size that follow each other, and no others."""

import numpy as np

from htc_tf.data.images import image_from_pixels
from htc_tf.serving.batch_detection import in_batches
from htc_tf.serving.export_format import ExportFormat


def _outputs(pixels):
  """One object in each image, whose score is the first sample of the image."""
  batch = len(pixels)
  return {
    'detection_boxes': np.tile(np.float32([[0, 0, 4, 6]]), (batch, 1, 1)),
    'detection_scores': pixels[:, :1, 0, 0].astype(np.float32) / 100,
    'detection_classes': np.ones((batch, 1), np.int32),
    'num_detections': np.ones(batch, np.int32),
    'detection_masks': np.ones((batch, 1, 28, 28), np.float32),
  }


def test_images_of_one_size_that_follow_each_other_are_one_batch():
  shapes = []

  def run(pixels):
    shapes.append(pixels.shape)
    return _outputs(pixels)

  sizes = [(20, 30), (20, 30), (30, 20), (20, 30)]
  images = [
    image_from_pixels(np.full((*size, 3), 10 * number, np.uint8))
    for number, size in enumerate(sizes, 1)
  ]
  found = in_batches(run, ExportFormat())(images)
  assert shapes == [(2, 20, 30, 3), (1, 30, 20, 3), (1, 20, 30, 3)]
  np.testing.assert_allclose([each.scores[0] for each in found], [0.1, 0.2, 0.3, 0.4])
  assert [tuple(each.rles[0]['size']) for each in found] == sizes


def test_no_images_need_no_model():
  assert in_batches(lambda _: 1 / 0, ExportFormat())([]) == []
