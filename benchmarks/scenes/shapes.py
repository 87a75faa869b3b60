"""Outlines of things: parts that are joined at random angles.

A shape is a list of convex parts, each [points, 2] float x, y with y downwards; a later part covers
an earlier one. Shapes are scaled to a longest side of 1 around the origin.
"""

from collections.abc import Callable

import numpy as np

Parts = list[np.ndarray]

_ARC_POINTS = 10


def hull(rng: np.random.Generator) -> Parts:
  """A hull with a mast and two sails that lean."""
  width = rng.uniform(0.45, 0.6)
  body = np.array([[-width, 0], [width, 0], [0.65 * width, 0.34], [-0.65 * width, 0.34]])
  foot = np.array([rng.uniform(-0.15, 0.1), 0.03])
  lean = rng.uniform(-0.3, 0.3)
  mast, top = _limb(foot, -np.pi / 2 + lean, rng.uniform(0.7, 0.95), 0.05, 0.04)
  boom = foot + rng.uniform(0.65, 0.9) * width * _direction(rng.uniform(-0.35, 0.05))
  jib = foot + rng.uniform(-0.85, -0.65) * width * _direction(rng.uniform(-0.05, 0.25))
  sails = [np.stack([top, end, foot + 0.1 * (top - foot)]) for end in (boom, jib)]
  return _turned([mast, *sails, body], rng.uniform(-0.35, 0.35))


def crawler(rng: np.random.Generator) -> Parts:
  """A round body on six legs that each have a knee."""
  parts = []
  for side in (-1, 1):
    for place in (-1, 0, 1):
      start = np.array([0.16 * place, 0.13 * side])
      angle = side * (np.pi / 2 - 0.6 * place + rng.uniform(-0.25, 0.25))
      thigh, knee = _limb(start, angle, rng.uniform(0.2, 0.26), 0.085, 0.075)
      bend = rng.uniform(0.4, 1.1) * (-side if place > 0 else side)
      shin, _ = _limb(knee, angle + bend, rng.uniform(0.16, 0.22), 0.075, 0.055)
      parts += [shin, thigh]
  body = _ellipse(np.zeros(2), rng.uniform(0.28, 0.34), rng.uniform(0.22, 0.28))
  head = _ellipse(np.array([0.33, 0]), 0.14, 0.14)
  return _turned([*parts, body, head], rng.uniform(0, 2 * np.pi))


def walker(rng: np.random.Generator) -> Parts:
  """A figure with a head, and arms and legs of two parts each."""
  hip, shoulder, neck = (np.array([0, y]) for y in (0.05, -0.33, -0.38))
  parts = []
  for side in (-1, 1):
    angle = np.pi / 2 - side * rng.uniform(0.1, 0.7)
    thigh, knee = _limb(hip, angle, 0.28, 0.125, 0.1)
    shin, _ = _limb(knee, angle + rng.uniform(-0.1, 0.8), 0.26, 0.1, 0.08)
    angle = np.pi / 2 - side * rng.uniform(0.3, 2.4)
    arm, elbow = _limb(shoulder, angle, 0.24, 0.09, 0.08)
    hand, _ = _limb(elbow, angle + rng.uniform(-1.4, 1.4), 0.2, 0.08, 0.065)
    parts += [shin, thigh, hand, arm]
  torso, _ = _limb(hip, -np.pi / 2, 0.4, 0.16, 0.18)
  head = _ellipse(neck - [0, 0.2], 0.14, 0.16)
  return _turned([*parts, torso, head], rng.uniform(-0.4, 0.4))


def snake(rng: np.random.Generator) -> Parts:
  """A chain of four to six links that bends, with a head at one end."""
  number = int(rng.integers(4, 7))
  end, angle, bend = np.zeros(2), 0.0, rng.choice([-1.0, 1.0])
  parts = []
  for link in range(number):
    radius = 0.15 * (0.6 + 0.4 * (link + 1) / number)
    part, end = _limb(end, angle, rng.uniform(0.24, 0.32), 0.9 * radius, radius)
    parts.append(part)
    bend = -bend if rng.uniform() < 0.4 else bend
    angle += bend * rng.uniform(0.3, 0.95)
  head = _turned([_ellipse(np.zeros(2), 0.2, 0.17)], angle)[0] + end
  return _turned([*parts, head], rng.uniform(0, 2 * np.pi))


def windmill(rng: np.random.Generator) -> Parts:
  """A pole with three to five blades, each a strut and a plate."""
  number = int(rng.integers(3, 6))
  pole = np.array([[-0.08, 0], [0.08, 0], [0.15, 0.75], [-0.15, 0.75]])
  parts = [pole]
  start = rng.uniform(0, 2 * np.pi)
  for blade in range(number):
    angle = start + 2 * np.pi * blade / number + rng.uniform(-0.12, 0.12)
    strut, end = _limb(np.zeros(2), angle, 0.16, 0.06, 0.06)
    plate, _ = _limb(end, angle + rng.uniform(-0.2, 0.2), 0.28, 0.12, 0.15)
    parts += [strut, plate]
  parts.append(_ellipse(np.zeros(2), 0.12, 0.12))
  return _turned(parts, rng.uniform(-0.35, 0.35))


SHAPES: dict[str, Callable[[np.random.Generator], Parts]] = {
  function.__name__: function for function in (hull, crawler, walker, snake, windmill)
}


def draw(shape: str, rng: np.random.Generator) -> Parts:
  """Parts of a shape around the origin; the longest side of the box around them is 1.

  Args:
    shape: name in `SHAPES`.
    rng: source of the joints' angles.
  """
  parts = SHAPES[shape](rng)
  points = np.concatenate(parts)
  low, high = points.min(0), points.max(0)
  return [(part - (low + high) / 2) / (high - low).max() for part in parts]


def _direction(angle: float) -> np.ndarray:
  return np.array([np.cos(angle), np.sin(angle)])


def _turned(parts: Parts, angle: float) -> Parts:
  cosine, sine = _direction(angle)
  return [part @ np.array([[cosine, sine], [-sine, cosine]]) for part in parts]


def _ellipse(center: np.ndarray, radius_x: float, radius_y: float) -> np.ndarray:
  angles = np.linspace(0, 2 * np.pi, 2 * _ARC_POINTS, endpoint=False)
  return center + np.stack([radius_x * np.cos(angles), radius_y * np.sin(angles)], 1)


def _limb(
  start: np.ndarray, angle: float, length: float, start_radius: float, end_radius: float
) -> tuple[np.ndarray, np.ndarray]:
  """A tapered part with round ends, and its end point.

  Args:
    start: [2] x, y of the joint that it starts at.
    angle: direction in radians; 0 is to the right, pi / 2 downwards.
    length: distance of the joints.
    start_radius: half of the width at the start.
    end_radius: half of the width at the end.
  """
  end = start + length * _direction(angle)
  arc = np.linspace(-np.pi / 2, np.pi / 2, _ARC_POINTS)
  circles = [
    center + radius * np.stack([np.cos(arc + turn), np.sin(arc + turn)], 1)
    for center, radius, turn in ((end, end_radius, angle), (start, start_radius, angle + np.pi))
  ]
  return np.concatenate(circles), end
