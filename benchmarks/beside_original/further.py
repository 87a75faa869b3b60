"""Evaluates the finished trainings of both sides on further pictures, and compares all of them.

The validation has 100 pictures, on which chance moves AP by about a point. The pictures here are
those of the test of `scenes`, continued to a larger number. Our model detects with the weights of
both sides; the table of the comparison shows that it finds what mmdetection finds.

Example:
  python -m benchmarks.beside_original.further --runs=build/beside
"""

import argparse
import functools
import glob
import os
import sys
from collections.abc import Callable
from typing import Any

from benchmarks import arguments, kept_runs, pages
from benchmarks.beside_original import evaluation, jobs, recipe, table
from benchmarks.scenes import records as scene_records
from htc_tf.cli import command
from htc_tf.errors import InputError

_SPLIT = 'test'
_NUM_PICTURES = 400
_INTERRUPTED = 'interrupted; the same command continues where this one stopped'
_PART = 'result on further pictures'
_KINDS = {'mask': 'segm', 'box': 'bbox'}
_SIDES = (recipe.OURS, recipe.ORIGINAL)


def evaluate_all(runs: str, num_pictures: int) -> list[dict[str, Any]]:
  """`figures` of both sides, `seed` and `choice` of all finished trainings.

  Args:
    runs: output folder of the trainings.
    num_pictures: number of pictures.

  Raises:
    InputError: no training is finished.
  """
  folders = [os.path.dirname(path) for path in sorted(glob.glob(f'{runs}/seed_*/{jobs.RESULT}'))]
  if not folders:
    raise InputError(
      'There is no finished training',
      expected=f'folders seed_* with {jobs.RESULT} in {runs}',
      got='none',
      likely_cause='--runs is not the --output of python -m benchmarks.beside_original',
    )
  pictures = os.path.join(os.path.abspath(runs), f'further_{num_pictures}')
  scene_records.prepare(pictures, {_SPLIT: num_pictures})
  # One model detects with all weights: the plans differ in seeds alone.
  found = functools.cache(functools.partial(_detector, folders[0], pictures))
  return [_result(folder, pictures, found) for folder in folders]


def _detector(folder: str, pictures: str) -> Callable[[str], list[dict[str, Any]]]:
  """A function from a file with weights to COCO results on the pictures."""
  from benchmarks.beside_original import ours  # TensorFlow takes seconds.

  pattern = os.path.join(pictures, 'records', f'{_SPLIT}-*.tfrecord')
  return ours.detector(recipe.read_plan(folder), pattern)


def _result(folder: str, pictures: str, detector: Callable[[], Any]) -> dict[str, Any]:
  """The result of a training; figures that exist are kept."""
  numbers, figures = recipe.read_plan(folder).recipe, {}
  for side in _SIDES:
    path = os.path.join(folder, side, f'{os.path.basename(pictures)}.json')
    if (kept := kept_runs.read_json(path)) is None:
      results = detector()(os.path.join(folder, side, recipe.FINAL))
      annotations = os.path.join(pictures, 'scenes', f'{_SPLIT}.json')
      kept = evaluation.figures(annotations, results)
      kept_runs.write_json(path, kept)
    figures[side] = kept
    text = ', '.join(f'{kind} AP {100 * kept[f"{key}_AP"]:.1f}' for kind, key in _KINDS.items())
    print(f'{numbers.name}, {side:5}: {text}', flush=True)
  return {'seed': numbers.seed, 'choice': numbers.choice, 'figures': figures}


def main(argv: list[str] | None = None) -> int:
  """Evaluate, write the table and return the exit status; see `command.run`."""
  parser = argparse.ArgumentParser(
    prog='python -m benchmarks.beside_original.further',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('--runs', required=True, help='--output of benchmarks.beside_original')
  parser.add_argument(
    '--pictures',
    type=arguments.at_least(1),
    default=_NUM_PICTURES,
    help=f'number of pictures (default: {_NUM_PICTURES})',
  )
  parser.add_argument('--docs', default='', help='page whose table is replaced')

  def execute(args: argparse.Namespace) -> int:
    results = evaluate_all(args.runs, args.pictures)
    text = table.trainings(results, f'{args.pictures} further pictures')
    if args.docs:
      pages.replace_part(args.docs, _PART, text)
    print(f'\n{text}')
    return 0

  return command.run(parser, execute, argv, _INTERRUPTED)


if __name__ == '__main__':
  sys.exit(main())
