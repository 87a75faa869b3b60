"""The demo data set: a real microscopy image, called the field, cut into tiles in COCO format.

The training tiles are cut from columns 0-383 of the field and may overlap. The validation tiles are
cut from columns 384-511 and do not overlap.
"""

import importlib.resources
import io
import json
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from htc_tf import file_systems, files
from htc_tf.data import images as image_files
from htc_tf.data import mask_codec
from htc_tf.errors import InputError

_TRAIN_COLUMNS = slice(0, 384)
_VALIDATION_COLUMNS = slice(384, 512)
_CATEGORY = {'id': 1, 'name': 'nucleus', 'supercategory': 'cell'}
_INFO = {
  'description': 'Tiles of a field of the 2018 Data Science Bowl (BBBC038v1)',
  'version': '1.0',
}
_LICENSE = {'id': 1, 'name': 'CC0 1.0', 'url': 'https://creativecommons.org/publicdomain/zero/1.0/'}


class CocoSplit(NamedTuple):
  """Image folder and annotation file of the training or validation set."""

  image_folder: str
  annotation_file: str


class _Tile(NamedTuple):
  file_name: str
  image: np.ndarray  # [size, size, 3] uint8
  instances: np.ndarray  # [size, size] int, 0 is background


def write_nuclei_coco(
  output_folder: str, tile_size: int = 128, train_stride: int = 64, min_visible: float = 0.25
) -> dict[str, CocoSplit]:
  """Write the training and the validation set; files that are already up to date are not touched.

  Each of the three channels is sqrt(255 * gray value). This makes dim nuclei brighter (three
  quarters of the pixels are below 38 of 255) and, unlike a linear stretch, clips nothing. Masks are
  stored exactly, as compressed run lengths.

  Args:
    output_folder: folder for train/, train.json, val/ and val.json.
    tile_size: side of the square tiles in pixels.
    train_stride: distance between training tiles; if it is less than tile_size, they overlap.
    min_visible: smallest visible share of a nucleus, 0..1, that counts as an instance in a training
      tile. A smaller part is marked `iscrowd`: it is neither an instance nor background. In
      validation tiles every part is an instance.

  Returns:
    The splits 'train' and 'val'.

  Raises:
    InputError: the tiles do not fit into the field, or the folder is remote.
  """
  file_systems.check_local(output_folder, 'output_folder')
  if not 1 <= tile_size <= 128 or not 1 <= train_stride <= tile_size:
    raise InputError(
      'The tiles do not fit into the field',
      expected='tile_size 1..128, train_stride 1..tile_size',
      got=f'tile_size={tile_size}, train_stride={train_stride}',
    )
  image, instances = load_field()
  areas = np.bincount(instances[:, _TRAIN_COLUMNS].ravel())
  train = _cut(image[:, _TRAIN_COLUMNS], instances[:, _TRAIN_COLUMNS], tile_size, train_stride)
  validation = _cut(
    image[:, _VALIDATION_COLUMNS], instances[:, _VALIDATION_COLUMNS], tile_size, tile_size
  )
  return {
    'train': _write_split(output_folder, 'train', list(train), areas * min_visible),
    'val': _write_split(output_folder, 'val', list(validation), np.zeros(instances.max() + 1)),
  }


def load_field() -> tuple[np.ndarray, np.ndarray]:
  """The field: image [512, 512, 3] uint8, instance numbers [512, 512] int64, 0 is background."""
  gray = _read('image.png').astype(np.float64)
  image = np.round(np.sqrt(gray * 255)).astype(np.uint8)
  return np.repeat(image[:, :, np.newaxis], 3, axis=2), _read('instances.png').astype(np.int64)


def _read(name: str) -> np.ndarray:
  content = importlib.resources.files('htc_tf.data').joinpath('nuclei', name).read_bytes()
  return np.asarray(Image.open(io.BytesIO(content)))


def _cut(image: np.ndarray, instances: np.ndarray, size: int, stride: int) -> Iterator[_Tile]:
  height, width = instances.shape
  for top in range(0, height - size + 1, stride):
    for left in range(0, width - size + 1, stride):
      rows, columns = slice(top, top + size), slice(left, left + size)
      yield _Tile(f'y{top:03d}_x{left:03d}.png', image[rows, columns], instances[rows, columns])


def _write_split(
  output_folder: str, split: str, tiles: list[_Tile], min_areas: np.ndarray
) -> CocoSplit:
  folder = os.path.join(output_folder, split)
  os.makedirs(folder, exist_ok=True)
  images: list[dict[str, Any]] = []
  annotations: list[dict[str, Any]] = []
  for image_id, tile in enumerate(tiles, start=1):
    files.write_bytes(os.path.join(folder, tile.file_name), image_files.encode_png(tile.image))
    height, width = tile.instances.shape
    images.append(
      {'id': image_id, 'file_name': tile.file_name, 'height': height, 'width': width, 'license': 1}
    )
    annotations.extend(_annotations(tile, image_id, len(annotations) + 1, min_areas))
  content = {
    'info': _INFO,
    'licenses': [_LICENSE],
    'images': images,
    'annotations': annotations,
    'categories': [_CATEGORY],
  }
  annotation_file = os.path.join(output_folder, f'{split}.json')
  files.write_bytes(annotation_file, json.dumps(content).encode())
  return CocoSplit(folder, annotation_file)


def _annotations(
  tile: _Tile, image_id: int, first_id: int, min_areas: np.ndarray
) -> list[dict[str, Any]]:
  """COCO annotations of the nuclei in a tile.

  Args:
    tile: the tile.
    image_id: id of the tile's image.
    first_id: id of the first annotation.
    min_areas: smallest area in pixels by number of the nucleus; smaller parts are crowds.
  """
  numbers = np.unique(tile.instances)
  annotations = []
  for annotation_id, number in enumerate(numbers[numbers > 0], start=first_id):
    rle = mask_codec.encode(tile.instances == number)
    area = int(coco_mask.area(rle))
    annotations.append(
      {
        'id': annotation_id,
        'image_id': image_id,
        'category_id': _CATEGORY['id'],
        'area': area,
        'bbox': coco_mask.toBbox(rle).tolist(),
        'iscrowd': int(area < min_areas[number]),
        'segmentation': rle,
      }
    )
  return annotations
