"""Prediction on image files, which writes overlays and COCO JSON."""

import collections
import contextlib
import functools
import math
import os
import stat
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import logging

from htc_tf import file_errors, file_systems, progress
from htc_tf.data import images as image_files
from htc_tf.data.images import SourceImage
from htc_tf.data.sample_format import RGB, SampleFormat
from htc_tf.errors import InputError
from htc_tf.serving import (
  annotated_images,
  input_files,
  large_images,
  output_folder,
  overlap,
  result_files,
  score_thresholds,
)
from htc_tf.serving.detected_image import DetectedImage
from htc_tf.serving.drawing import draw_detections  # noqa: F401
from htc_tf.serving.input_files import InputImage
from htc_tf.serving.instances import Instances
from htc_tf.serving.outputs.chosen import ChosenOutputs
from htc_tf.serving.score_thresholds import ScoreThresholds
from htc_tf.serving.tile_progress import TileProgress
from htc_tf.serving.tiled_detection import Detect, Picture, detect_pictures
from htc_tf.serving.tiling import Tiling

# Larger images are written before the next ones are detected, because both need memory.
_LARGE_PIXELS = 2**25
SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.gif', '.webp', '.tif', '.tiff', '.npy')


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
    class_agnostic_nms: whether the NMS of the model acts across classes; then the merge of tiles
      does.
  """

  detect: Detect
  category_names: Sequence[str]
  category_ids: Sequence[int]
  close: Callable[[], None] = lambda: None
  sample_format: SampleFormat = RGB
  tiling: Tiling | None = None
  class_agnostic_nms: bool = False


def list_images(inputs: Sequence[str]) -> list[str]:
  """The given files, and the images in each given folder, sorted.

  Raises:
    InputError: an input does not exist, or there are no images.
  """
  return list_files(inputs, SUFFIXES)


def list_files(inputs: Sequence[str], suffixes: tuple[str, ...]) -> list[str]:
  """The given files, and those in each given folder whose names have one of the suffixes, sorted.

  Raises:
    InputError: an input does not exist, or there are no files.
  """
  paths = []
  for item in inputs:
    file_systems.check_local(item, 'inputs (an image or a folder of images)')
    if os.path.isdir(item):
      names = sorted(os.listdir(item))
      found = [name for name in names if name.lower().endswith(suffixes)]
      found = [name for name in found if not os.path.isdir(os.path.join(item, name))]
      _warn_of_others(item, names, found)
      paths += [os.path.join(item, name) for name in found]
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
      expected=f'files with one of the suffixes {", ".join(suffixes)}',
      got=f'none in {list(inputs)}',
      likely_cause='a folder of folders, which are not searched, or another suffix; a file that is '
      'named is read whatever its suffix',
    )
  return paths


def _warn_of_others(folder: str, names: Sequence[str], found: Sequence[str]) -> None:
  """Say how many entries of a folder are not read, unless they are hidden."""
  others = [name for name in set(names).difference(found) if not name.startswith('.')]
  if others:
    logging.warning(
      '%d of %d entries of %s are not read: folders in it, or files with other suffixes',
      *(len(others), len(others) + len(found), folder),
    )


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
    with file_errors.as_input_errors(reading=True):
      if not stat.S_ISREG(os.stat(path).st_mode):  # Opening a pipe would wait for its other end.
        got = 'a folder' if os.path.isdir(path) else 'a pipe or device'
        raise InputError(f'{path} cannot be read', expected='a file', got=got)
      image = image_files.read_image(path)
    pixels = image.samples(sample_format)  # Raises for pixels that the model cannot read.
    if sample_format.is_rgb and image.is_nearly_black(pixels):
      logging.warning(
        '%s is nearly black: its largest value is %d of 255. If its samples have 12 bits or less '
        'in a file of 16, scale them to 0..65535, as the images of the training',
        *(path, pixels.max()),
      )
    if sample_format.is_rgb and image.has_further_pages:  # Other models read pages as channels.
      logging.warning('%s has several pages or frames; the first one is read', path)
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
  score_threshold: float | ScoreThresholds = 0.3,
  batch_size: int = 1,
  annotations: str | None = None,
  save: Sequence[str] = ('overlay',),
  log: Callable[[str], object] | None = None,
) -> list[str]:
  """Predict on files; write an overlay for each, `predictions.json` and `images.json`.

  The two JSON files are COCO results, and a COCO data set without annotations:
  `COCO('images.json').loadRes('predictions.json')` reads them. They are complete at any time, also
  if the prediction is interrupted; see `ResultFiles`. Ids and names are those of
  `input_files.plan_images`; `overlay` in `images.json` is the name of the overlay, if it is saved.

  Args:
    detector: the model.
    paths: image files; a repeated one is predicted once.
    output: output folder; it is created if missing.
    score_threshold: smallest score of an instance in the outputs of `save`, or those of classes;
      `predictions.json` has all.
    batch_size: number of images, or of tiles, per call of the detector.
    annotations: COCO file whose image and category ids are used, so that `loadRes` of it works;
      images that it does not name are left out.
    save: names of further outputs; see `outputs.registry`.
    log: function that receives a line with the numbers of images, objects and files.

  Returns:
    Paths that could not be read or were left out; each is logged with the reason.

  Raises:
    InputError: an option or the folder cannot be used, the folder holds an image, the annotations
      or thresholds do not fit the images or the model, or an output needs masks.
    DataError: the annotations cannot be read.
  """
  thresholds = score_thresholds.checked(score_threshold)
  output_folder.check_options(output, batch_size, save)
  output_folder.protect_inputs(paths, output)
  output_folder.protect_annotations(annotations, output)
  images, failed, detector = _plan(detector, paths, annotations)
  min_score = thresholds.of_classes(detector.category_names)
  os.makedirs(output, exist_ok=True)
  chosen = ChosenOutputs(save, output, categories_of(detector), detector.sample_format)
  with (
    result_files.ResultFiles(
      output, categories_of(detector), lambda num_done: _how_to_go_on(output, images, num_done)
    ) as written,
    chosen,
  ):

    def write(image: InputImage, found: DetectedImage) -> None:
      chosen.write(found.filtered(min_score), image)
      written.add(entry_of(image, found.size, save), found.to_coco(image.id))

    failed += _predict_all(detector, images, batch_size, write)
  _report(log, chosen, thresholds.describe(detector.category_names), output)
  return failed


def _report(
  log: Callable[[str], object] | None, chosen: ChosenOutputs, rule: str, output: str
) -> None:
  if log is not None:
    log(chosen.tally.describe(output, rule, result_files.NAMES))


def _plan(
  detector: Detector, paths: Sequence[str], annotations: str | None
) -> tuple[list[InputImage], list[str], Detector]:
  """The images, the paths that are left out and logged, and the detector with its ids."""
  unique = each_once(paths)
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


def each_once(paths: Sequence[str]) -> list[str]:
  """The paths without repetitions of a file, which are logged."""
  unique = input_files.unique_paths(paths)
  kept = set(unique)
  for path, count in collections.Counter(paths).items():
    if count > 1 or path not in kept:
      logging.warning('%s is given more than once; it is predicted once', path)
  return unique


def _how_to_go_on(output: str, images: Sequence[InputImage], num_done: int) -> str:
  """The message after an interruption."""
  if not num_done:
    return f'interrupted; none of {len(images)} images is done: start the same command again'
  file = os.path.join(output, result_files.PREDICTIONS_FILE)
  return (
    f'interrupted; {num_done} of {len(images)} images are done and in {file}, '
    f'{len(images) - num_done} remain; to go on, give the remaining ones and another --output'
  )


def categories_of(detector: Detector) -> list[dict[str, Any]]:
  """The entries of the categories of a model."""
  return [
    {'id': id_, 'name': name} for id_, name in zip(detector.category_ids, detector.category_names)
  ]


def entry_of(image: InputImage, image_hw: tuple[int, int], save: Sequence[str]) -> dict[str, Any]:
  """The entry of an image in `images.json`, with the name of its overlay if there is one."""
  height, width = image_hw
  entry = {'id': image.id, 'file_name': image.name, 'height': height, 'width': width}
  return {**entry, 'overlay': image.overlay} if 'overlay' in save else entry


def _predict_all(
  detector: Detector,
  images: Sequence[InputImage],
  batch_size: int,
  write: Callable[[InputImage, DetectedImage], object],
) -> list[str]:
  """Detect in all images, and write each while the next ones are detected.

  Returns:
    Paths that could not be read; each is logged with the reason.
  """
  failed = []
  with (
    overlap.Behind() as behind,
    contextlib.closing(_detect_all(detector, images, batch_size)) as each,
  ):
    for image, found in each:
      if isinstance(found, InputError):
        logging.error('%s', found)
        failed.append(image.path)
        continue
      behind.add(functools.partial(write, image, found))
      if math.prod(found.size) > _LARGE_PIXELS:
        behind.wait()
  return failed


def _detect_all(
  detector: Detector, images: Sequence[InputImage], batch_size: int
) -> Generator[tuple[InputImage, DetectedImage | InputError]]:
  """Each image in order, with its detections, or with the error of an unread image."""
  with (
    progress.bar(description='predicting', unit='image', total=len(images)) as bar,
    TileProgress() as tiles,
    overlap.Ahead(_read_batches(detector, images, batch_size)) as batches,
  ):
    for batch in batches:
      readable = [item for _, item in batch if not isinstance(item, InputError)]
      found = iter(detect(detector, readable, batch_size, tiles.report))
      for image, item in batch:
        if isinstance(item, InputError):
          yield image, item
        else:
          yield image, detected(detector, item, next(found))
        bar.update()


def _read_batches(
  detector: Detector, images: Sequence[InputImage], batch_size: int
) -> Iterator[list[tuple[InputImage, Picture | InputError]]]:
  for start in range(0, len(images), batch_size):
    yield [
      (image, _read_or_error(image.path, detector)) for image in images[start : start + batch_size]
    ]


def detect(
  detector: Detector,
  images: Sequence[Picture],
  batch_size: int = 1,
  report: Callable[[int, int], object] = lambda done, total: None,
) -> list[Instances | InputError]:
  """The detections in each image, or the error if the model could not read it.

  Args:
    detector: the model, and the tiles in which it sees larger images.
    images: the images.
    batch_size: number of tiles per call of the model.
    report: function that receives the numbers of finished and of all tiles of an image.
  """
  return detect_pictures(
    detector.detect,
    images,
    detector.sample_format,
    detector.tiling,
    batch_size,
    report,
    detector.class_agnostic_nms,
  )


def read_picture(path: str, detector: Detector) -> Picture:
  """The image in a file; one that is larger than a tile is read in windows if possible.

  Args:
    path: path of the file.
    detector: the model, and the tiles in which it sees larger images.

  Raises:
    InputError: as for `read_image`.
  """
  large = large_images.open_large(path, detector.sample_format, detector.tiling)
  return read_image(path, detector.sample_format) if large is None else large


def detected(
  detector: Detector, source: Picture, found: Instances | InputError
) -> DetectedImage | InputError:
  """The image with its instances, or the error if the model could not read it."""
  if isinstance(found, InputError):
    return found
  names, ids = detector.category_names, detector.category_ids
  return DetectedImage(source, found, names, ids, detector.sample_format)


def _read_or_error(path: str, detector: Detector) -> Picture | InputError:
  """The image, or the error if it cannot be read."""
  try:
    return read_picture(path, detector)
  except InputError as error:
    return error
