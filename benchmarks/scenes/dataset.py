"""The files of `scenes`: pictures, annotations in the format of COCO, and stuff maps."""

import json
import os
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from benchmarks.scenes import painting, textures
from htc_tf import files, progress
from htc_tf.errors import DataError, InputError

SPLITS = {'train': 400, 'val': 100, 'test': 100}
# Classes of the stuff maps in the order of their labels.
SEMANTIC_CLASSES = (*painting.CLASSES, *textures.STUFF)


def write(folder: str, seed: int = 0, numbers: dict[str, int] | None = None) -> None:
  """Write `SPLIT.json`, `SPLIT/*.png` and `SPLIT_stuff/*.png` of every split.

  A picture depends on the seed, its split and its number only, so that a part of the benchmark has
  the same pictures as the whole.

  Args:
    folder: output folder; it is created if missing.
    seed: seed of all random choices.
    numbers: number of pictures by split; `SPLITS` if not given.

  Raises:
    InputError: the seed is negative, or a split is unknown.
  """
  _check(seed, numbers or SPLITS)
  for split, number in (numbers or SPLITS).items():
    for name in (split, f'{split}_stuff'):
      os.makedirs(os.path.join(folder, name), exist_ok=True)
    scenes = {}
    for index in progress.track(range(number), description=split, unit='picture'):
      scene = _scene(seed, split, index)
      name = _file_name(index)
      Image.fromarray(scene.picture).save(os.path.join(folder, split, name))
      Image.fromarray(semantic_map(scene)).save(os.path.join(folder, f'{split}_stuff', name))
      scenes[name] = scene.things
    content = json.dumps(_coco_content(scenes)).encode('ascii')
    files.write_bytes(os.path.join(folder, f'{split}.json'), content)


def check(folder: str, split: str, seed: int = 0) -> None:
  """Compare the first picture of a split with the one that is painted now.

  Raises:
    DataError: it differs, as after a change of the benchmark, or cannot be read.
  """
  path = os.path.join(folder, split, _file_name(0))
  try:
    with Image.open(path) as image:
      found = np.asarray(image)
  except OSError:
    found = np.zeros([0])
  if not np.array_equal(found, _scene(seed, split, 0).picture):
    raise DataError(
      f'{path} is not a picture of this version of scenes, and one table cannot mix them',
      expected=f'the picture that python -m benchmarks.scenes --seed={seed} paints',
      got='another picture' if found.size else 'no picture',
      likely_cause='a folder of an earlier version; take another one, or delete it with its runs',
    )


def _scene(seed: int, split: str, index: int) -> painting.Scene:
  return painting.paint(np.random.default_rng([seed, list(SPLITS).index(split), index]))


def _file_name(index: int) -> str:
  return f'{index:04}.png'


def _check(seed: int, numbers: dict[str, int]) -> None:
  if seed < 0:
    raise InputError('The seed is out of range', expected='0 or more', got=str(seed))
  if unknown := [split for split in numbers if split not in SPLITS]:
    raise InputError(
      'A split is unknown', expected=' or '.join(SPLITS), got=', '.join(map(repr, unknown))
    )


def semantic_map(scene: painting.Scene) -> np.ndarray:
  """[SIDE, SIDE] uint8 index in `SEMANTIC_CLASSES` of the thing or stuff at each pixel."""
  labels = (len(painting.CLASSES) + scene.ground).astype(np.uint8)
  for thing in scene.things:
    labels[thing.mask] = painting.CLASSES.index(thing.class_name)
  return labels


def _coco_content(scenes: dict[str, list[painting.Thing]]) -> dict[str, Any]:
  images: list[dict[str, Any]] = []
  annotations: list[dict[str, Any]] = []
  side = painting.SIDE
  for image_id, (name, things) in enumerate(scenes.items(), 1):
    images.append({'id': image_id, 'file_name': name, 'height': side, 'width': side})
    for thing in things:
      runs = coco_mask.encode(np.asfortranarray(thing.mask, np.uint8))
      annotations.append(
        {
          'id': len(annotations) + 1,
          'image_id': image_id,
          'category_id': painting.CLASSES.index(thing.class_name) + 1,
          'bbox': coco_mask.toBbox(runs).tolist(),
          'area': int(thing.mask.sum()),
          'iscrowd': 0,
          'segmentation': {'size': runs['size'], 'counts': runs['counts'].decode('ascii')},
        }
      )
  categories = [{'id': id_, 'name': name} for id_, name in enumerate(painting.CLASSES, 1)]
  return {'images': images, 'annotations': annotations, 'categories': categories}
