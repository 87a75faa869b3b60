"""Stuff maps for conversions, and checks of conversions that are refused."""

import numpy as np
import pytest
from PIL import Image

from htc_tf.errors import DataError


def write_stuff_maps(coco, low=0, high=183):
  folder = coco.root / 'stuff'
  folder.mkdir()
  rng = np.random.default_rng(5)
  for image in coco.content['images']:
    labels = rng.integers(low, high, [image['height'], image['width']]).astype(np.uint8)
    Image.fromarray(labels).save(folder / f'{image["id"]}.png')
  return folder


def check_fails(coco, message, **options):
  with pytest.raises(DataError, match=message):
    coco.convert(**options)


def nothing_is_written(coco):
  return not coco.output.exists() or not list(coco.output.iterdir())
