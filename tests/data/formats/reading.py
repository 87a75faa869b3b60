"""Helpers of the tests of readers: pictures of 40x50 pixels and bitmaps of their objects."""

import numpy as np
from PIL import Image

from htc_tf.data import coco_annotations, segmentation
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.data.formats import registry

SIZE_HW = (40, 50)
SQUARE = [[10, 5], [20, 5], [20, 15], [10, 15]]


def read(path, **options):
  return registry.read(ConversionOptions(str(path), '', str(path) + '_records', **options))


def bitmaps_of(source):
  """Name of the class and bitmap of each object."""
  cleaned = coco_annotations.clean_content(source.content, 'x', source.report)
  names = {entry['id']: entry['name'] for entry in cleaned.categories}
  sizes = {image['id']: (image['height'], image['width']) for image in cleaned.images}
  return [
    (names[entry['category_id']], segmentation.to_bitmap(entry['segmentation'], *sizes[image]))
    for image, entries in cleaned.annotations.items()
    for entry in entries
  ]


def write_image(folder, name='a.png', size=SIZE_HW):
  folder.mkdir(parents=True, exist_ok=True)
  Image.fromarray(np.zeros([*size, 3], np.uint8)).save(folder / name)


def square(top=5, bottom=15, left=10, right=20):
  bitmap = np.zeros(SIZE_HW, np.uint8)
  bitmap[top:bottom, left:right] = 1
  return bitmap


def disk(radius_x, radius_y, x=25, y=20):
  """Pixels whose center is inside an ellipse."""
  rows, columns = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]] + 0.5
  return ((columns - x) / radius_x) ** 2 + ((rows - y) / radius_y) ** 2 <= 1
