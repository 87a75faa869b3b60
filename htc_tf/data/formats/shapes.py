"""Shapes that annotation tools draw, as polygons: flat lists x1, y1, x2, y2, ..."""

import math
from typing import Any

from htc_tf.data import json_values

# A polygon with this distance from its circle differs by less than the rounding to pixels.
_MAX_DISTANCE = 0.05
_MIN_POINTS, _MAX_POINTS = 16, 720

Polygon = list[float]


def points(value: Any) -> Polygon | None:
  """The coordinates of a list of [x, y] pairs; None if a value is no finite number.

  Args:
    value: value of an annotation file.
  """
  if not isinstance(value, list):
    return None
  flat: Polygon = []
  for point in value:
    if not isinstance(point, list) or len(point) < 2:
      return None
    x, y = json_values.number(point[0]), json_values.number(point[1])
    if x is None or y is None:
      return None
    flat += [x, y]
  return flat


def rectangle(left: float, top: float, right: float, bottom: float) -> Polygon:
  """A rectangle by two opposite corners, which may be exchanged."""
  left, right = sorted((left, right))
  top, bottom = sorted((top, bottom))
  return [left, top, right, top, right, bottom, left, bottom]


def rotated_rectangle(
  left: float, top: float, right: float, bottom: float, degrees: float
) -> Polygon:
  """A rectangle turned clockwise, as seen on the screen, about its center."""
  corners = rectangle(left, top, right, bottom)
  return _rotated(corners, (left + right) / 2, (top + bottom) / 2, math.radians(degrees))


def ellipse(x: float, y: float, radius_x: float, radius_y: float, radians: float = 0) -> Polygon:
  """An ellipse, turned clockwise as seen on the screen, by a polygon of the same area."""
  radius = max(abs(radius_x), abs(radius_y))
  steps = _MAX_POINTS
  if radius > 0:
    steps = math.ceil(math.pi / math.acos(max(1 - _MAX_DISTANCE / radius, 0)))
    steps = min(max(steps, _MIN_POINTS), _MAX_POINTS)
  angle = 2 * math.pi / steps
  scale = math.sqrt(angle / math.sin(angle))  # A polygon inside the ellipse would be smaller.
  flat: Polygon = []
  for step in range(steps):
    flat += [
      x + scale * radius_x * math.cos(step * angle),
      y + scale * radius_y * math.sin(step * angle),
    ]
  return _rotated(flat, x, y, radians) if radians else flat


def _rotated(flat: Polygon, center_x: float, center_y: float, radians: float) -> Polygon:
  cosine, sine = math.cos(radians), math.sin(radians)
  rotated: Polygon = []
  for x, y in zip(flat[::2], flat[1::2]):
    rotated += [
      center_x + (x - center_x) * cosine - (y - center_y) * sine,
      center_y + (x - center_x) * sine + (y - center_y) * cosine,
    ]
  return rotated


def bounds(polygons: list[Polygon]) -> list[float]:
  """The box x, y, width, height around polygons with at least one point."""
  x = [value for polygon in polygons for value in polygon[::2]]
  y = [value for polygon in polygons for value in polygon[1::2]]
  return [min(x), min(y), max(x) - min(x), max(y) - min(y)]
