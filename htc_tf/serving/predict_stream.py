"""Prediction on a stream of paths, which answers each path with a line of JSON at once."""

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias

from htc_tf import interruption, progress
from htc_tf.errors import InputError
from htc_tf.serving import instance_entries, output_folder, predict_files, result_files
from htc_tf.serving.detected_image import DetectedImage
from htc_tf.serving.input_files import InputImage, OverlayNames
from htc_tf.serving.outputs.chosen import ChosenOutputs
from htc_tf.serving.predict_files import Detector
from htc_tf.serving.score_thresholds import ScoreThresholds
from htc_tf.serving.tally import Tally

# Function that writes the files of an image.
_Write: TypeAlias = Callable[[InputImage, DetectedImage, DetectedImage], None]


class StreamOutputs(NamedTuple):
  """What is written beside the lines.

  Attributes:
    folder: output folder; None for the lines alone.
    save: names of outputs in it; see `outputs.registry`.
    thresholds: smallest scores of the objects in the lines and in the outputs of `save`.
  """

  folder: str | None = None
  save: tuple[str, ...] = ('overlay',)
  thresholds: ScoreThresholds = ScoreThresholds()


class StreamEnd(NamedTuple):
  """How a stream ended.

  Attributes:
    num_failed: number of images that could not be read.
    is_heard: whether the reader of the lines was there until the end.
    summary: numbers of images, objects and files in words.
  """

  num_failed: int
  is_heard: bool
  summary: str


def predict_stream(
  detector: Detector,
  paths: Iterable[str],
  write_line: Callable[[str], object],
  outputs: StreamOutputs,
) -> StreamEnd:
  """Detect in each image as its path arrives, and write a line for it before the next is read.

  A line is JSON: `path` as it was given, `size` [height, width] and `instances`, see
  `instance_entries`; or `path` and `error`, the reason why there are none. The files of the output
  folder are those of `predict_files`, and complete before the line. Ids are the numbers of the
  paths; a path that is repeated is detected again.

  Args:
    detector: the model.
    paths: paths of image files.
    write_line: function that passes on a line; a BrokenPipeError of it ends the stream.
    outputs: what is written beside the lines.

  Raises:
    InputError: the folder cannot be used, or outputs or thresholds do not fit the model.
  """
  folder, min_score = outputs.folder, outputs.thresholds.of_classes(detector.category_names)
  tally, name, num_failed, is_heard = Tally(), OverlayNames(), 0, True
  with _writing(detector, outputs, tally) as write:
    for number, path in enumerate(progress.track(paths, description='predicting', unit='image'), 1):
      try:
        detected = _detect(detector, path, folder)
        shown = detected.filtered(min_score)
        line = {'path': path, 'size': detected.size, **_instances(shown)}
        # Without files, the names of all images need not be kept.
        overlay = '' if folder is None else name(path)
        write(InputImage(path, number, path, overlay), detected, shown)
      except InputError as error:
        line, num_failed = {'path': path, 'error': str(error)}, num_failed + 1
      if not _is_passed_on(line, write_line):
        is_heard = False
        break
  files = () if folder is None else result_files.NAMES
  rule = outputs.thresholds.describe(detector.category_names)
  summary = tally.describe(folder, rule, files)
  return StreamEnd(num_failed, is_heard, f'{summary}; {num_failed} images could not be read')


def _how_far(num_done: int, where: str = '') -> str:
  """The message after an interruption."""
  return f'interrupted; {num_done} images are done{where}'


@contextlib.contextmanager
def _writing(detector: Detector, outputs: StreamOutputs, tally: Tally) -> Iterator[_Write]:
  """A context in which the files of images are written, if there is an output folder."""
  folder = outputs.folder
  if folder is None:
    with interruption.undone_at_end(lambda: None, lambda: _how_far(tally.num_images)):
      yield lambda image, detected, shown: tally.add(shown, 0)
    return
  output_folder.check_options(folder, 1, outputs.save)
  os.makedirs(folder, exist_ok=True)
  categories = predict_files.categories_of(detector)
  where = f' and in {os.path.join(folder, result_files.PREDICTIONS_FILE)}'
  with (
    result_files.ResultFiles(folder, categories, lambda num: _how_far(num, where)) as written,
    ChosenOutputs(outputs.save, folder, categories, detector.sample_format, tally) as chosen,
  ):

    def write(image: InputImage, detected: DetectedImage, shown: DetectedImage) -> None:
      chosen.write(shown, image)
      written.add(
        predict_files.entry_of(image, detected.size, outputs.save), detected.to_coco(image.id)
      )

    yield write


def _detect(detector: Detector, path: str, folder: str | None) -> DetectedImage:
  """The detections in the image of a path; InputError if it cannot be read or must not be."""
  if '\0' in path:
    raise InputError('The path cannot be used', expected='a path', got='a null character in it')
  if folder is not None:
    output_folder.protect_inputs([path], folder)
  source = predict_files.read_picture(path, detector)
  (instances,) = predict_files.detect(detector, [source])
  found = predict_files.detected(detector, source, instances)
  if isinstance(found, InputError):
    raise found
  return found


def _instances(image: DetectedImage) -> dict[str, Any]:
  return {'instances': instance_entries.entries_of(image)}


def _is_passed_on(line: dict[str, Any], write_line: Callable[[str], object]) -> bool:
  """Write a line; False if nobody reads any more."""
  try:
    write_line(json.dumps(line, allow_nan=False))
  except BrokenPipeError:
    return False
  return True
