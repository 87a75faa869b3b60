"""Pictures of records, as stored and as training gets them, with their texts."""

import collections
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from htc_tf.data.dataset_info import SemanticInfo
from htc_tf.reports import labeled_image
from htc_tf.reports.labeled_image import LabeledImage

_MAX_CLASSES = 6


class Shown(NamedTuple):
  """An image to show, with its texts.

  Attributes:
    labeled: the image with its ground truth, in the size of the page.
    title: short name of the image.
    caption: what is on it.
  """

  labeled: LabeledImage
  title: str
  caption: str


class Names(NamedTuple):
  """Names of the labels on the pictures.

  Attributes:
    classes: names of the classes, class 1 first.
    semantic: names of the labels of the semantic maps.
  """

  classes: list[str]
  semantic: dict[int, str]


def names_of(classes: list[str], semantic: SemanticInfo | None) -> Names:
  """Names of classes and of the labels of semantic maps made from instances.

  Maps of stuff classes have no names in the metadata.

  Args:
    classes: names of the classes, class 1 first.
    semantic: description of the semantic maps, if there are any.
  """
  if semantic is None or semantic.source != 'instances':
    return Names(classes, {})
  return Names(classes, {0: 'background', **dict(enumerate(classes, 1))})


def draw(shown: Shown, names: Names, side: int) -> tuple[np.ndarray, np.ndarray | None]:
  """Pictures of the instances and of the semantic map, if there is one.

  Args:
    shown: the image.
    names: names of its labels.
    side: longer side of the pictures in pixels.
  """
  fitted = labeled_image.fitted(shown.labeled, side)
  objects = labeled_image.draw_objects(fitted, names.classes)
  return objects, labeled_image.draw_semantic(fitted, names.semantic)


def contents(labeled: LabeledImage, names: Sequence[str]) -> str:
  """Number of instances by class, the most frequent classes first.

  Args:
    labeled: the image with its ground truth.
    names: names of the classes, class 1 first.
  """
  counts = collections.Counter(labeled.classes[~labeled.is_crowd].tolist())
  texts = [
    f'{count} {names[label - 1] if 1 <= label <= len(names) else f"class {label}"}'
    for label, count in counts.most_common(_MAX_CLASSES)
  ]
  if len(counts) > _MAX_CLASSES:
    texts.append(f'{len(counts) - _MAX_CLASSES} more classes')
  crowds = int(labeled.is_crowd.sum())
  if crowds:
    texts.append('1 crowd region' if crowds == 1 else f'{crowds} crowd regions')
  return ', '.join(texts) or 'no object'
