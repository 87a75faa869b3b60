"""The trainings of a seed on both sides: each job is a process, and a finished one is kept."""

import json
import os
import sys
from typing import Any, NamedTuple

from benchmarks import kept_runs, peer
from benchmarks.beside_original import agreement, evaluation, recipe
from htc_tf.errors import TrainingError
from parity.check import Check

# Detections of our model with the weights that mmdetection trained.
HERE = 'mmdet_here'
_SIDES = (recipe.OURS, recipe.ORIGINAL)
RESULT = 'result.json'  # In the folder of a finished training.
# Folder and file of the detections of each column of the table.
_DETECTIONS = {
  recipe.ORIGINAL: (recipe.ORIGINAL, recipe.DETECTIONS),
  HERE: (recipe.ORIGINAL, 'detections_here.json'),
  recipe.OURS: (recipe.OURS, recipe.DETECTIONS),
}
_MODULES = {recipe.OURS: 'ours', recipe.ORIGINAL: 'original'}


class Job(NamedTuple):
  """A process of one side.

  Attributes:
    side: `recipe.OURS` or `recipe.ORIGINAL`.
    words: arguments of its module.
    output: file that it writes last; if it exists, the job is finished.
  """

  side: str
  words: tuple[str, ...]
  output: str


def make_plan(numbers: recipe.Recipe, data: str) -> recipe.Plan:
  """The plan of a recipe.

  Args:
    numbers: the recipe.
    data: folder of `scenes` and `records`.
  """
  scenes = os.path.join(data, 'scenes')
  with open(os.path.join(scenes, 'train.json'), encoding='utf-8') as file:
    image_ids = [image['id'] for image in json.load(file)['images']]
  order = recipe.order(numbers, image_ids)
  return recipe.Plan(numbers, scenes, os.path.join(data, 'records'), order)


def read(folder: str) -> dict[str, Any] | None:
  """The result of a seed; None if it is not finished."""
  result: dict[str, Any] | None = kept_runs.read_json(os.path.join(folder, RESULT))
  return result


def run(plan: recipe.Plan, folder: str, side: peer.Peer) -> dict[str, Any]:
  """Do what is not finished of a seed.

  Args:
    plan: the plan.
    folder: absolute path of the folder of the seed.
    side: environment of mmdetection.

  Returns:
    `checks` of the first steps (each with the attributes of `parity.check.Check`), `seconds` and
    `losses` of both sides, and `figures` of `recipe.OURS`, `recipe.ORIGINAL` and `HERE`.

  Raises:
    ConfigError: the folder has results of another plan.
    TrainingError: a process failed, or the first steps do not agree.
  """
  for name in _SIDES:
    os.makedirs(os.path.join(folder, name), exist_ok=True)
  kept_runs.keep_settings(recipe.plan_path(folder), recipe.content(plan))
  if (kept := read(folder)) is not None:
    return kept
  for job in _first_steps(folder):
    _do(job, folder, side)
  checks = _checked(folder)
  for job in _trainings(folder):
    _do(job, folder, side)
  sides = {name: _read_json(folder, (name, recipe.LOSSES_FILE)) for name in _SIDES}
  annotations = os.path.join(plan.scenes, 'val.json')
  result = {
    'checks': [check._asdict() for check in checks],
    'seconds': {name: content['seconds'] for name, content in sides.items()},
    'losses': {name: content['losses'] for name, content in sides.items()},
    'figures': {
      name: evaluation.figures(annotations, _read_json(folder, place))
      for name, place in _DETECTIONS.items()
    },
  }
  kept_runs.write_json(os.path.join(folder, RESULT), result)
  return result


def _path(folder: str, place: tuple[str, str]) -> str:
  return os.path.join(folder, *place)


def _first_steps(folder: str) -> list[Job]:
  """The jobs of both sides; the original takes our initial weights and our proposals."""
  return [
    Job(name, ('first_steps', folder), _path(folder, (name, recipe.FIRST_STEPS))) for name in _SIDES
  ]


def _trainings(folder: str) -> list[Job]:
  """Trainings, and detections for each column of the table."""
  jobs = [
    Job(name, ('train', folder), _path(folder, (name, recipe.LOSSES_FILE))) for name in _SIDES
  ]
  # Side that detects, and side that trained.
  sides = {
    recipe.OURS: (recipe.OURS, recipe.OURS),
    HERE: (recipe.OURS, recipe.ORIGINAL),
    recipe.ORIGINAL: (recipe.ORIGINAL, recipe.ORIGINAL),
  }
  for column, (side, trained) in sides.items():
    weights, output = _path(folder, (trained, recipe.FINAL)), _path(folder, _DETECTIONS[column])
    jobs.append(Job(side, ('detect', folder, weights, output), output))
  return jobs


def _do(job: Job, folder: str, side: peer.Peer) -> None:
  """Run a job unless it is finished."""
  if os.path.exists(job.output):
    return
  is_ours = job.side == recipe.OURS
  module = f'benchmarks.beside_original.{_MODULES[job.side]}'
  command = [sys.executable, '-m', module]
  if not is_ours:
    command = [side.python, '-m', module, side.first_import]
  environment = peer.environment('' if is_ours else side.path)
  print(f'{os.path.basename(folder)}: {job.side} {job.words[0]}', flush=True)
  kept_runs.call([*command, *job.words], os.path.join(folder, f'{job.side}.log'), environment)


def _checked(folder: str) -> list[Check]:
  """The checks of the first steps.

  Raises:
    TrainingError: one of them fails.
  """
  ours, original = (
    recipe.read_arrays(_path(folder, (name, recipe.FIRST_STEPS))) for name in _SIDES
  )
  initial = recipe.read_arrays(os.path.join(folder, recipe.INITIAL))
  checks = agreement.checks(initial, ours, original)
  if failed := [check for check in checks if not check.ok]:
    raise TrainingError(
      f'The first steps of both sides differ in {folder}',
      expected='; '.join(f'{check.name}: at most {check.bar:g}' for check in failed),
      got='; '.join(f'{check.measured:.2g}' for check in failed),
      likely_cause='another version of mmdetection than 3.3.0, or a change of one side',
    )
  return checks


def _read_json(folder: str, place: tuple[str, str]) -> Any:
  with open(_path(folder, place), encoding='ascii') as file:
    return json.load(file)
