"""What both trainings have in common: numbers, order of the pictures, and the files between them.

Both environments import this module, so that it needs NumPy only. Files by name, in the folder of a
seed:

  plan.json: the recipe, and the order of the pictures.
  initial.npz: the initial weights by published name, in the published layout.
  ours/*, mmdet/*: results of a side; see `FIRST_STEPS` and the constants after it.
"""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from parity.loss_names import TOTAL

OURS, ORIGINAL = 'ours', 'mmdet'
DECAYS = (8 / 12, 11 / 12)  # Shares of the run after which the learning rate is lowered.
WARMUP_FACTOR = 0.001
NUM_FIRST_STEPS = 5
REPORT_STEPS = 50  # Steps between two lines of the log.
INITIAL = 'initial.npz'
# Of the first steps with given proposals and even sampling: the network input and the ground truth
# of the first step, proposals and losses of each, and the weights after the last one.
FIRST_STEPS = 'first_steps.npz'
LOSSES_FILE = 'losses.json'  # {name: [steps]} of the training, and its `seconds`.
FINAL = 'final.npz'  # The trained weights, in the form of `INITIAL`.
DETECTIONS = 'detections.json'  # COCO results on the validation pictures.
_PLAN = 'plan.json'
_SLOW_STEPS = 800


class Recipe(NamedTuple):
  """Model, data and schedule of both sides. What is not here is as in the published HTC.

  Attributes:
    seed: seed of initial weights and order of the pictures.
    num_images: number of training pictures.
    num_classes: number of classes of things.
    num_semantic_classes: number of classes of the stuff maps.
    side: height and width of the pictures in pixels.
    epochs: number of passes over the training pictures.
    batch_size: number of pictures per step.
    learning_rate: learning rate after the warm-up.
    momentum: momentum of SGD.
    weight_decay: weight decay of all trained parameters.
    clip_norm: largest norm of all gradients together, above which they are scaled down.
    base_channels: number of channels of the stem of ResNet-18, 64 as published.
    channels: number of channels of the pyramid and of the heads.
    units: number of units of the layers of the box heads.
    num_convs: number of convolutions of the mask heads and of the semantic branch.
    num_rois: number of RoIs per picture that each branch is trained on.
    num_proposals: number of proposals per picture.
    choice: seed of the random choice of anchors and RoIs; None for `seed`.
  """

  seed: int
  num_images: int
  num_classes: int
  num_semantic_classes: int
  side: int
  epochs: int
  batch_size: int
  learning_rate: float = 0.02
  momentum: float = 0.9
  weight_decay: float = 1e-4
  clip_norm: float = 10.0
  base_channels: int = 32
  channels: int = 64
  units: int = 128
  num_convs: int = 2
  num_rois: int = 64
  num_proposals: int = 300
  choice: int | None = None

  @property
  def name(self) -> str:
    """Name of the training, e.g. 'seed_0' or 'seed_0_choice_3'."""
    return f'seed_{self.seed}' + ('' if self.choice is None else f'_choice_{self.choice}')

  @property
  def sampling_seed(self) -> int:
    """Seed of the random choice of anchors and RoIs."""
    return self.seed if self.choice is None else self.choice

  @property
  def num_steps(self) -> int:
    """Number of steps of a training."""
    return self.epochs * (self.num_images // self.batch_size)

  @property
  def warmup_steps(self) -> int:
    """Number of steps of the linear warm-up, which starts at a thousandth of the rate."""
    return max(1, self.num_steps // 8)


class Plan(NamedTuple):
  """Everything that both sides follow.

  Attributes:
    recipe: the recipe.
    scenes: folder of the pictures, annotations and stuff maps.
    records: folder of the records of the same data.
    order: [steps, batch] ids of the training pictures.
  """

  recipe: Recipe
  scenes: str
  records: str
  order: list[list[int]]


def rates(recipe: Recipe) -> np.ndarray:
  """[steps] float64 learning rates: the published 1x schedule in fewer epochs.

  After a linear warm-up, the rate is divided by ten at 8/12 and at 11/12 of the run.

  Args:
    recipe: the recipe.
  """
  steps = np.arange(recipe.num_steps)
  decays = sum(steps >= round(recipe.num_steps * share) for share in DECAYS)
  warmup = np.minimum(1.0, WARMUP_FACTOR + (1.0 - WARMUP_FACTOR) * steps / recipe.warmup_steps)
  return recipe.learning_rate * warmup * 0.1**decays


def of_first_steps(recipe: Recipe) -> Recipe:
  """The recipe of the first steps: at least as many steps as have a slow warm-up.

  With a short one, the weights move far, and rounding grows.

  Args:
    recipe: the recipe of the training.
  """
  steps_per_epoch = recipe.num_images // recipe.batch_size
  return recipe._replace(epochs=max(recipe.epochs, -(-_SLOW_STEPS // steps_per_epoch)))


def order(recipe: Recipe, image_ids: Sequence[int]) -> list[list[int]]:
  """Ids of the pictures of each step; each epoch has another permutation of all of them.

  Pictures that do not fill the last batch of an epoch are left out.

  Args:
    recipe: the recipe.
    image_ids: ids of the training pictures.
  """
  generator = np.random.default_rng(recipe.seed)
  num = len(image_ids) // recipe.batch_size * recipe.batch_size
  steps: list[list[int]] = []
  for _ in range(recipe.epochs):
    epoch = generator.permutation(np.sort(image_ids))[:num]
    steps += epoch.reshape(-1, recipe.batch_size).tolist()
  return steps


def content(plan: Plan) -> dict[str, Any]:
  """The plan as JSON has it."""
  return {**plan._asdict(), 'recipe': plan.recipe._asdict()}


def read_plan(folder: str) -> Plan:
  """The plan of a seed."""
  with open(plan_path(folder), encoding='ascii') as file:
    found = json.load(file)
  return Plan(**{**found, 'recipe': Recipe(**found['recipe'])})


def plan_path(folder: str) -> str:
  """Path of the plan of a seed."""
  return os.path.join(folder, _PLAN)


def write_json(path: str, content: Any) -> None:
  """Write a JSON file, completely or not at all."""
  with open(f'{path}.part', 'w', encoding='ascii') as file:
    json.dump(content, file)
  os.replace(f'{path}.part', path)


def write_arrays(path: str, arrays: Mapping[str, Any]) -> None:
  """Write an `.npz` file, completely or not at all."""
  with open(f'{path}.part', 'wb') as file:
    np.savez(file, **arrays)
  os.replace(f'{path}.part', path)


def read_arrays(path: str) -> dict[str, np.ndarray]:
  """The arrays of an `.npz` file."""
  with np.load(path) as file:
    return dict(file)


def progress(
  step: int, recipe: Recipe, curves: Mapping[str, Sequence[float]], seconds: float
) -> str:
  """A line of the log of a training.

  Args:
    step: number of finished steps.
    recipe: the recipe.
    curves: losses of each step by name.
    seconds: time since the first step.
  """
  last = curves[TOTAL][-REPORT_STEPS:]
  return (
    f'step {step} of {recipe.num_steps}: loss {sum(last) / len(last):.3f}, {seconds / step:.2f} '
    's/step'
  )
