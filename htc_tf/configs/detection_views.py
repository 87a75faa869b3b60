"""Configuration of test-time augmentation: the views of an image that detection combines."""

import dataclasses
import itertools
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from official.modeling import hyperparams

from htc_tf.configs.bounds import NonNegativeFloat, PositiveFloat, PositiveInt
from htc_tf.configs.frames import Resizing
from htc_tf.configs.value_types import check_keys
from htc_tf.errors import ConfigError

_NAME = 'task.test_time_augmentation'
_FLIP = 'flip'
_MAX_SIZE = 10_000  # Of the short side; a view of this size alone takes gigabytes.


@dataclasses.dataclass
class AreaRange(hyperparams.Config):
  """Range of areas of the detections of a scale, in pixels of the original image.

  Attributes:
    min_side: side of the square whose area is the lower limit, which does not belong to the range.
    max_side: side of the square whose area is the upper limit, which does.
  """

  min_side: NonNegativeFloat = 0.0
  max_side: PositiveFloat = 1e5


@dataclasses.dataclass
class DetectionViews(hyperparams.Config):
  """Views of an image in evaluation and prediction; see `modeling.multi_view`.

  Attributes:
    min_sizes: short sides of the resized images, one for each scale; empty: that of
      `task.validation_data.parser`.
    max_sizes: limits of their long sides; empty: in the proportion of those of the parser.
    horizontal_flip: whether each scale is also seen mirrored.
    area_ranges: areas of the detections of each scale; empty: every scale detects all objects, and
      their results are averaged.
  """

  min_sizes: list[PositiveInt] = dataclasses.field(default_factory=list)
  max_sizes: list[PositiveInt] = dataclasses.field(default_factory=list)
  horizontal_flip: bool = False
  area_ranges: list[AreaRange] = dataclasses.field(default_factory=list)


class ViewRule(NamedTuple):
  """How a view of an image is made.

  Attributes:
    resizing: rule for resizing.
    is_mirrored: whether the resized image is mirrored from left to right.
    area_range: sides of the squares whose areas bound its detections; None for no bounds.
  """

  resizing: Resizing
  is_mirrored: bool
  area_range: tuple[float, float] | None


def view_rules(views: DetectionViews, resizing: Resizing) -> list[ViewRule]:
  """The views of an image; each mirrored view follows the one that it mirrors.

  Args:
    views: configuration.
    resizing: rule for resizing in evaluation.

  Raises:
    ConfigError: the numbers of sizes and ranges differ, or a range is empty.
  """
  check_keys(views.area_ranges, AreaRange, f'{_NAME}.area_ranges')
  sizes = list(views.min_sizes) or [resizing.min_size]
  ratio = resizing.max_size / resizing.min_size
  limits = list(views.max_sizes) or [max(size, round(size * ratio)) for size in sizes]
  if not views.min_sizes and not views.max_sizes:
    limits = [resizing.max_size]
  for name, number in (('max_sizes', len(limits)), ('area_ranges', len(views.area_ranges))):
    if number and number != len(sizes):
      raise ConfigError(
        f'{_NAME}.{name} does not fit min_sizes',
        expected=f'{len(sizes)} entries, one for each scale, or none',
        got=f'{number} entries',
        likely_cause='entries for mirrored views, which have those of their scale',
      )
  for index, (size, limit) in enumerate(zip(sizes, limits)):
    if size > limit:
      raise ConfigError(
        f'{_NAME}.max_sizes[{index}] is too small',
        expected=f'{size} or more, the size of the short side',
        got=str(limit),
        likely_cause='exchanged min_sizes and max_sizes',
      )
  ranges: list[tuple[float, float]] = [
    (entry.min_side, entry.max_side) for entry in views.area_ranges
  ]
  for index, (low, high) in enumerate(ranges):
    if low >= high:
      raise ConfigError(
        f'{_NAME}.area_ranges[{index}] is empty',
        expected='max_side above min_side',
        got=f'min_side={low}, max_side={high}',
        likely_cause='exchanged min_side and max_side',
      )
  flips = (False, True) if views.horizontal_flip else (False,)
  return [
    ViewRule(Resizing(size, limit), is_mirrored, area_range)
    for size, limit, area_range in itertools.zip_longest(sizes, limits, ranges)
    for is_mirrored in flips
  ]


def overrides_of(text: str) -> dict[str, Any]:
  """The overrides that a short description of views stands for.

  Args:
    text: short sides of the resized images, separated by commas, and `flip`, such as
      '640,800+flip', '640,800' or 'flip'; '' and 'none' stand for one view.

  Raises:
    ConfigError: the text has another form.
  """
  if not isinstance(text, str):
    raise ConfigError(
      'The views of test-time augmentation cannot be read',
      expected="a text such as '640,800+flip'",
      got=repr(text),
      likely_cause='sizes as numbers',
    )
  sizes, flips = [], False
  parts = [part.strip() for part in re.split(r'[,+]', text)] if text not in ('', 'none') else []
  for part in parts:
    if part == _FLIP:
      flips = True
    elif part.isdecimal() and 1 <= int(part) <= _MAX_SIZE and int(part) not in sizes:
      sizes.append(int(part))
    else:
      raise ConfigError(
        'The views of test-time augmentation cannot be read',
        expected=f"sizes of the short side from 1 to {_MAX_SIZE}, each once, and 'flip', such as "
        '640,800+flip or flip; or none',
        got=repr(text),
        likely_cause=_cause(part, sizes),
      )
  views = {'min_sizes': sizes, 'max_sizes': [], 'horizontal_flip': flips, 'area_ranges': []}
  return {'task': {'test_time_augmentation': views}}


def _cause(part: str, sizes: Sequence[int]) -> str:
  """Why a part of a description of views cannot be read."""
  if not part:
    return 'a comma or + too many'
  if part.isdecimal() and int(part) in sizes:
    return f'{part} given twice'
  if re.fullmatch(r'[-+]?[\d.]+', part):
    return f'{part}, which is no such size'
  return f'a misspelled {part!r}'
