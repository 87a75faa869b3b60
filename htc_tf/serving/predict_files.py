"""Prediction on image files, which writes overlays and COCO JSON."""

import collections
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tqdm
from absl import logging

from htc_tf import file_errors, file_systems
from htc_tf.data import images as image_files
from htc_tf.data.images import SourceImage
from htc_tf.data.sample_format import RGB, SampleFormat
from htc_tf.errors import InputError
from htc_tf.serving import (
  annotated_images,
  input_files,
  large_images,
  result_files,
  tiled_detection,
)
from htc_tf.serving.detected_image import DetectedImage
from htc_tf.serving.drawing import draw_detections  # noqa: F401
from htc_tf.serving.input_files import InputImage
from htc_tf.serving.instances import Instances
from htc_tf.serving.outputs import registry
from htc_tf.serving.outputs.chosen import ChosenOutputs
from htc_tf.serving.tile_progress import TileProgress
from htc_tf.serving.tiled_detection import Picture, detect_pictures
from htc_tf.serving.tiling import Tiling

_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.gif', '.webp', '.tif', '.tiff', '.npy')


class Detector(NamedTuple):
  """A model for images, on this machine or on a server.

  Attributes:
    detect: function from images to the instances of each, or to an InputError if the model could
      not read the image.
    category_names: names by class; entry 0 is class 1. Empty if unknown.
    category_ids: category ids of the data set, in the order of `category_names`.
    close: function that ends the connection to a server; nothing for a model on this machine.
    sample_format: channels and depth of the images that the model reads.
    tiling: tiles in which larger images are detected; None to see each image as a whole.
  """

  detect: Callable[[Sequence[SourceImage]], Sequence[Instances | InputError]]
  category_names: Sequence[str]
  category_ids: Sequence[int]
  close: Callable[[], None] = lambda: None
  sample_format: SampleFormat = RGB
  tiling: Tiling | None = None


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
      inside = [os.path.join(item, name) for name in names]
      paths += [path for path in inside if not os.path.isdir(path)]
    elif os.path.lexists(item):  # A broken link is that file's affair.
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


def read_image(path: str, sample_format: SampleFormat = RGB) -> SourceImage:
  """The image in a file, turned upright by its EXIF orientation.

  Args:
    path: path of the file.
    sample_format: channels and depth that the image must have; RGB of 8 bits stands for all images
      that can be converted into it.

  Raises:
    InputError: the file is missing, empty or no image, cannot be opened, has more than
      `images.MAX_PIXELS` pixels, or has other channels or another depth.
  """
  try:
    with file_errors.as_input_errors():
      if not stat.S_ISREG(os.stat(path).st_mode):  # Opening a pipe would wait for its other end.
        raise InputError(f'{path} cannot be read', expected='a file', got='a pipe or device')
      image = image_files.read_image(path)
    image.samples(sample_format)  # Raises for pixels that the model cannot read.
    return image
  except image_files.UnreadableImageError as error:
    raise InputError(f'{path} cannot be read: {error}') from error


def detect_instances(detector: Detector, pixels: np.ndarray) -> Instances:
  """Detections in one image, with masks at the size of the image.

  Args:
    detector: the model.
    pixels: [height, width, channels] uint8 or uint16, as the model reads them.

  Raises:
    InputError: the model could not read the image.
  """
  (found,) = detector.detect([image_files.image_from_pixels(pixels)])
  if isinstance(found, InputError):
    raise found
  return found


def predict_files(
  detector: Detector,
  paths: Sequence[str],
  output: str,
  score_threshold: float = 0.3,
  batch_size: int = 1,
  annotations: str | None = None,
  save: Sequence[str] = ('overlay',),
  log: Callable[[str], object] | None = None,
) -> list[str]:
  """Predict on files; write an overlay for each, `predictions.json` and `images.json`.

  The two JSON files are COCO results, and a COCO data set without annotations:
  `COCO('images.json').loadRes('predictions.json')` reads them. They are complete at any time, also
  if the prediction is interrupted; see `ResultFiles`. Ids and names are those of
  `input_files.plan_images`; `overlay` in `images.json` is the name of the overlay.

  Args:
    detector: the model.
    paths: image files; a repeated one is predicted once.
    output: output folder; it is created if missing.
    score_threshold: smallest score of an instance in the outputs of `save`; `predictions.json` has
      all.
    batch_size: number of images, or of tiles, per call of the detector.
    annotations: COCO file whose image and category ids are used, so that `loadRes` of it works;
      images that it does not name are left out.
    save: names of further outputs; see `outputs.registry`.
    log: function that receives a line with the numbers of images, objects and files.

  Returns:
    Paths that could not be read or were left out; each is logged with the reason.

  Raises:
    InputError: the threshold, batch size or folder cannot be used, the folder holds an image, the
      annotations do not fit the images or the model, or an output is unknown or needs masks.
    DataError: the annotations cannot be read.
  """
  _check_options(output, score_threshold, batch_size, save)
  _protect_inputs(paths, output)
  _protect_annotations(annotations, output)
  images, failed, detector = _plan(detector, paths, annotations)
  os.makedirs(output, exist_ok=True)
  chosen = ChosenOutputs(save, output, _categories(detector), detector.sample_format)
  with (
    result_files.ResultFiles(
      output, _categories(detector), lambda num_done: _how_to_go_on(output, images, num_done)
    ) as written,
    chosen,
  ):
    for image, detected in _detect_all(detector, images, batch_size):
      if isinstance(detected, InputError):
        logging.error('%s', detected)
        failed.append(image.path)
      else:
        stem = os.path.splitext(image.overlay)[0]
        chosen.write(detected.filtered(score_threshold), stem)
        written.add(_entry(image, detected.size), detected.to_coco(image.id))
  if log is not None:
    log(chosen.tally.describe(output, score_threshold, result_files.NAMES))
  return failed


def _plan(
  detector: Detector, paths: Sequence[str], annotations: str | None
) -> tuple[list[InputImage], list[str], Detector]:
  """The images, the paths that are left out and logged, and the detector with its ids."""
  unique = input_files.unique_paths(paths)
  kept = set(unique)
  for path, count in collections.Counter(paths).items():
    if count > 1 or path not in kept:
      logging.warning('%s is given more than once; it is predicted once', path)
  if annotations is None:
    return input_files.plan_images(unique), [], detector
  annotated = annotated_images.read_annotated_images(annotations)
  names, ids = annotated_images.category_ids(
    annotated, detector.category_names, detector.category_ids
  )
  images, left_out = annotated_images.plan_annotated(unique, annotated)
  num_missing = len(annotated.images) - len(images)
  if num_missing:
    logging.warning('%d images of %s are not predicted', num_missing, annotations)
  for path, reason in left_out.items():
    logging.error('%s is left out: %s', path, reason)
  return images, list(left_out), detector._replace(category_names=names, category_ids=ids)


def _how_to_go_on(output: str, images: Sequence[InputImage], num_done: int) -> str:
  """The message after an interruption."""
  if not num_done:
    return f'interrupted; none of {len(images)} images is done: start the same command again'
  file = os.path.join(output, result_files.PREDICTIONS_FILE)
  return (
    f'interrupted; {num_done} of {len(images)} images are done and in {file}, '
    f'{len(images) - num_done} remain; to go on, give the remaining ones and another --output'
  )


def _categories(detector: Detector) -> list[dict[str, Any]]:
  return [
    {'id': id_, 'name': name} for id_, name in zip(detector.category_ids, detector.category_names)
  ]


def _entry(image: InputImage, image_hw: tuple[int, int]) -> dict[str, Any]:
  """The entry of an image in `images.json`."""
  height, width = image_hw
  return {
    'id': image.id,
    'file_name': image.name,
    'height': height,
    'width': width,
    'overlay': image.overlay,
  }


def check_score_threshold(score_threshold: float) -> None:
  """Raise InputError unless a score threshold is in 0..1."""
  if not 0 <= score_threshold <= 1:
    raise InputError(
      'The score threshold is out of range',
      expected='a number from 0 to 1',
      got=str(score_threshold),
      likely_cause='a percentage',
    )


def _check_options(
  output: str, score_threshold: float, batch_size: int, save: Sequence[str]
) -> None:
  registry.check(save)
  file_systems.check_local(output, 'The output folder (--output)')
  check_score_threshold(score_threshold)
  tiled_detection.check_batch_size(batch_size)
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
  # A link may lead into the folder, or lie in it.
  inside = [
    path
    for path in paths
    if folder
    in (os.path.realpath(os.path.dirname(path) or '.'), os.path.dirname(os.path.realpath(path)))
  ]
  if inside:
    raise InputError(
      f'The output folder {output} holds images to predict on',
      expected='another folder, so that no overlay replaces an image',
      got=f'{len(inside)} images in it, such as {inside[0]}',
      likely_cause='the folder of the images as --output, or overlays of an earlier run as inputs',
    )


def _protect_annotations(annotations: str | None, output: str) -> None:
  """Raise InputError if the COCO file has the path of a result."""
  results = [
    os.path.realpath(os.path.join(output, name))
    for name in (result_files.IMAGES_FILE, result_files.PREDICTIONS_FILE)
  ]
  if annotations is not None and os.path.realpath(annotations) in results:
    raise InputError(
      f'The results would replace {annotations}',
      expected='another output folder',
      got=output,
      likely_cause='the images.json of an earlier run as --annotations',
    )


def _detect_all(
  detector: Detector, images: Sequence[InputImage], batch_size: int
) -> Iterator[tuple[InputImage, DetectedImage | InputError]]:
  """Each image in order, with its detections, or with the error of an unread image."""
  with (
    tqdm.tqdm(total=len(images), desc='predicting', unit='image') as progress,
    TileProgress() as tiles,
  ):
    for start in range(0, len(images), batch_size):
      planned = images[start : start + batch_size]
      batch = [_read_or_error(image.path, detector) for image in planned]
      readable = [item for item in batch if not isinstance(item, InputError)]
      found = iter(
        detect_pictures(
          detector.detect,
          readable,
          detector.sample_format,
          detector.tiling,
          batch_size,
          tiles.report,
        )
      )
      for image, item in zip(planned, batch):
        if isinstance(item, InputError):
          yield image, item
        else:
          yield image, _detected(detector, item, next(found))
        progress.update()


def _detected(
  detector: Detector, source: Picture, found: Instances | InputError
) -> DetectedImage | InputError:
  if isinstance(found, InputError):
    return found
  names, ids = detector.category_names, detector.category_ids
  return DetectedImage(source, found, names, ids, detector.sample_format)


def _read_or_error(path: str, detector: Detector) -> Picture | InputError:
  """The image, or the error if it cannot be read."""
  try:
    large = large_images.open_large(path, detector.sample_format, detector.tiling)
    return read_image(path, detector.sample_format) if large is None else large
  except InputError as error:
    return error
