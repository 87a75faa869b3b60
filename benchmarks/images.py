"""Image files with COCO annotations and stuff maps that both sides of the benchmark read.

This module needs only NumPy and OpenCV, because the environment of the peer imports it too.
"""

import atexit
import json
import pathlib
import shutil
import tempfile
from typing import NamedTuple

import cv2
import numpy as np

from benchmarks import scene

_BLOCK = 40  # side of a square of one semantic label, in pixels


class Folder(NamedTuple):
  """Paths of the written files.

  Attributes:
    annotations: COCO JSON file of the instances.
    images: folder of JPEG files.
    stuff: folder of PNG files with the same names.
  """

  annotations: pathlib.Path
  images: pathlib.Path
  stuff: pathlib.Path


def write(sizes: scene.SceneSizes, num: int) -> Folder:
  """Write images of size `sizes.original`, with seven objects each.

  Args:
    sizes: sizes of the images.
    num: number of images.

  Returns:
    A new temporary folder, removed when this process ends.
  """
  root = pathlib.Path(tempfile.mkdtemp(prefix='htc_tf-'))
  atexit.register(shutil.rmtree, root)
  folder = Folder(root / 'annotations.json', root / 'images', root / 'stuff')
  folder.images.mkdir()
  folder.stuff.mkdir()
  content = scene.annotations(sizes, num)
  folder.annotations.write_text(json.dumps(content), encoding='utf-8')
  height, width = sizes.image
  network = scene.network_input(sizes)[:height, :width]
  pixels = np.clip(60 * network + 115, 0, 255).astype(np.uint8)
  pixels = cv2.resize(pixels, sizes.original[::-1])
  rows, columns = (np.arange(side) // _BLOCK for side in sizes.original)
  stuff = (rows[:, np.newaxis] * 31 + columns * 13) % 183
  for index, image in enumerate(content['images']):
    name = pathlib.Path(image['file_name'])
    cv2.imwrite(str(folder.images / name), np.roll(pixels, 7 * index, axis=(0, 1)))
    labels = np.roll(stuff, index, axis=1).astype(np.uint8)
    cv2.imwrite(str(folder.stuff / name.with_suffix('.png')), labels)
  return folder
