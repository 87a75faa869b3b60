"""Detections in an image as an object for people who write programs."""

import collections
import dataclasses
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from htc_tf.data import mask_codec, mask_runs
from htc_tf.data.images import SourceImage
from htc_tf.data.mask_runs import Runs
from htc_tf.data.pixel_box import Box
from htc_tf.data.sample_format import RGB, SampleFormat
from htc_tf.data.tiff_windows import TiffWindows
from htc_tf.errors import InputError
from htc_tf.evaluation import coco_results
from htc_tf.serving import overview
from htc_tf.serving.drawing import draw_detections
from htc_tf.serving.instances import Instances
from htc_tf.serving.score_thresholds import check_score_threshold
from htc_tf.visualization import display

_NUMBERED = re.compile('class [1-9][0-9]*')


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class DetectedImage:
  """An image and what a model found in it, best score first.

  Boxes are in pixels of the image, upright.

  Attributes:
    source: the image.
    instances: the detections.
    category_names: names of all classes, class 1 first; empty if unknown.
    category_ids: ids of the categories in the data set, in the same order; empty if unknown.
    sample_format: channels and depth of the images that the model reads.
  """

  source: SourceImage | TiffWindows
  instances: Instances
  category_names: Sequence[str] = ()
  category_ids: Sequence[int] = ()
  sample_format: SampleFormat = RGB

  @property
  def path(self) -> str | None:
    """Path of the file; None for an image that was given as pixels."""
    return self.source.path

  @property
  def size(self) -> tuple[int, int]:
    """Height and width of the image in pixels."""
    return self.source.size

  @functools.cached_property
  def pixels(self) -> np.ndarray:
    """[height, width, channels] as the model reads them, usually uint8 RGB.

    Raises:
      InputError: the image was read in tiles and is too large to be read as a whole.
    """
    if isinstance(self.source, SourceImage):
      return self.source.samples(self.sample_format)
    overview.check_readable(self.size)
    return self.source.read(Box(0, 0, *self.size))

  def window(self, box: Box) -> np.ndarray:
    """The pixels of a part of the image, [height, width, channels].

    Args:
      box: the part, inside the image.
    """
    if isinstance(self.source, SourceImage):
      return box.crop(self.pixels)
    return self.source.read(box)

  def shown_window(self, box: Box) -> np.ndarray:
    """A part of the image for a screen, [height, width, 3] uint8 RGB.

    Args:
      box: the part, inside the image.
    """
    return display.displayed_rgb(self.window(box), self._shown_range)

  @functools.cached_property
  def _shown_range(self) -> display.ValueRange | None:
    """The range of the samples of the whole image, if they are deeper than a screen shows."""
    if self.sample_format.bits == 8:
      return None
    return display.range_of(self._reduced_pixels)

  @functools.cached_property
  def _reduced_pixels(self) -> np.ndarray:
    """The pixels, reduced if the image was read in windows and is larger than an overview."""
    if isinstance(self.source, SourceImage):
      return self.pixels
    return overview.reduced_pixels(self.source, self._reduction)

  @property
  def _reduction(self) -> int:
    """Factor by which pictures of the image are smaller."""
    return 1 if isinstance(self.source, SourceImage) else overview.factor_of(self.size)

  @property
  def boxes(self) -> np.ndarray:
    """[num, 4] float32 ymin, xmin, ymax, xmax in pixels of the image."""
    return self.instances.boxes

  @property
  def boxes_xyxy(self) -> np.ndarray:
    """[num, 4] float32 xmin, ymin, xmax, ymax in pixels of the image."""
    return self.instances.boxes[:, [1, 0, 3, 2]]

  @property
  def scores(self) -> np.ndarray:
    """[num] float32 in 0..1."""
    return self.instances.scores

  @property
  def classes(self) -> np.ndarray:
    """[num] int32; the first class is 1."""
    return self.instances.classes

  @property
  def names(self) -> list[str]:
    """Name of the class of each detection; 'class N' if the names are unknown."""
    return [
      self.category_names[label - 1] if self.category_names else f'class {label}'
      for label in self.classes.tolist()
    ]

  @property
  def has_masks(self) -> bool:
    """Whether the model has masks."""
    return self.instances.rles is not None

  @functools.cached_property
  def masks(self) -> np.ndarray | None:
    """[num, height, width] bool, of the size of the image; None if the model has no masks.

    Many objects in a large image need gigabytes: `each_mask` gives one after another, and
    `each_runs` does not depend on the size of the image.
    """
    if not self.has_masks:
      return None
    masks = np.zeros((len(self), *self.size), bool)
    for row, mask in enumerate(self.each_mask()):
      masks[row] = mask
    return masks

  def each_mask(self) -> Iterator[np.ndarray]:
    """The mask of each detection, [height, width] bool, of the size of the image.

    Raises:
      InputError: the model has no masks.
    """
    for rle in self._rles:
      yield mask_codec.decode(rle).astype(bool)

  def each_runs(self) -> Iterator[Runs]:
    """The mask of each detection as runs of pixels in the columns of the image.

    Raises:
      InputError: the model has no masks.
    """
    return map(mask_runs.of_rle, self._rles)

  def check_masks(self) -> None:
    """Raise InputError if the model has no masks."""
    if not self.has_masks:
      raise InputError(
        'There are no masks',
        expected='the detections of a model with masks',
        got='boxes only',
        likely_cause='a model that was trained with task.model.include_mask=false',
      )

  @property
  def _rles(self) -> list[dict[str, Any]]:
    self.check_masks()
    return self.instances.rles or []

  @property
  def counts(self) -> dict[str, int]:
    """Number of detections by name, most frequent first."""
    return dict(collections.Counter(self.names).most_common())

  def filtered(
    self, min_score: float | Mapping[str, float] = 0.0, names: Sequence[str] | None = None
  ) -> 'DetectedImage':
    """The same image with some of its detections.

    Args:
      min_score: smallest score; or that of each class by name, where a class that is missing keeps
        all its detections.
      names: names of the classes that are kept; None keeps all.

    Raises:
      InputError: the model has no class of a name, or a score is no number in 0..1.
    """
    by_name = min_score if isinstance(min_score, Mapping) else {}
    for limit in by_name.values() if isinstance(min_score, Mapping) else [min_score]:
      check_score_threshold(limit)
    unknown = sorted(name for name in {*(names or ()), *by_name} if not self._is_class(name))
    if unknown:
      raise InputError(
        'The detections cannot be filtered',
        expected=f'names of classes: {", ".join(self.category_names) or "class 1, class 2, ..."}',
        got=', '.join(unknown),
        likely_cause='a misspelled name'
        if self.category_names
        else 'a model without the file dataset.json, whose classes have no names',
      )
    if isinstance(min_score, Mapping):
      limits = [by_name.get(name, 0.0) for name in self.names]
      kept = self.scores >= np.asarray(limits, self.scores.dtype)
    else:
      kept = self.scores >= min_score
    if names is not None:
      kept &= np.isin(self.names, list(names))
    rows = np.flatnonzero(kept)
    rles = self.instances.rles
    chosen = Instances(
      self.boxes[rows],
      self.classes[rows],
      self.scores[rows],
      None if rles is None else [rles[row] for row in rows],
    )
    return dataclasses.replace(self, instances=chosen)

  def _is_class(self, name: str) -> bool:
    """Whether the model can have a class of a name; if its names are unknown, 'class N'."""
    return name in self.category_names if self.category_names else bool(_NUMBERED.fullmatch(name))

  def draw(self, score_threshold: float = 0.3) -> np.ndarray:
    """The image, enlarged if small, with its detections: [height, width, 3] uint8 RGB.

    An image that was read in tiles is reduced by an integer factor until its sides have at most
    4096 pixels.

    Args:
      score_threshold: detections with a lower score are not drawn.

    Raises:
      InputError: the threshold is no number in 0..1.
    """
    check_score_threshold(score_threshold)
    shown = display.displayed_rgb(self._reduced_pixels)
    instances = overview.reduced_instances(self.instances, self._reduction, self.size)
    return draw_detections(shown, instances, self.category_names, score_threshold)

  def to_coco(self, image_id: Any = 1) -> list[dict[str, Any]]:
    """The detections as entries of a COCO results file, with run lengths as masks.

    Args:
      image_id: id of the image in the COCO file that they are to be compared with, even a text.
    """
    num_classes = len(self.category_ids) or int(self.classes.max(initial=1))
    ids = self.category_ids or range(1, num_classes + 1)
    results = coco_results.instances_to_results(
      0, self.boxes, self.scores, self.classes, self.instances.rles, range(1, num_classes + 1)
    )
    return [
      {**result, 'image_id': image_id, 'category_id': ids[result['category_id'] - 1]}
      for result in results
    ]

  def __len__(self) -> int:
    """Number of detections."""
    return len(self.scores)

  def __repr__(self) -> str:
    """A line with the file, its size and the detections by class."""
    height, width = self.size
    counted = ', '.join(f'{count} {name}' for name, count in self.counts.items()) or 'nothing'
    return f'DetectedImage({self.path or "pixels"}, {width} x {height}: {counted})'
