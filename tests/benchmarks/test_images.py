"""Tests of the picture files that both sides read."""

import json

import cv2
import numpy as np

from benchmarks import images, scene

_FRAME = scene.SceneSizes.parse('64x96')


def test_pictures_annotations_and_stuff_maps_belong_together():
  folder = images.write(_FRAME, 3)
  content = json.loads(folder.annotations.read_text())
  assert len(content['images']) == 3 and len(content['annotations']) == 21
  seen = []
  for image in content['images']:
    picture = cv2.imread(str(folder.images / image['file_name']))
    stuff = cv2.imread(
      str(folder.stuff / image['file_name'].replace('.jpg', '.png')), cv2.IMREAD_UNCHANGED
    )
    assert picture.shape == (*_FRAME.original, 3) and picture.std() > 10
    assert (image['height'], image['width']) == stuff.shape == _FRAME.original
    assert stuff.dtype == np.uint8 and stuff.max() < 183
    seen.append(picture)
  assert not np.array_equal(seen[0], seen[1])
