"""Tests of the image files that both sides of the benchmark read."""

import json

import cv2
import numpy as np

from benchmarks import images, scene

_SIZES = scene.SceneSizes.parse('64x96')


def test_images_annotations_and_stuff_maps_belong_together():
  folder = images.write(_SIZES, 3)
  content = json.loads(folder.annotations.read_text())
  assert len(content['images']) == 3 and len(content['annotations']) == 21
  seen = []
  for image in content['images']:
    pixels = cv2.imread(str(folder.images / image['file_name']))
    stuff = cv2.imread(
      str(folder.stuff / image['file_name'].replace('.jpg', '.png')), cv2.IMREAD_UNCHANGED
    )
    assert pixels.shape == (*_SIZES.original, 3) and pixels.std() > 10
    assert (image['height'], image['width']) == stuff.shape == _SIZES.original
    assert stuff.dtype == np.uint8 and stuff.max() < 183
    seen.append(pixels)
  assert not np.array_equal(seen[0], seen[1])
