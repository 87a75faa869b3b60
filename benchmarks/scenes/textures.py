"""Surfaces: textures of stuff and of things, [height, width, 3] float32 RGB from 0 to 255."""

import numpy as np
from PIL import Image

STUFF = ('water', 'sand', 'grass', 'stone')
_STUFF_COLORS = {
  'water': (84, 118, 138),
  'sand': (176, 156, 118),
  'grass': (104, 126, 76),
  'stone': (132, 128, 124),
}
# Large enough that colors of stuff overlap, so that their texture counts too.
_COLOR_DEVIATION = 16
# Means of the colors of things by shape. With their deviation, shapes share some colors, so that
# the outline counts too.
_THING_COLORS = {
  'hull': (168, 74, 52),
  'crawler': (142, 62, 150),
  'walker': (58, 88, 196),
  'snake': (206, 186, 54),
  'windmill': (222, 218, 206),
}
_THING_DEVIATION = 30


def noise(
  size: tuple[int, int], grain: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
  """Smooth noise [height, width] float32 of mean 0 and a deviation near 1.

  Args:
    size: height and width in pixels.
    grain: height and width of a bump in pixels.
    rng: source of the noise.
  """
  height, width = (max(2, round(side / step) + 1) for side, step in zip(size, grain))
  coarse = rng.standard_normal((height, width), np.float32)
  resized = Image.fromarray(coarse).resize((size[1], size[0]), Image.Resampling.BICUBIC)
  return np.asarray(resized)


def stuff(kind: str, side: int, scale: int, rng: np.random.Generator) -> np.ndarray:
  """A square that is filled with stuff.

  Args:
    kind: name in `STUFF`.
    side: side in drawn pixels.
    scale: drawn pixels per pixel of the picture.
    rng: source of color and texture.
  """
  color = np.array(_STUFF_COLORS[kind]) + rng.normal(0, _COLOR_DEVIATION, 3)
  brightness = _BRIGHTNESS[kind](side, scale, rng)
  brightness = brightness + 9 * noise((side, side), (32 * scale, 32 * scale), rng)
  return (color + brightness[..., np.newaxis]).astype(np.float32)


def thing(shape: str, points: np.ndarray, size: float, rng: np.random.Generator) -> np.ndarray:
  """Colors [..., 3] float32 of a thing with stripes, spots or squares of two colors, or with none.

  Args:
    shape: name in `shapes.SHAPES`, which has a typical color.
    points: [..., 2] x, y in units of the thing's longest side.
    size: longest side in pixels of the picture; the pattern of a small thing is coarser.
    rng: source of colors and pattern.
  """
  first = np.clip(rng.normal(_THING_COLORS[shape], _THING_DEVIATION), 10, 245)
  second = np.clip(first + rng.choice([-1, 1], 3) * rng.uniform(20, 60, 3), 10, 245)
  frequency = min(rng.uniform(14, 32), size / 2)
  turn = rng.uniform(0, np.pi)
  along = frequency * (points[..., 0] * np.cos(turn) + points[..., 1] * np.sin(turn))
  across = frequency * (points[..., 1] * np.cos(turn) - points[..., 0] * np.sin(turn))
  pattern = (
    np.zeros_like(along),
    np.sin(along),
    np.sin(along) * np.sin(across),
    np.sign(np.sin(along)) * np.sign(np.sin(across)),
  )[rng.integers(4)]
  share = (np.clip(2 * pattern, -1, 1) + 1) / 2
  return (first + share[..., np.newaxis] * (second - first)).astype(np.float32)


def _water(side: int, scale: int, rng: np.random.Generator) -> np.ndarray:
  rows = np.arange(side, dtype=np.float32)[:, np.newaxis] / scale
  bend = noise((side, side), (10 * scale, 24 * scale), rng)
  return 11 * np.sin(rows * rng.uniform(0.7, 1.1) + 2.2 * bend)


def _sand(side: int, scale: int, rng: np.random.Generator) -> np.ndarray:
  grains = noise((side, side), (scale, scale), rng)
  return 9 * grains + 6 * noise((side, side), (6 * scale, 6 * scale), rng)


def _grass(side: int, scale: int, rng: np.random.Generator) -> np.ndarray:
  blades = noise((side, side), (7 * scale, 1.3 * scale), rng)
  return 15 * blades + 5 * noise((side, side), (14 * scale, 14 * scale), rng)


def _stone(side: int, scale: int, rng: np.random.Generator) -> np.ndarray:
  """Slabs with joints between them, every second row shifted by half a slab."""
  height, width = (rng.uniform(low, high) * scale for low, high in ((9, 13), (14, 22)))
  rows, columns = np.mgrid[:side, :side].astype(np.float32)
  row = np.floor(rows / height)
  columns = columns + (row % 2) * width / 2
  column = np.floor(columns / width)
  tones = rng.normal(0, 7, (int(row.max()) + 1, int(column.max()) + 1))
  surface = tones[row.astype(int), column.astype(int)]
  joint = np.minimum(rows - row * height, columns - column * width) < 1.2 * scale
  return np.where(joint, -26, surface) + 3 * noise((side, side), (scale, scale), rng)


_BRIGHTNESS = {'water': _water, 'sand': _sand, 'grass': _grass, 'stone': _stone}
