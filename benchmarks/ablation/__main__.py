"""Trains the rows of the paper's ablation on `scenes` and writes their table.

From Mask R-CNN to HTC, nothing else differs: the same backbone, heads, schedule, records, seeds,
class-agnostic boxes, and mean of the stages. After an interruption, the same command continues:
finished runs are kept, and the interrupted one goes on from its checkpoint.

Examples:
  python -m benchmarks.ablation --output=build/ablation
  python -m benchmarks.ablation --output=build/ablation --rows=mask_rcnn,cascade --seeds=0
  python -m benchmarks.ablation --output=build/ablation \
      --figures=benchmarks/ablation/figures.json --docs=docs/ablation.md     # those of the page
"""

import argparse
import os
import statistics
import sys
from collections.abc import Mapping, Sequence

from benchmarks import arguments, pages, recorded_runs
from benchmarks.ablation import class_groups, rows, runs, table
from benchmarks.scenes import dataset
from benchmarks.scenes import records as scene_records
from htc_tf.cli import command
from htc_tf.errors import TrainingError

_INTERRUPTED = 'interrupted; the same command continues where this one stopped'
# Entries of a result that the table needs.
_RECORDED = ('seconds', 'starts', 'figures')
# Result by name of the run; None for a run that is not finished.
Results = dict[str, recorded_runs.Result | None]
_REPORT = pages.Report(
  'ablation', 'table of the ablation', 'pictures/ablation.png', 'Mask AP and box AP of each row'
)


def train_all(
  planned: Sequence[runs.Run],
  budget: runs.Budget,
  output: str,
  known: Mapping[str, recorded_runs.Result] | None = None,
) -> int:
  """Train the runs that are not finished, a line for each; return the number of failed ones.

  Args:
    planned: the runs in their order.
    budget: the budget of each.
    output: output folder, where the records are made if something is trained.
    known: results of runs that finished elsewhere, by name; None for none.
  """
  results: Results = {
    run.name: runs.read(run, budget) or (known or {}).get(run.name) for run in planned
  }
  failed, records = 0, ''
  for number, run in enumerate(planned, 1):
    kept = results[run.name]
    if kept is None:
      try:
        records = records or scene_records.prepare(output)
        results[run.name] = runs.train(run, budget, records)
      except TrainingError as error:
        command.print_error(f'{run.name}: {error}')
        failed += 1
        continue
    print(_line(run, results, planned[number:], kept is not None), flush=True)
  return failed


def _line(run: runs.Run, results: Results, later: Sequence[runs.Run], is_kept: bool) -> str:
  """The line of a finished run, with the expected time of those that are left."""
  result = results[run.name] or {}
  figures = result['figures']
  text = (
    f'{run.name:16} mask AP {100 * figures["segm_AP"]:5.1f}, box AP {100 * figures["bbox_AP"]:5.1f}'
  )
  if 'seconds' in result:  # A recorded run may have none.
    text += f', {result["seconds"] / 60:5.1f} min'
  text += ' (kept)' if is_kept else ''
  seconds = [found['seconds'] for found in results.values() if found and 'seconds' in found]
  left = sum(results[other.name] is None for other in later)
  if not left or not seconds:
    return text
  hours = left * statistics.mean(seconds) / 3600
  return f'{text}; {left} left, about {hours:.1f} h'


def write_tables(folder: str, budget: runs.Budget, page: str = '', record: str = '') -> None:
  """Print the table of all finished runs, write it with the figure, and update page and record.

  Args:
    folder: output folder.
    budget: budget of the runs.
    page: page in Markdown whose table is replaced, with the figure in `pictures` beside it; '' for
      none.
    record: file of figures, whose runs are in the table, too, and to which those of the folder are
      added; '' for none. See `recorded_runs`.
  """
  known = recorded_runs.read(record, budget._asdict())
  planned = [
    runs.Run(row, seed, _runs_folder(folder)) for row in rows.ROWS.values() for seed in rows.SEEDS
  ]
  own = {run.name: result for run in planned if (result := runs.read(run, budget)) is not None}
  annotations = os.path.join(folder, 'scenes', 'val.json')
  for run in planned:
    if run.name in own:
      class_groups.add(own[run.name], run, budget, annotations)
  known.update(own)
  if record and own:
    recorded_runs.write(record, budget._asdict(), known, _RECORDED)
  results: dict[str, list[recorded_runs.Result]] = {}
  for run in planned:
    if run.name in known:
      results.setdefault(run.row.name, []).append(known[run.name])
  text = table.markdown(results)
  _REPORT.write(folder, text, lambda path: table.draw(path, results), page)
  print(f'\n{text}')


def _runs_folder(folder: str) -> str:
  return os.path.join(folder, 'runs')


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='python -m benchmarks.ablation',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('--output', required=True, help='folder of data, runs, table and figure')
  add = parser.add_argument
  add('--rows', type=arguments.some_of(rows.ROWS), default=list(rows.ROWS), help='default: all')
  add('--seeds', type=arguments.some_of(rows.SEEDS), default=list(rows.SEEDS), help='default: all')
  parser.add_argument(
    '--epochs', type=arguments.at_least(1), default=15, help='epochs of a run (default: 15)'
  )
  parser.add_argument(
    '--batch_size', type=arguments.at_least(1), default=4, help='images per step (default: 4)'
  )
  parser.add_argument('--docs', default='', help='page whose table and figure are replaced')
  parser.add_argument(
    '--figures',
    default='',
    help='file of figures of finished runs: they are not trained again, and those of this output '
    'folder are added',
  )
  return parser


def main(argv: list[str] | None = None) -> int:
  """Run the ablation and return the exit status; see `command.run`."""

  def execute(args: argparse.Namespace) -> int:
    budget = runs.Budget('nano', 192, args.batch_size, args.epochs, dataset.SPLITS['train'])
    folder = _runs_folder(args.output)
    # All rows of a seed come before the next seed, so that an early table compares all rows.
    planned = [runs.Run(rows.ROWS[name], seed, folder) for seed in args.seeds for name in args.rows]
    failed = train_all(
      planned, budget, args.output, recorded_runs.read(args.figures, budget._asdict())
    )
    write_tables(args.output, budget, args.docs, args.figures)
    return command.PARTIAL if failed else 0

  return command.run(_parser(), execute, argv, _INTERRUPTED)


if __name__ == '__main__':
  sys.exit(main())
