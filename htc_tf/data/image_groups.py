"""Groups of images that belong together: frames of a video, copies and tiles of a picture."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from htc_tf.data import tiles
from htc_tf.errors import ConfigError

Entry = dict[str, Any]

AUTOMATIC, NONE = 'auto', 'none'
# Fields of image entries that name a group, in the order of preference.
_GROUP_FIELDS = (
  *('group', 'group_id', 'video_id', 'video', 'sequence_id', 'seq_id', 'scene_id', 'scene'),
  *('patient_id', 'slide_id'),
)
# Names of files with the group as the first part: augmented copies by Roboflow, and frames.
# Roboflow writes leaf.jpg as leaf_jpg.rf.<hash>.jpg, and frame 7 of clip.mp4 as
# clip_mp4-7_jpg.rf.<hash>.jpg.
_COPY = re.compile(r'(.+)\.rf\.[0-9A-Za-z]{8,}\.[a-z]+')
_FRAME = re.compile(
  r'(.*?)[-_. ]*frame[-_. ]*(\d+)[._]\w+|(.+)_(?:mp4|mov|avi|mkv|webm)-(\d+)[._]\w+',
  re.IGNORECASE,
)
_COPIES = 'copies of one image (.rf. in the names)'
_FRAMES = 'frames of a video (frame numbers in the names)'
_NUM_STRETCHES = 10
_STRETCHES = 'stretches of successive frames of the one video'


class _Frame(NamedTuple):
  """The video that a file is a frame of, by the name of the file, and the number of the frame."""

  video: str
  number: int


def find(
  images: Sequence[Entry], group_by: str, copies: Mapping[str, str]
) -> tuple[str, list[list[int]]]:
  """What images are grouped by, and the ids of the images of each group, in the order of images.

  Images with the same key are a group, and so are those with the same file or a copy of it. The
  frames of a single video cannot stay together; ten stretches of successive frames do.

  Args:
    images: COCO image entries.
    group_by: see `split.Division`.
    copies: for names of files with the content of another one, the name of that one.

  Raises:
    ConfigError: `group_by` fits no image.
  """
  grouping, keys = _grouping(images, group_by)
  joined = _Joined()
  marks = []
  for image, key in zip(images, keys):
    name = tiles.file_name(image)
    marks.append(('file', copies.get(name, name)))
    if key is not None:
      joined.join(marks[-1], ('key', key))
  found: dict[Any, list[int]] = {}
  for image, mark in zip(images, marks):
    found.setdefault(joined.first(mark), []).append(image['id'])
  return grouping, list(found.values())


class _Joined:
  """Sets of things that belong together, each with one of them as its first (union-find)."""

  def __init__(self) -> None:
    self._above: dict[Any, Any] = {}

  def first(self, thing: Any) -> Any:
    """The first one of the set of a thing."""
    path = []
    while thing in self._above:
      path.append(thing)
      thing = self._above[thing]
    self._above.update(dict.fromkeys(path, thing))
    return thing

  def join(self, thing: Any, other: Any) -> None:
    """Make one set of those of two things."""
    first, second = self.first(thing), self.first(other)
    if first != second:
      self._above[second] = first


def _grouping(images: Sequence[Entry], group_by: str) -> tuple[str, list[Any]]:
  alone = [None] * len(images)
  if group_by == NONE:
    return '', alone
  if group_by == AUTOMATIC:
    return next(_automatic(images), ('', alone))
  keys = _values(images, group_by)
  if any(key is not None for key in keys):
    return group_by, keys
  try:
    expression = re.compile(group_by)
  except re.error as error:
    raise _unknown_grouping(images, group_by, f'no regular expression either: {error}') from error
  keys = [_matched(expression, tiles.file_name(image)) for image in images]
  if all(key is None for key in keys):
    raise _unknown_grouping(images, group_by, 'nothing found in file names either')
  return group_by, keys


def _automatic(images: Sequence[Entry]) -> Iterator[tuple[str, list[Any]]]:
  """Groupings by known fields and by names, of those that put two images into a group."""
  for field in _GROUP_FIELDS:
    yield from _useful(field, _values(images, field))
  names = list(map(tiles.file_name, images))
  copied = [match[1] if (match := _COPY.fullmatch(name)) else None for name in names]
  found = [_frame(copy or name) for copy, name in zip(copied, names)]
  videos = [frame.video if frame else None for frame in found]
  # Frames of a video may have copies, too.
  for _ in _useful(_FRAMES, videos):
    yield _FRAMES, [video if copy is None else video or copy for video, copy in zip(videos, copied)]
  frames = [frame for frame in found if frame is not None]
  if len(frames) == len(images) and len(set(videos)) == 1:
    yield from _useful(_STRETCHES, _stretches([frame.number for frame in frames]))
  yield from _useful(_COPIES, copied)


def _stretches(numbers: Sequence[int]) -> list[Any]:
  """Index of the stretch of each frame; copies of a frame have its number."""
  different = sorted(set(numbers))
  rank = {number: index for index, number in enumerate(different)}
  return [rank[number] * _NUM_STRETCHES // len(different) for number in numbers]


def _useful(name: str, keys: list[Any]) -> Iterator[tuple[str, list[Any]]]:
  found = [key for key in keys if key is not None]
  if len(set(found)) < len(found) and (len(set(found)) > 1 or len(found) < len(keys)):
    yield name, keys


def _values(images: Sequence[Entry], field: str) -> list[Any]:
  """The values of a field as text or numbers; None where an entry lacks it."""
  values = [image.get(field) for image in images]
  return [value if isinstance(value, (str, int)) and value != '' else None for value in values]


def _frame(name: str) -> _Frame | None:
  match = _FRAME.fullmatch(name)
  return _Frame(match[1] or match[3] or '', int(match[2] or match[4])) if match else None


def _matched(expression: re.Pattern[str], name: str) -> str | None:
  match = expression.search(name)
  return (match[1] if expression.groups else match[0]) if match else None


def _unknown_grouping(images: Sequence[Entry], group_by: str, detail: str) -> ConfigError:
  return ConfigError(
    'The images cannot be grouped',
    expected=f'{AUTOMATIC}, {NONE}, a field of the image entries, or a regular expression that file'
    ' names match',
    got=f'{group_by!r}: no such field in {sorted(images[0])}; {detail}',
    likely_cause='a misspelled field, or an expression for other file names than '
    f'{images[0]["file_name"]!r}',
  )
