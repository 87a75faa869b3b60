"""A scene: regions of stuff, and things on them that cover one another.

Scenes are drawn with `SCALE` times as many pixels per side. A pixel of the picture is the mean of
its drawn pixels, and belongs to what most of them show; therefore masks are disjoint and exact.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.scenes import shapes, textures

SIDE = 192
SCALE = 4
_DRAWN = SIDE * SCALE
MIN_SIZE, MAX_SIZE = 16.0, 120.0
# A size is MIN_SIZE * (MAX_SIZE / MIN_SIZE) ** u ** _SIZE_POWER with a uniform u: half of the
# things are larger than 66 pixels, a quarter is smaller than 44.
_SIZE_POWER = 0.5
MIN_THINGS, MAX_THINGS = 4, 8
# The class of a shape by the stuff that it stands on. Boat and wreck have the same shape and the
# same surfaces, crab and spider likewise: only their surroundings tell them apart.
CLASS_OF = {
  'hull': {'water': 'boat', 'sand': 'wreck'},
  'crawler': {'sand': 'crab', 'grass': 'spider'},
  'walker': dict.fromkeys(textures.STUFF, 'walker'),
  'snake': dict.fromkeys(textures.STUFF, 'snake'),
  'windmill': dict.fromkeys(textures.STUFF, 'windmill'),
}
CLASSES = tuple(dict.fromkeys(name for names in CLASS_OF.values() for name in names.values()))
_MIN_REGIONS, _MAX_REGIONS = 2, 3
_MIN_SHARE_ON_STUFF = 0.85
_MIN_VISIBLE = 0.5  # Share of a thing that later things leave visible.
_MIN_AREA = 12  # Pixels of a visible thing.
_TRIES = 60


class Thing(NamedTuple):
  """A thing in a scene.

  Attributes:
    class_name: name in `CLASSES`.
    shape: name in `shapes.SHAPES`.
    size: longest side of its parts in pixels, whether visible or not.
    mask: [SIDE, SIDE] bool, the pixels that show it.
  """

  class_name: str
  shape: str
  size: float
  mask: np.ndarray


class Scene(NamedTuple):
  """A picture and what is in it.

  Attributes:
    picture: [SIDE, SIDE, 3] uint8 RGB.
    things: things in the order of drawing.
    ground: [SIDE, SIDE] index in `textures.STUFF` of the stuff, also where things cover it.
  """

  picture: np.ndarray
  things: list[Thing]
  ground: np.ndarray


class _Placed(NamedTuple):
  """A thing on the canvas.

  Attributes:
    class_name: its class.
    shape: its shape.
    size: longest side in pixels of the picture.
    parts: parts in drawn pixels.
    mask: [_DRAWN, _DRAWN] bool, all of it.
  """

  class_name: str
  shape: str
  size: float
  parts: shapes.Parts
  mask: np.ndarray


def paint(rng: np.random.Generator) -> Scene:
  """A scene; every drawn thing has at least `_MIN_AREA` visible pixels.

  Args:
    rng: source of all random choices.
  """
  ground = _regions(rng)
  placed = _arrange(ground, rng)
  owners = np.full([_DRAWN, _DRAWN], -1, np.int8)
  for index, thing in enumerate(placed):
    owners[thing.mask] = index
  canvas = _painted_ground(ground, rng)
  for thing in placed:
    _paint_thing(canvas, thing, rng)
  canvas *= _light(rng)[..., np.newaxis]
  picture = canvas.reshape(SIDE, SCALE, SIDE, SCALE, 3).mean((1, 3))
  picture += rng.normal(0, 2.5, picture.shape)
  majority = _majority(owners, range(-1, len(placed)))
  things = [
    Thing(thing.class_name, thing.shape, thing.size, majority == index)
    for index, thing in enumerate(placed)
  ]
  if any(thing.mask.sum() < _MIN_AREA for thing in things):
    return paint(rng)  # Thin parts of a small thing fill less than half of their pixels.
  kinds = _majority(ground, range(len(textures.STUFF)))
  return Scene(np.clip(np.rint(picture), 0, 255).astype(np.uint8), things, kinds)


def _regions(rng: np.random.Generator) -> np.ndarray:
  """Index of the stuff [_DRAWN, _DRAWN]: regions around random points, with curved borders."""
  number = int(rng.integers(_MIN_REGIONS, _MAX_REGIONS + 1))
  kinds = rng.permutation(len(textures.STUFF))[:number]
  centers = rng.uniform(0, _DRAWN, (number, 2))
  rows, columns = np.mgrid[:_DRAWN, :_DRAWN].astype(np.float32)
  size, grain = (_DRAWN, _DRAWN), (40 * SCALE, 40 * SCALE)
  rows = rows + 12 * SCALE * textures.noise(size, grain, rng)
  columns = columns + 12 * SCALE * textures.noise(size, grain, rng)
  distances = [np.hypot(rows - row, columns - column) for row, column in centers]
  return kinds.astype(np.int8)[np.argmin(distances, axis=0)]


def _arrange(ground: np.ndarray, rng: np.random.Generator) -> list[_Placed]:
  """Things in the order of drawing, none of which later ones cover too much.

  Args:
    ground: [_DRAWN, _DRAWN] index of the stuff.
    rng: source of all random choices.
  """
  placed: list[_Placed] = []
  visible: list[np.ndarray] = []
  number = int(rng.integers(MIN_THINGS, MAX_THINGS + 1))
  for _ in range(_TRIES):
    thing = _candidate(ground, rng)
    if thing is None:
      continue
    left = [mask & ~thing.mask for mask in visible]
    if any(mask.sum() < _MIN_VISIBLE * old.mask.sum() for mask, old in zip(left, placed)):
      continue
    placed.append(thing)
    visible = [*left, thing.mask]
    if len(placed) == number:
      break
  return placed


def _candidate(ground: np.ndarray, rng: np.random.Generator) -> _Placed | None:
  """A thing at a random place; None if its shape has no class on the stuff there."""
  shape = str(rng.choice(list(CLASS_OF)))
  size = MIN_SIZE * (MAX_SIZE / MIN_SIZE) ** (rng.uniform() ** _SIZE_POWER)
  margin = 0.35 * size * SCALE  # The border of the picture cuts some things.
  center = rng.uniform(margin, _DRAWN - margin, 2)
  parts = [part * size * SCALE + center for part in shapes.draw(shape, rng)]
  mask = _filled(parts)
  kinds = np.bincount(ground[mask], minlength=len(textures.STUFF))
  kind = textures.STUFF[int(kinds.argmax())]
  if kind not in CLASS_OF[shape] or kinds.max() < _MIN_SHARE_ON_STUFF * kinds.sum():
    return None
  return _Placed(CLASS_OF[shape][kind], shape, size, parts, mask)


def _filled(parts: shapes.Parts) -> np.ndarray:
  """[_DRAWN, _DRAWN] bool, the inside of parts in drawn pixels."""
  image = Image.new('1', (_DRAWN, _DRAWN))
  for part in parts:
    ImageDraw.Draw(image).polygon(_corners(part), fill=1)
  return np.array(image)


def _corners(part: np.ndarray) -> list[tuple[float, float]]:
  return [(float(x), float(y)) for x, y in part]


def _painted_ground(ground: np.ndarray, rng: np.random.Generator) -> np.ndarray:
  """[_DRAWN, _DRAWN, 3] float32 of the stuff."""
  canvas = np.zeros([_DRAWN, _DRAWN, 3], np.float32)
  for index in np.unique(ground):
    surface = textures.stuff(textures.STUFF[index], _DRAWN, SCALE, rng)
    canvas = np.where((ground == index)[..., np.newaxis], surface, canvas)
  return canvas


def _paint_thing(canvas: np.ndarray, thing: _Placed, rng: np.random.Generator) -> None:
  """Paint a thing onto the canvas, part by part; each has its own tone and a dark rim.

  Args:
    canvas: [_DRAWN, _DRAWN, 3] float32, which is changed.
    thing: the thing.
    rng: source of its surface.
  """
  image = Image.new('L', (_DRAWN, _DRAWN))
  rims = Image.new('1', (_DRAWN, _DRAWN))
  for number, part in enumerate(thing.parts, 1):
    corners = _corners(part)
    ImageDraw.Draw(image).polygon(corners, fill=number)
    ImageDraw.Draw(rims).polygon(corners, fill=0)
    ImageDraw.Draw(rims).line([*corners, corners[0]], fill=1, width=SCALE if thing.size > 24 else 1)
  numbers, dark = np.array(image)[thing.mask], np.array(rims)[thing.mask]
  rows, columns = np.nonzero(thing.mask)
  points = np.stack([columns, rows], 1) / (thing.size * SCALE)
  colors = textures.thing(thing.shape, points, thing.size, rng)
  tones = rng.uniform(0.72, 1.12, len(thing.parts) + 1)[numbers] * np.where(dark, 0.6, 1)
  canvas[thing.mask] = colors * tones[:, np.newaxis]


def _light(rng: np.random.Generator) -> np.ndarray:
  """Factors [_DRAWN, _DRAWN] on the brightness, which change over the scene."""
  slopes = rng.uniform(-0.2, 0.2, 2)
  ramp = np.linspace(-0.5, 0.5, _DRAWN, dtype=np.float32)
  light = 1 + slopes[0] * ramp[:, np.newaxis] + slopes[1] * ramp
  return (rng.uniform(0.75, 1.15) * light).astype(np.float32)


def _majority(labels: np.ndarray, names: range) -> np.ndarray:
  """The label [SIDE, SIDE] that most drawn pixels of a pixel have; of equal ones, the first.

  Args:
    labels: [_DRAWN, _DRAWN] labels.
    names: all labels.
  """
  blocks = labels.reshape(SIDE, SCALE, SIDE, SCALE)
  counts = [(blocks == name).sum((1, 3)) for name in names]
  return np.array(names)[np.argmax(counts, axis=0)]
