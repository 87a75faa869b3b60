"""Comparison of the first steps of both sides, from the same weights and with the same samples.

Our proposals are given to the original, and both sample anchors and RoIs at even distances, so that
nothing is random. A step later, a box may already be on the other side of a threshold of the IoU
because of rounding, so that the bars of later steps are wider. Mask losses have a wider bar in the
first step too: RoIs include the true boxes, whose corners are whole pixels, so that about one pixel
of 1000 of their mask targets has a mean of exactly 0.5, the threshold, before rounding.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from benchmarks.beside_original import recipe
from parity.check import Check, at_most

_PROPOSAL_PX = 0.05
_RUNNING = '.running_'

Arrays = Mapping[str, np.ndarray]


def checks(initial: Arrays, ours: Arrays, original: Arrays) -> list[Check]:
  """All checks of the first steps.

  Args:
    initial: the initial weights.
    ours: our first steps; see `recipe.FIRST_STEPS`.
    original: those of mmdetection.
  """
  later = range(1, recipe.NUM_FIRST_STEPS)
  last = recipe.NUM_FIRST_STEPS
  first = _losses(ours, [0])
  return [
    *_input_checks(ours, original),
    at_most(
      'learning rates, largest relative difference', _relative(ours, original, ['rates']), 1e-6
    ),
    at_most(
      f'proposals of step 1: share not found within {_PROPOSAL_PX} px',
      _lost_proposals(ours, original),
      1e-2,
    ),
    at_most(
      'losses of step 1 but for masks, largest relative difference',
      _relative(ours, original, [name for name in first if not _has_masks(name)]),
      1e-5,
    ),
    at_most(
      'mask losses and total of step 1, largest relative difference',
      _relative(ours, original, [name for name in first if _has_masks(name)]),
      1e-3,
    ),
    at_most(
      f'losses of steps 2 to {last}, largest relative difference',
      _relative(ours, original, _losses(ours, later)),
      1e-2,
    ),
    at_most(
      f'update of the parameters in {last} steps: norm of the difference / norm',
      _difference_of_updates(initial, ours, original, running=False),
      1e-2,
    ),
    at_most(
      f'update of the running statistics in {last} steps: norm of the difference / norm',
      _difference_of_updates(initial, ours, original, running=True),
      1e-2,
    ),
  ]


def _input_checks(ours: Arrays, original: Arrays) -> Iterator[Check]:
  """Checks of the pictures, and of boxes, classes, masks and stuff maps of the first step."""
  keys = {key for key in {*ours, *original} if key.startswith('input/')}
  images = 'input/images'
  difference = np.abs(ours[images] - original[images]).max()
  yield at_most('network input of step 1, largest difference', difference, 1e-5)
  wrong = sum(not _equal(ours, original, key) for key in keys - {images})
  yield at_most('ground truth of step 1: arrays that differ', wrong, 0)


def _equal(ours: Arrays, original: Arrays, key: str) -> bool:
  return key in ours and key in original and np.array_equal(ours[key], original[key])


def _losses(arrays: Arrays, steps: range | list[int]) -> list[str]:
  return [key for step in steps for key in arrays if key.startswith(f'loss/{step}/')]


def _has_masks(name: str) -> bool:
  """Whether a loss contains losses of mask targets."""
  return name.endswith(('_mask_loss', '/total'))


def _relative(ours: Arrays, original: Arrays, keys: list[str]) -> float:
  """Largest relative difference of the values of some keys."""
  return max(float(np.abs(ours[key] / original[key] - 1.0).max()) for key in keys)


def _lost_proposals(ours: Arrays, original: Arrays) -> float:
  """Largest share of proposals of a picture of the first step that only one side has."""
  shares = []
  for key in ours:
    if key.startswith('proposals/0/'):
      distances = np.abs(ours[key][:, np.newaxis] - original[key]).max(-1)  # [ours, original]
      shares += [np.mean(distances.min(axis) > _PROPOSAL_PX) for axis in (0, 1)]
  return float(max(shares))


def _difference_of_updates(initial: Arrays, ours: Arrays, original: Arrays, running: bool) -> float:
  """Norm of the difference of the weights of both sides, divided by the norm of their change.

  Args:
    initial: the initial weights.
    ours: our first steps.
    original: those of mmdetection.
    running: whether to compare running statistics, and not parameters.
  """
  difference = change = 0.0
  for name, start in initial.items():
    if (_RUNNING in name) == running:
      end = ours[f'weights/{name}'].astype(np.float64)
      difference += np.sum((end - original[f'weights/{name}']) ** 2)
      change += np.sum((end - start) ** 2)
  return float(np.sqrt(difference / change))
