"""Trains the same small HTC here and by mmdetection, and writes table and loss curves.

Both sides start from the same random weights, and see the same pictures of `scenes` in the same
order, with the same schedule. They differ in the random choice of anchors and RoIs. Before a
training, its first steps are compared without that choice. After an interruption, the same command
continues with the first unfinished training. `--choices` tells how far chance alone leads: it
trains each seed again from the same weights with other random choices.

Examples:
  python -m benchmarks.beside_original --output=build/beside --peer=/path/to/python
  python -m benchmarks.beside_original --output=build/beside --peer=/path/to/python --choices=10,11
"""

import argparse
import os
import sys

from benchmarks import arguments, pages, peer
from benchmarks.beside_original import jobs, recipe, table
from benchmarks.scenes import dataset, painting
from benchmarks.scenes import records as scene_records
from htc_tf.cli import command
from htc_tf.errors import InputError

_INTERRUPTED = 'interrupted; the same command continues where this one stopped'
_SEEDS = (0, 1, 2)
_REPORT = pages.Report(
  'beside', 'result of the trainings', 'pictures/training_parity.png', 'Losses of both sides'
)


def train_all(recipes: list[recipe.Recipe], output: str, side: peer.Peer) -> table.Results:
  """Do all trainings that are not finished; return the results of all.

  Args:
    recipes: the recipes.
    output: folder of data and runs.
    side: environment of mmdetection.
  """
  output = os.path.abspath(output)
  scene_records.prepare(output)
  results = []
  for numbers in recipes:
    folder = os.path.join(output, numbers.name)
    result = jobs.run(jobs.make_plan(numbers, output), folder, side)
    for name, seconds in result['seconds'].items():
      mask, box = (100 * result['figures'][name][f'{kind}_AP'] for kind in ('segm', 'bbox'))
      text = f'mask AP {mask:5.1f}, box AP {box:5.1f}, {seconds / 60:5.1f} min'
      print(f'{numbers.name}, {name:5}: {text}', flush=True)
    results.append({**result, 'seed': numbers.seed, 'choice': numbers.choice})
    write_tables(output, results)
  return results


def write_tables(output: str, results: table.Results, page: str = '') -> None:
  """Write table and figure.

  Args:
    output: output folder.
    results: results of the finished trainings.
    page: page in Markdown whose table is replaced, with the figure in `pictures` beside it; '' for
      none.
  """
  text = table.markdown(results)
  _REPORT.write(output, text, lambda path: table.draw(path, results), page)


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='python -m benchmarks.beside_original',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('--output', required=True, help='folder of data, runs, table and figure')
  parser.add_argument(
    '--seeds', type=arguments.some_of(_SEEDS), default=list(_SEEDS), help='default: 0,1,2'
  )
  parser.add_argument(
    '--choices',
    type=arguments.list_of(arguments.at_least(0)),
    default=[],
    help='seeds of the random choice of anchors and RoIs: for each one, every seed is trained once '
    'more (default: none)',
  )
  parser.add_argument(
    '--epochs', type=arguments.at_least(1), default=8, help='epochs of a training (default: 8)'
  )
  parser.add_argument(
    '--batch_size', type=arguments.at_least(1), default=4, help='images per step (default: 4)'
  )
  parser.add_argument('--docs', default='', help='page whose table and figure are replaced')
  peer.add_arguments(parser)
  return parser


def main(argv: list[str] | None = None) -> int:
  """Run the comparison and return the exit status; see `command.run`."""

  def execute(args: argparse.Namespace) -> int:
    side = peer.of(args)
    if side is None:
      raise InputError(
        'There is nothing to compare with',
        expected='--peer=PYTHON of an environment with mmdet 3.3.0 and mmcv',
        got='no --peer',
      )
    recipes = [
      recipe.Recipe(
        seed=seed,
        num_images=dataset.SPLITS['train'],
        num_classes=len(painting.CLASSES),
        num_semantic_classes=len(dataset.SEMANTIC_CLASSES),
        side=painting.SIDE,
        epochs=args.epochs,
        batch_size=args.batch_size,
        choice=choice,
      )
      for choice in (None, *args.choices)
      for seed in args.seeds
    ]
    results = train_all(recipes, args.output, side)
    write_tables(args.output, results, args.docs)
    print(f'\n{table.markdown(results)}')
    return 0

  return command.run(_parser(), execute, argv, _INTERRUPTED)


if __name__ == '__main__':
  sys.exit(main())
