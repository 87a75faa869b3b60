"""The images with the most errors and the worst overlaps, with the truth beside the detections."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from pycocotools import coco

from htc_tf.data import mask_codec
from htc_tf.evaluation import error_kinds, image_matches, thresholds
from htc_tf.evaluation.analysis import Analysis
from htc_tf.evaluation.error_kinds import ErrorKind
from htc_tf.evaluation.image_matches import ImageMatches
from htc_tf.visualization import draw, palette, panels

# Function from image entries of the annotations to the pixels [height, width, 3] uint8 RGB of those
# that can be read, by image id.
ReadImages = Callable[[Sequence[Mapping[str, Any]]], dict[int, np.ndarray]]

_MAX_SIDE = 900
_MIN_SIDE = 420
RIGHT, WRONG, IGNORED = (46, 204, 113), (255, 82, 82), (170, 178, 189)


class ImageSummary(NamedTuple):
  """The errors of one image at the best threshold.

  Attributes:
    image_id: id of the image.
    name: its file name.
    num_objects: number of objects.
    num_found: number of objects that are found.
    counts: number of errors by kind.
    worst_overlap: smallest IoU of a found object with its detection; 1 without found objects.
  """

  image_id: int
  name: str
  num_objects: int
  num_found: int
  counts: dict[ErrorKind, int]
  worst_overlap: float

  @property
  def num_errors(self) -> int:
    """Number of wrong detections and of objects that are not found."""
    wrong = sum(count for kind, count in self.counts.items() if kind is not ErrorKind.MISSED)
    return wrong + self.num_objects - self.num_found


def worst_images(analysis: Analysis, ground_truth: coco.COCO, maximum: int) -> list[ImageSummary]:
  """The images with the most errors at the best threshold, worst first.

  Those without an error follow, in the order of their worst overlap; images without objects and
  detections are left out.

  Args:
    analysis: analysis of the detections.
    ground_truth: annotations with their index.
    maximum: largest number of images.
  """
  summaries = [
    _summary(image, ground_truth.imgs[image.image_id])
    for image in image_matches.above(analysis.main.images, analysis.threshold)
  ]
  shown = [item for item in summaries if item.num_errors or item.num_found]
  return sorted(shown, key=lambda item: (-item.num_errors, item.worst_overlap, item.image_id))[
    :maximum
  ]


def draw_image(
  pixels: np.ndarray, analysis: Analysis, ground_truth: coco.COCO, image_id: int
) -> np.ndarray:
  """The truth and the detections above the best threshold side by side.

  Args:
    pixels: [height, width, 3] uint8 RGB.
    analysis: analysis of the detections.
    ground_truth: annotations with their index.
    image_id: id of the image.

  Returns:
    [height, width, 3] uint8 RGB. Objects that are found and right detections are green, others red;
    crowd regions and detections in them are gray.
  """
  whole = next(item for item in analysis.main.images if item.image_id == image_id)
  (image,) = image_matches.above([whole], analysis.threshold)
  canvas, scale = _legible(pixels)
  truth = [ground_truth.anns[id_] for id_ in image.annotation_ids.tolist()]
  found = [analysis.results[row] for row in image.sources.tolist()]
  truth_masks = found_masks = None
  if analysis.main_type == 'segm':
    truth_masks = [ground_truth.annToRLE(item) for item in truth]
    found_masks = [item['segmentation'] for item in found]
  kinds = error_kinds.image_errors(image).kinds
  texts = [_detection_label(image, row, kind, analysis.names) for row, kind in enumerate(kinds)]
  drawn = (
    _drawn(canvas, scale, truth, truth_masks, _truth_labels(image, analysis.names), None),
    _drawn(canvas, scale, found, found_masks, texts, image.scores),
  )
  threshold = thresholds.written(analysis.threshold)
  titles = ('truth', f'detections with a score of at least {threshold}')
  return panels.side_by_side(drawn, titles, min_side=1)


def _summary(image: ImageMatches, entry: Mapping[str, Any]) -> ImageSummary:
  return ImageSummary(
    image.image_id,
    str(entry.get('file_name', image.image_id)),
    int((~image.is_crowd).sum()),
    int(image.is_found.sum()),
    error_kinds.count_kinds([error_kinds.image_errors(image)]),
    _worst_overlap(image),
  )


def _worst_overlap(image: ImageMatches) -> float:
  rows = np.flatnonzero((image.matches >= 0) & ~image.is_ignored)
  return float(image.ious[rows, image.matches[rows]].min(initial=1.0))


def _legible(pixels: np.ndarray) -> tuple[np.ndarray, float]:
  """The image at a size at which labels can be read, and the factor of its sides."""
  height, width = pixels.shape[:2]
  scale = max(min(1.0, _MAX_SIDE / max(height, width)), _MIN_SIDE / max(height, width))
  if scale == 1:
    return pixels, 1.0
  size = (max(1, round(width * scale)), max(1, round(height * scale)))
  smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
  return cv2.resize(pixels, size, interpolation=smooth), scale


def _truth_labels(image: ImageMatches, names: Sequence[str]) -> list[tuple[str, palette.Color]]:
  """Text and color of each object."""
  labels = []
  for label, is_found, is_crowd in zip(image.object_labels, image.is_found, image.is_crowd):
    if is_crowd:
      labels.append((f'{names[label]} (crowd)', IGNORED))
    else:
      labels.append((names[label], RIGHT) if is_found else (f'{names[label]} (not found)', WRONG))
  return labels


def _detection_label(
  image: ImageMatches, row: int, kind: ErrorKind | None, names: Sequence[str]
) -> tuple[str, palette.Color]:
  """Text and color of a detection."""
  name = names[image.labels[row]]
  if kind is not None:
    return f'{name} ({kind.value})', WRONG
  return name, IGNORED if image.is_ignored[row] else RIGHT


def _drawn(
  canvas: np.ndarray,
  scale: float,
  entries: Sequence[Mapping[str, Any]],
  encoded: Sequence[dict[str, Any]] | None,
  labels: Sequence[tuple[str, palette.Color]],
  scores: np.ndarray | None,
) -> np.ndarray:
  """The canvas with instances; their boxes and masks are those of the image before scaling."""
  boxes = np.array([item['bbox'] for item in entries], np.float64).reshape(-1, 4)
  corners = np.concatenate([boxes[:, 1::-1], boxes[:, 1::-1] + boxes[:, :1:-1]], axis=1) * scale
  masks = None if encoded is None else [_scaled_mask(mask, canvas.shape[:2]) for mask in encoded]
  return draw.draw_instances(
    canvas,
    corners,
    masks,
    np.arange(1, len(entries) + 1),
    scores,
    [name for name, _ in labels],
    colors=[color for _, color in labels],
  )


def _scaled_mask(encoded: dict[str, Any], size_hw: tuple[int, int]) -> dict[str, Any]:
  """A mask at another size, encoded: whole masks of many objects would need gigabytes."""
  height, width = size_hw
  decoded = mask_codec.decode(encoded).astype(np.float32)
  smooth = cv2.INTER_AREA if decoded.shape[0] > height else cv2.INTER_LINEAR
  return mask_codec.encode(cv2.resize(decoded, (width, height), interpolation=smooth) >= 0.5)
