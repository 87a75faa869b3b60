"""Trains a small model for thousands of steps on two devices, and kills its processes on the way.

Three undisturbed runs with other seeds give the spread of the final AP, and an undisturbed one with
two workers the memory of processes that train without an end. One run on two mirrored CPU
devices and one with two workers are each killed three times and started again with the same
command. The table has the final AP and the growth of memory; every file of a run is checked.
Finished runs are kept; one that is interrupted starts again from its beginning.

Examples:
  python -m benchmarks.endurance --output=build/endurance
  python -m benchmarks.endurance --output=build/endurance --epochs=4 --runs=alone_0,workers
"""

import argparse
import os
import shutil
import sys
from typing import Any

from benchmarks import arguments, pages, recorded_runs
from benchmarks.endurance import plan, report, runs
from benchmarks.scenes import records as scene_records
from htc_tf.cli import command
from htc_tf.errors import TrainingError

_REPORT = pages.Report(
  'endurance',
  'table of the endurance test',
  'pictures/endurance.png',
  'Memory and loss of each run',
)
# Entries of a result that the table needs.
_RECORDED = ('steps', 'seconds', 'kills', 'box_AP', 'mask_AP', 'slopes', 'faults')


def train_all(names: list[str], num_steps: int, records: str, folder: str) -> int:
  """Train the runs that are not finished, a line for each; return the number of failed ones.

  Args:
    names: names in `plan.RUNS`.
    num_steps: number of steps of each.
    records: folder of the records.
    folder: folder of all runs.
  """
  failed = 0
  for name in names:
    path = os.path.join(folder, f'{name}.json')
    result = runs.read(path, num_steps)
    kept = ' (kept)' if result else ''
    if result is None:
      shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
      try:
        result = runs.train(plan.RUNS[name], num_steps, records, folder)
      except TrainingError as error:
        command.print_error(f'{name}: {error}')
        failed += 1
        continue
    failed += bool(result['faults'])
    slopes = ', '.join('-' if each is None else f'{each:+.1f}' for each in result['slopes'])
    print(
      f'{name:9} mask AP {pages.mean_and_spread([result["mask_AP"]]):>5}, memory {slopes} MB per '
      f'1000 steps, '
      f'{len(result["faults"])} faults, {result["seconds"] / 60:.1f} min{kept}',
      flush=True,
    )
  return failed


def write_report(folder: str, num_steps: int, page: str = '', record: str = '') -> None:
  """Print the table of all finished runs, write it with the figure, and update page and record.

  Args:
    folder: output folder.
    num_steps: number of steps of each run.
    page: page in Markdown whose table is replaced, with the figure in `pictures` beside it; '' for
      none.
    record: file of figures, whose runs are in the table, too, and to which those of the folder are
      added; '' for none. The figure shows the runs of the folder. See `recorded_runs`.
  """
  settings = {'steps': num_steps}
  known = recorded_runs.read(record, settings)
  own: dict[str, dict[str, Any]] = {}
  for name in plan.RUNS:
    result = runs.read(os.path.join(folder, 'runs', f'{name}.json'), num_steps)
    if result is not None:
      own[name] = result
  known.update(own)
  if record and own:
    recorded_runs.write(record, settings, known, _RECORDED)
  sentences = ''.join(f'- {sentence}\n' for sentence in report.verdicts(known))
  text = report.markdown(known) + (f'\n{sentences}' if sentences else '')
  _REPORT.write(folder, text, lambda path: report.draw(path, own), page)
  print(f'\n{text}')


def main(argv: list[str] | None = None) -> int:
  """Run the endurance test and return the exit status; see `command.run`."""
  parser = argparse.ArgumentParser(
    prog='python -m benchmarks.endurance',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('--output', required=True, help='folder of data, runs, table and figure')
  parser.add_argument(
    '--epochs',
    type=arguments.at_least(plan.NUM_KILLS + 1),  # Then a checkpoint lies between two kills.
    default=30,
    help='epochs of a run, of 100 steps each (default: 30)',
  )
  parser.add_argument(
    '--runs', type=arguments.some_of(plan.RUNS), default=list(plan.RUNS), help='default: all'
  )
  parser.add_argument('--docs', default='', help='page whose table and figure are replaced')
  parser.add_argument(
    '--figures',
    default='',
    help='file of figures of finished runs, which the table shows too; those of this output folder '
    'are added',
  )

  def execute(args: argparse.Namespace) -> int:
    records = scene_records.prepare(args.output)
    folder = os.path.join(args.output, 'runs')
    os.makedirs(folder, exist_ok=True)
    num_steps = args.epochs * plan.steps_per_epoch()
    failed = train_all(args.runs, num_steps, records, folder)
    write_report(args.output, num_steps, args.docs, args.figures)
    return command.PARTIAL if failed else 0

  return command.run(
    parser, execute, argv, 'interrupted; the same command keeps the runs that are finished'
  )


if __name__ == '__main__':
  sys.exit(main())
