"""Pictures in files to overlays and COCO JSON."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tqdm
from absl import logging
from PIL import ImageOps

from htc_tf import files
from htc_tf.data import pixel_limit
from htc_tf.errors import DataError, InputError
from htc_tf.evaluation import coco_results
from htc_tf.serving.instances import Instances
from htc_tf.visualization import draw, panels

_ENDINGS = ('.jpg', '.jpeg', '.png', '.bmp', '.gif', '.webp', '.tif', '.tiff')
_UNREADABLE = (OSError, SyntaxError, ValueError)


class Picture(NamedTuple):
  """A picture to detect in.

  Attributes:
    pixels: [height, width, 3] uint8 RGB, upright.
    path: the file it was read from; None if there is none.
  """

  pixels: np.ndarray
  path: str | None = None


class Detector(NamedTuple):
  """A model to run on pictures, here or on a server.

  Attributes:
    detect: from pictures, as many as there are, to the instances of each; an InputError in their
      place where the model could not read the picture.
    category_names: by class; entry 0 is class 1. Empty if unknown.
    category_ids: likewise, as the annotations number them.
  """

  detect: Callable[[Sequence[Picture]], Sequence[Instances | InputError]]
  category_names: Sequence[str]
  category_ids: Sequence[int]


def list_pictures(inputs: Sequence[str]) -> list[str]:
  """Files as they are, and the pictures in each folder, sorted.

  Raises:
    InputError: an input that does not exist, or nothing found.
  """
  paths = []
  for item in inputs:
    if os.path.isdir(item):
      names = sorted(n for n in os.listdir(item) if n.lower().endswith(_ENDINGS))
      paths += [os.path.join(item, name) for name in names]
    elif os.path.exists(item):
      paths.append(item)
    else:
      raise InputError(
        f'There is no {item}',
        expected='a picture or a folder',
        got='nothing',
        likely_cause='a misspelt path',
      )
  if not paths:
    raise InputError(
      'There is nothing to predict on',
      expected=f'files ending in {_ENDINGS}',
      got=f'none in {list(inputs)}',
    )
  return paths


def read_picture(path: str) -> np.ndarray:
  """Reads a picture as [height, width, 3] uint8 RGB, turned upright by its EXIF orientation.

  Raises:
    InputError: empty file, no picture, or one of more than `pixel_limit.MAX_PIXELS` pixels, which
      is not decoded.
  """
  if os.path.getsize(path) == 0:
    raise InputError(
      f'{path} cannot be read',
      expected='a picture',
      got='an empty file',
      likely_cause='an interrupted copy',
    )
  try:
    with pixel_limit.open_picture(path) as image:
      return np.asarray(ImageOps.exif_transpose(image).convert('RGB'))
  except DataError as error:
    raise InputError(f'{path} is not read: {error}') from error
  except _UNREADABLE as error:
    raise InputError(
      f'{path} cannot be read',
      expected='a picture',
      got=str(error),
      likely_cause='a file of another type, or a truncated one',
    ) from error


def detect_instances(detector: Detector, picture: np.ndarray) -> Instances:
  """Detections of one [height, width, 3] uint8 picture, masks at its full size.

  Raises:
    InputError: the model could not read the picture.
  """
  (found,) = detector.detect([Picture(picture)])
  if isinstance(found, InputError):
    raise found
  return found


def draw_detections(
  picture: np.ndarray, instances: Instances, names: Sequence[str], score_threshold: float
) -> np.ndarray:
  """The picture, enlarged if small, under the instances from a score on.

  Args:
    picture: [height, width, 3] uint8 RGB.
    instances: in its pixels.
    names: of the classes, the first foreground class first; empty: `class 1`, `class 2`, ...
    score_threshold: instances of a lower score are not drawn.

  Returns:
    [height, width, 3] uint8 RGB, both sides times `draw.legible_enlargement`.
  """
  shown = np.flatnonzero(instances.scores >= score_threshold)
  num_labels = int(instances.classes.max(initial=1))
  names = names or [f'class {label}' for label in range(1, num_labels + 1)]
  rles = None if instances.rles is None else [instances.rles[index] for index in shown]
  return draw.draw_instances(
    picture,
    instances.boxes[shown],
    rles,
    instances.classes[shown],
    instances.scores[shown],
    names,
    enlarge=draw.legible_enlargement(picture.shape[:2]),
  )


def predict_files(
  detector: Detector,
  paths: Sequence[str],
  output: str,
  score_threshold: float = 0.3,
  batch_size: int = 1,
) -> list[str]:
  """Predicts on files; writes `<name>.png` each, `predictions.json` and `images.json`.

  The two JSON files are a COCO results file and a COCO data set of the pictures and categories
  without annotations: `COCO('images.json').loadRes('predictions.json')` reads them. A picture whose
  name is a number, as COCO's, has it as its image id.

  Args:
    detector: the model.
    paths: pictures.
    output: folder, made if missing.
    score_threshold: least score drawn.
    batch_size: pictures handed to the detector at once.

  Returns:
    Paths that could not be read; each is logged.

  Raises:
    InputError: a threshold, batch size or folder that cannot be used.
  """
  _check_options(output, score_threshold, batch_size)
  os.makedirs(output, exist_ok=True)
  images, results, failed = [], [], []
  ids = _image_ids(paths)
  overlays = _overlay_names(paths)
  for path, picture, found in _detect_all(detector, paths, batch_size):
    if isinstance(found, InputError):
      logging.error('%s', found)
      failed.append(path)
      continue
    panels.write_image(
      os.path.join(output, overlays[path]),
      draw_detections(picture, found, detector.category_names, score_threshold),
    )
    category_ids = detector.category_ids or range(1, int(found.classes.max(initial=1)) + 1)
    results += coco_results.instances_to_results(
      ids[path], found.boxes, found.scores, found.classes, found.rles, list(category_ids)
    )
    images.append(
      {
        'id': ids[path],
        'file_name': os.path.basename(path),
        'height': picture.shape[0],
        'width': picture.shape[1],
      }
    )
  categories = [
    {'id': id_, 'name': name} for id_, name in zip(detector.category_ids, detector.category_names)
  ]
  coco_results.write_results(os.path.join(output, 'predictions.json'), results)
  files.write_bytes(
    os.path.join(output, 'images.json'),
    json.dumps({'images': images, 'annotations': [], 'categories': categories}).encode(),
  )
  return failed


def _check_options(output: str, score_threshold: float, batch_size: int) -> None:
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
      f'{output} cannot be written to',
      expected='a folder, new or not',
      got='a file',
      likely_cause='the name of one overlay in place of their folder',
    )


def _detect_all(
  detector: Detector, paths: Sequence[str], batch_size: int
) -> Iterator[tuple[str, np.ndarray | None, Instances | InputError]]:
  """Yields path, pixels and instances of each picture, or in their place the error, in order."""
  with tqdm.tqdm(total=len(paths), desc='predicting', unit='image') as progress:
    for start in range(0, len(paths), batch_size):
      batch = [_read_or_error(path) for path in paths[start : start + batch_size]]
      pictures = [item for item in batch if isinstance(item, Picture)]
      found = iter(detector.detect(pictures) if pictures else [])
      for path, item in zip(paths[start:], batch):
        if isinstance(item, Picture):
          yield path, item.pixels, next(found)
        else:
          yield path, None, item
        progress.update()


def _read_or_error(path: str) -> Picture | InputError:
  """The picture, or why it cannot be read."""
  try:
    return Picture(read_picture(path), path)
  except InputError as error:
    return error


def _image_ids(paths: Sequence[str]) -> dict[str, int]:
  """The numbers the files are named by, if all are and differ; else 1, 2, 3, ..."""
  stems = [os.path.splitext(os.path.basename(path))[0] for path in paths]
  numbers = [int(stem) for stem in stems if stem.isdigit()]
  if len(set(numbers)) == len(paths):
    return dict(zip(paths, numbers))
  return {path: index for index, path in enumerate(paths, 1)}


def _overlay_names(paths: Sequence[str]) -> dict[str, str]:
  """`<stem>.png`, with the ending kept or a number added where stems repeat."""
  names, taken = {}, set()
  for path in paths:
    stem, ending = os.path.splitext(os.path.basename(path))
    name, number = f'{stem}.png', 1
    while name in taken:
      number += 1
      name = f'{stem}_{number}{ending.replace(".", "_")}.png'
    taken.add(name)
    names[path] = name
  return names
