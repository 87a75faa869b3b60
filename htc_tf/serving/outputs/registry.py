"""The outputs of a prediction by name."""

from collections.abc import Callable, Sequence
from typing import Any

from htc_tf.data.sample_format import SampleFormat
from htc_tf.errors import InputError
from htc_tf.serving.outputs import coco_polygons, cutouts, index_masks, labelme, measurements
from htc_tf.serving.outputs.base import Output
from htc_tf.serving.outputs.coco_polygons import CocoPolygons
from htc_tf.serving.outputs.cutouts import Cutouts
from htc_tf.serving.outputs.index_masks import IndexMasks
from htc_tf.serving.outputs.labelme import LabelMe
from htc_tf.serving.outputs.measurements import Measurements
from htc_tf.serving.outputs.overlay import Overlay

# By name: a function from the output folder, the entries of the categories, and the format of the
# images.
_OUTPUTS: dict[str, Callable[[str, list[dict[str, Any]], SampleFormat], Output]] = {
  'overlay': lambda folder, categories, sample_format: Overlay(folder),
  'coco': lambda folder, categories, sample_format: CocoPolygons(folder, categories),
  'labelme': lambda folder, categories, sample_format: LabelMe(folder),
  'masks': lambda folder, categories, sample_format: IndexMasks(folder),
  'cutouts': lambda folder, categories, sample_format: Cutouts(folder),
  'csv': lambda folder, categories, sample_format: Measurements(folder, sample_format),
}
NAMES = tuple(_OUTPUTS)
# Outputs of which nothing can be written without masks.
NEED_MASKS = ('masks', 'cutouts')
# What outputs write to the output folder, beside overlays: folders, and files about all images.
FOLDERS = (cutouts.FOLDER, index_masks.FOLDER, labelme.FOLDER)
FILES = (coco_polygons.FILE, measurements.FILE)


def check(names: Sequence[str]) -> None:
  """Raise InputError if a name is unknown or given twice."""
  wrong = [name for name in names if name not in _OUTPUTS or list(names).count(name) > 1]
  if wrong:
    raise InputError(
      'The outputs of the prediction are wrong',
      expected=f'some of {", ".join(NAMES)}, each once',
      got=', '.join(map(repr, names)),
      likely_cause='a misspelled name',
    )


def build(
  names: Sequence[str],
  folder: str,
  categories: list[dict[str, Any]],
  sample_format: SampleFormat,
) -> list[Output]:
  """The outputs of the given names, in this order.

  Args:
    names: some of `NAMES`.
    folder: an existing folder.
    categories: entries of the categories.
    sample_format: channels and depth of the images.

  Raises:
    InputError: a name is unknown or given twice.
  """
  check(names)
  return [_OUTPUTS[name](folder, categories, sample_format) for name in names]
