"""The kinds of errors of a detector, and how much AP each costs (TIDE, Bolya et al. 2020).

Every wrong detection has one kind (section 2.2 of the paper, with IoU 0.5 for "well localized" and
0.1 for "not on an object"). Where several would fit, the order is that of the authors' program:

1. localization: overlaps an object of its class by 0.1 to 0.5;
2. classification: overlaps an object of another class by 0.5 or more;
3. duplicate: overlaps an object of its class by 0.5 or more that a better detection has found;
4. background: overlaps no object by more than 0.1;
5. both: overlaps an object of another class by 0.1 to 0.5.

An object is missed if no detection finds it, nor has an error of localization or classification on
it. The cost of a kind is the rise of AP at IoU 0.5 if its errors were repaired (section 2.3).

Crowd regions are no objects, and detections in those of their class are no errors.
"""

import collections
import dataclasses
import enum
from collections.abc import Sequence

import numpy as np

from htc_tf.evaluation import image_matches
from htc_tf.evaluation.image_matches import IOU_THRESHOLD, ImageMatches
from htc_tf.evaluation.interpolated_precision import average_precision

BACKGROUND_IOU = 0.1


class ErrorKind(enum.Enum):
  """A kind of error, in the order of the paper."""

  CLASSIFICATION = 'classification'
  LOCALIZATION = 'localization'
  BOTH = 'both'
  DUPLICATE = 'duplicate'
  BACKGROUND = 'background'
  MISSED = 'missed'


@dataclasses.dataclass(frozen=True)
class ImageErrors:
  """The errors of one image.

  Attributes:
    kinds: kind of each detection; None for a right or ignored one.
    targets: [num_detections] position of the object that the detection would find if its error of
      localization or classification were repaired; -1 for other detections, for an object that is
      found already, and if a better detection would find it.
    is_missed: [num_objects] bool.
  """

  kinds: tuple[ErrorKind | None, ...]
  targets: np.ndarray
  is_missed: np.ndarray


def image_errors(image: ImageMatches) -> ImageErrors:
  """The errors of one image."""
  real = ~image.is_crowd
  same = image.is_same_class & real
  on_own, on_other = (_overlap_on(image.ious, mask) for mask in (same, ~same & real))
  on_found = _overlap_on(image.ious, same & image.is_found)
  kinds: list[ErrorKind | None] = [None] * len(image.scores)
  targets = np.full(len(kinds), -1, np.int64)
  may_be_repaired = ~image.is_found & real
  is_reached = np.zeros(len(real), bool)
  for row in np.flatnonzero((image.matches < 0) & ~image.is_ignored):
    kind = _kind(*(float(largest[row]) for largest, _ in (on_own, on_other, on_found)))
    kinds[row] = kind
    aimed = {ErrorKind.LOCALIZATION: on_own, ErrorKind.CLASSIFICATION: on_other}.get(kind)
    if aimed is not None and may_be_repaired[aimed[1][row]]:
      targets[row] = -1 if is_reached[aimed[1][row]] else aimed[1][row]
      is_reached[aimed[1][row]] = True
  return ImageErrors(tuple(kinds), targets, may_be_repaired & ~is_reached)


@dataclasses.dataclass(frozen=True)
class ErrorCosts:
  """What the errors cost; all figures of AP are in [0, 1].

  Attributes:
    ap50: AP at IoU 0.5, over the classes that have objects; -1 without objects.
    by_kind: rise of `ap50` if the errors of one kind were repaired.
    false_positives: rise of `ap50` without wrong detections.
    false_negatives: rise of `ap50` without the objects that are not found.
  """

  ap50: float
  by_kind: dict[ErrorKind, float]
  false_positives: float
  false_negatives: float


def error_costs(
  images: Sequence[ImageMatches], errors: Sequence[ImageErrors], num_categories: int
) -> ErrorCosts:
  """The costs of all kinds of errors.

  Args:
    images: matches of all images.
    errors: errors of the same images.
    num_categories: number of evaluated categories.
  """
  state = _State(images, errors, num_categories)
  ap50 = state.mean_ap(state.is_true, state.labels, state.num_objects)
  if ap50 < 0:
    return ErrorCosts(ap50, dict.fromkeys(ErrorKind, 0.0), 0.0, 0.0)
  # A repair rarely lowers the interpolated precision; as in the authors' program, it costs 0 then.
  by_kind = {kind: max(state.repaired_ap(kind) - ap50, 0.0) for kind in ErrorKind}
  no_false = state.mean_ap(state.is_true, state.labels, state.num_objects, keep=state.is_true)
  num_found = np.bincount(state.labels[state.is_true], minlength=num_categories)
  none_missing = state.mean_ap(state.is_true, state.labels, num_found)
  return ErrorCosts(ap50, by_kind, no_false - ap50, none_missing - ap50)


def count_kinds(errors: Sequence[ImageErrors]) -> dict[ErrorKind, int]:
  """Number of errors of each kind."""
  counts = collections.Counter(kind for item in errors for kind in item.kinds)
  counts[ErrorKind.MISSED] = sum(int(item.is_missed.sum()) for item in errors)
  return {kind: counts[kind] for kind in ErrorKind}


class _State:
  """The detections of all images as arrays, with their errors.

  Args:
    images: matches of all images.
    errors: errors of the same images.
    num_categories: number of evaluated categories.
  """

  def __init__(
    self, images: Sequence[ImageMatches], errors: Sequence[ImageErrors], num_categories: int
  ):
    self.scores, self.labels, self.is_true = image_matches.detection_arrays(images)
    self.num_objects = image_matches.count_objects(images, num_categories)
    counted = [~image.is_ignored for image in images]
    self._kinds = np.array(
      [kind for item, kept in zip(errors, counted) for kind in np.array(item.kinds, object)[kept]],
      object,
    )
    # The class that a detection gets by its repair, or -1.
    self._new_labels = image_matches.joined(
      [_new_labels(image, item)[kept] for image, item, kept in zip(images, errors, counted)],
      np.int64,
    )
    missed = [image.object_labels[item.is_missed] for image, item in zip(images, errors)]
    self._num_missed = np.bincount(image_matches.joined(missed, np.int64), minlength=num_categories)

  def repaired_ap(self, kind: ErrorKind) -> float:
    """AP after the repair: errors become right if a class is left for them, else they vanish."""
    if kind is ErrorKind.MISSED:
      return self.mean_ap(self.is_true, self.labels, self.num_objects - self._num_missed)
    is_kind = self._kinds == kind
    is_repaired = is_kind & (self._new_labels >= 0)
    return self.mean_ap(
      self.is_true | is_repaired,
      np.where(is_repaired, self._new_labels, self.labels),
      self.num_objects,
      keep=~is_kind | is_repaired,
    )

  def mean_ap(
    self,
    is_true: np.ndarray,
    labels: np.ndarray,
    num_objects: np.ndarray,
    keep: np.ndarray | None = None,
  ) -> float:
    """Mean AP over the classes with annotated objects; -1 if there is no such class.

    A class whose objects were all taken away counts 0 if it still has wrong detections, and does
    not count otherwise. If no class counts then, no error is left: 1.
    """
    if not self.num_objects.any():
      return -1.0
    kept = np.flatnonzero(np.ones(len(labels), bool) if keep is None else keep)
    order = kept[np.argsort(labels[kept], kind='stable')]
    ends = np.searchsorted(labels[order], np.arange(len(num_objects)), side='right')
    figures = []
    for label, chosen in enumerate(np.split(order, ends)[:-1]):
      if num_objects[label]:
        figures.append(
          average_precision(self.scores[chosen], is_true[chosen], int(num_objects[label]))
        )
      elif self.num_objects[label] and len(chosen):
        figures.append(0.0)
    return float(np.mean(figures)) if figures else 1.0


def _overlap_on(ious: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """[num_detections] largest overlap with the objects of a mask, and the position of that object.

  Without objects, overlap and position are 0.
  """
  if not ious.shape[1]:
    return np.zeros(len(ious)), np.zeros(len(ious), np.int64)
  masked = np.where(mask, ious, 0.0)
  return masked.max(axis=1), masked.argmax(axis=1)


def _kind(on_own: float, on_other: float, on_found: float) -> ErrorKind:
  """The kind of a wrong detection.

  Args:
    on_own: largest overlap with an object of its class.
    on_other: largest overlap with an object of another class.
    on_found: largest overlap with an object of its class that another detection has found.
  """
  if BACKGROUND_IOU <= on_own <= IOU_THRESHOLD:
    return ErrorKind.LOCALIZATION
  if on_other >= IOU_THRESHOLD:
    return ErrorKind.CLASSIFICATION
  if on_found >= IOU_THRESHOLD:
    return ErrorKind.DUPLICATE
  if max(on_own, on_other) <= BACKGROUND_IOU:
    return ErrorKind.BACKGROUND
  return ErrorKind.BOTH


def _new_labels(image: ImageMatches, errors: ImageErrors) -> np.ndarray:
  """[num_detections] class of the object that each detection would find after its repair, or -1."""
  labels = np.append(image.object_labels, -1)
  return labels[errors.targets]
