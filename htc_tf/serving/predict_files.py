"""Prediction on image files, which writes overlays and COCO JSON."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tqdm
from absl import logging

from htc_tf import file_systems, files
from htc_tf.data import images as image_files
from htc_tf.data.images import SourceImage
from htc_tf.errors import InputError
from htc_tf.evaluation import coco_results
from htc_tf.serving.instances import Instances
from htc_tf.visualization import draw, panels

_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.gif', '.webp', '.tif', '.tiff')


class Detector(NamedTuple):
  """A model for images, on this machine or on a server.

  Attributes:
    detect: function from images to the instances of each, or to an InputError if the model could
      not read the image.
    category_names: names by class; entry 0 is class 1. Empty if unknown.
    category_ids: category ids of the data set, in the order of `category_names`.
  """

  detect: Callable[[Sequence[SourceImage]], Sequence[Instances | InputError]]
  category_names: Sequence[str]
  category_ids: Sequence[int]


def list_images(inputs: Sequence[str]) -> list[str]:
  """The given files, and the images in each given folder, sorted.

  Raises:
    InputError: an input does not exist, or there are no images.
  """
  paths = []
  for item in inputs:
    file_systems.check_local(item, 'inputs (an image or a folder of images)')
    if os.path.isdir(item):
      names = sorted(name for name in os.listdir(item) if name.lower().endswith(_SUFFIXES))
      paths += [os.path.join(item, name) for name in names]
    elif os.path.exists(item):
      paths.append(item)
    else:
      raise InputError(
        f'{item} does not exist',
        expected='an image or a folder',
        got='neither',
        likely_cause='a misspelled path',
      )
  if not paths:
    raise InputError(
      'There are no images',
      expected=f'files with one of the suffixes {", ".join(_SUFFIXES)}',
      got=f'none in {list(inputs)}',
    )
  return paths


def read_image(path: str) -> SourceImage:
  """The image in a file, turned upright by its EXIF orientation.

  Raises:
    InputError: the file is empty, is no image, or has more than `images.MAX_PIXELS` pixels.
  """
  try:
    image = image_files.read_image(path)
    image.pixels()  # Raises for pixels without an 8-bit meaning.
    return image
  except (image_files.UnreadableImageError, OSError) as error:
    raise InputError(f'{path} cannot be read: {error}') from error


def detect_instances(detector: Detector, pixels: np.ndarray) -> Instances:
  """Detections in one image, with masks at the size of the image.

  Args:
    detector: the model.
    pixels: [height, width, 3] uint8 RGB.

  Raises:
    InputError: the model could not read the image.
  """
  (found,) = detector.detect([image_files.image_from_pixels(pixels)])
  if isinstance(found, InputError):
    raise found
  return found


def draw_detections(
  pixels: np.ndarray, instances: Instances, names: Sequence[str], score_threshold: float
) -> np.ndarray:
  """The image, enlarged if small, with the instances drawn over it.

  Args:
    pixels: [height, width, 3] uint8 RGB.
    instances: detections in the pixels of the image.
    names: names of the classes, class 1 first; if empty, `class 1`, `class 2`, ... are used.
    score_threshold: instances with a lower score are not drawn.

  Returns:
    [height, width, 3] uint8 RGB, both sides times `draw.legible_enlargement`.
  """
  shown = np.flatnonzero(instances.scores >= score_threshold)
  num_labels = int(instances.classes.max(initial=1))
  names = names or [f'class {label}' for label in range(1, num_labels + 1)]
  rles = None if instances.rles is None else [instances.rles[index] for index in shown]
  return draw.draw_instances(
    pixels,
    instances.boxes[shown],
    rles,
    instances.classes[shown],
    instances.scores[shown],
    names,
    enlarge=draw.legible_enlargement(pixels.shape[:2]),
  )


def predict_files(
  detector: Detector,
  paths: Sequence[str],
  output: str,
  score_threshold: float = 0.3,
  batch_size: int = 1,
) -> list[str]:
  """Predict on files; write `<name>.png` for each, `predictions.json` and `images.json`.

  The two JSON files are a COCO results file, and a COCO data set of images and categories without
  annotations: `COCO('images.json').loadRes('predictions.json')` reads them. If the names of all
  files are different numbers, as in COCO, these numbers are the image ids.

  Args:
    detector: the model.
    paths: image files.
    output: output folder; it is created if missing.
    score_threshold: smallest score of a drawn instance.
    batch_size: number of images per call of the detector.

  Returns:
    Paths that could not be read; each is logged.

  Raises:
    InputError: the threshold, batch size or folder cannot be used, or the folder holds an image.
  """
  _check_options(output, score_threshold, batch_size)
  _protect_inputs(paths, output)
  os.makedirs(output, exist_ok=True)
  entries: list[dict[str, Any]] = []
  results: list[dict[str, Any]] = []
  failed = []
  ids, overlays = _image_ids(paths), _overlay_names(paths)
  for path, detected in _detect_all(detector, paths, batch_size):
    if isinstance(detected, InputError):
      logging.error('%s', detected)
      failed.append(path)
      continue
    image, found = detected
    overlay = draw_detections(image.pixels(), found, detector.category_names, score_threshold)
    panels.write_image(os.path.join(output, overlays[path]), overlay)
    results += _results(detector, ids[path], found)
    height, width = image.size
    name = os.path.basename(path)
    entries.append({'id': ids[path], 'file_name': name, 'height': height, 'width': width})
  _write_json(output, detector, entries, results)
  return failed


def _results(detector: Detector, image_id: int, found: Instances) -> list[dict[str, Any]]:
  """COCO results of one image."""
  category_ids = detector.category_ids or range(1, int(found.classes.max(initial=1)) + 1)
  return coco_results.instances_to_results(
    image_id, found.boxes, found.scores, found.classes, found.rles, list(category_ids)
  )


def _write_json(
  output: str, detector: Detector, entries: list[dict[str, Any]], results: list[dict[str, Any]]
) -> None:
  categories = [
    {'id': id_, 'name': name} for id_, name in zip(detector.category_ids, detector.category_names)
  ]
  coco_results.write_results(os.path.join(output, 'predictions.json'), results)
  content = {'images': entries, 'annotations': [], 'categories': categories}
  files.write_bytes(os.path.join(output, 'images.json'), json.dumps(content).encode())


def _check_options(output: str, score_threshold: float, batch_size: int) -> None:
  file_systems.check_local(output, 'The output folder (--output)')
  if not 0 <= score_threshold <= 1:
    raise InputError(
      'The score threshold is out of range',
      expected='a number from 0 to 1',
      got=str(score_threshold),
      likely_cause='a percentage',
    )
  if batch_size < 1:
    raise InputError('The batch size is out of range', expected='1 or more', got=str(batch_size))
  if os.path.exists(output) and not os.path.isdir(output):
    raise InputError(
      f'{output} is not a folder',
      expected='a folder, new or existing',
      got='a file',
      likely_cause='the name of one overlay instead of the folder for all of them',
    )


def _protect_inputs(paths: Sequence[str], output: str) -> None:
  """Raise InputError if an image lies in the output folder, where an overlay could replace it."""
  folder = os.path.realpath(output)
  inside = [path for path in paths if os.path.realpath(os.path.dirname(path) or '.') == folder]
  if inside:
    raise InputError(
      f'The output folder {output} holds images to predict on',
      expected='another folder, so that no overlay replaces an image',
      got=f'{len(inside)} images in it, such as {inside[0]}',
      likely_cause='the folder of the images as --output, or overlays of an earlier run as inputs',
    )


def _detect_all(
  detector: Detector, paths: Sequence[str], batch_size: int
) -> Iterator[tuple[str, tuple[SourceImage, Instances] | InputError]]:
  """Path of each file in order, with image and instances, or with the error of an unread image."""
  with tqdm.tqdm(total=len(paths), desc='predicting', unit='image') as progress:
    for start in range(0, len(paths), batch_size):
      batch = [_read_or_error(path) for path in paths[start : start + batch_size]]
      readable = [item for item in batch if isinstance(item, SourceImage)]
      found = iter(detector.detect(readable) if readable else [])
      for path, item in zip(paths[start:], batch):
        if isinstance(item, SourceImage):
          instances = next(found)
          yield path, instances if isinstance(instances, InputError) else (item, instances)
        else:
          yield path, item
        progress.update()


def _read_or_error(path: str) -> SourceImage | InputError:
  """The image, or the error if it cannot be read."""
  try:
    return read_image(path)
  except InputError as error:
    return error


def _image_ids(paths: Sequence[str]) -> dict[str, int]:
  """Image id by path: the number in the name if all names are distinct numbers, else 1, 2, ..."""
  stems = [os.path.splitext(os.path.basename(path))[0] for path in paths]
  numbers = [int(stem) for stem in stems if stem.isdecimal()]
  if len(set(numbers)) == len(paths):
    return dict(zip(paths, numbers))
  return {path: index for index, path in enumerate(paths, 1)}


def _overlay_names(paths: Sequence[str]) -> dict[str, str]:
  """`<stem>.png` by path; repeated stems get a number and keep their suffix."""
  names: dict[str, str] = {}
  taken: set[str] = set()
  for path in paths:
    stem, suffix = os.path.splitext(os.path.basename(path))
    name, number = f'{stem}.png', 1
    while name in taken:
      number += 1
      name = f'{stem}_{number}{suffix.replace(".", "_")}.png'
    taken.add(name)
    names[path] = name
  return names
