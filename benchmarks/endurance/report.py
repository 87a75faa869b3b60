"""The table and the figure of the endurance test, from the files of its runs."""

from collections.abc import Mapping
from typing import Any

from benchmarks import figures, pages
from benchmarks.endurance import plan

# Contents of the file of each finished run by its name; see `runs.train`.
Results = Mapping[str, Mapping[str, Any]]

_COLORS = ('tab:blue', 'tab:orange', 'tab:green', 'tab:red', 'tab:purple', 'tab:brown')


def markdown(results: Results) -> str:
  """The table in Markdown; a run without a result is marked as not run."""
  head = ['run', 'steps', 'killed at step', 'box AP, %', 'mask AP, %', 'MB per 1000 steps', 'min']
  lines = []
  for run in plan.RUNS.values():
    found = results.get(run.name)
    if found is None:
      lines.append([run.title, 'not run', *['-'] * (len(head) - 2)])
      continue
    kills = ', '.join(str(kill['at']) for kill in found['kills']) or '-'
    aps = [pages.mean_and_spread([found[name]]) for name in ('box_AP', 'mask_AP')]
    slopes = ', '.join('-' if slope is None else f'{slope:.1f}' for slope in found['slopes'])
    minutes = f'{found["seconds"] / 60:.1f}'
    lines.append([run.title, str(found['steps']), kills, *aps, slopes, minutes])
  return pages.table(head, lines)


def verdicts(results: Results) -> list[str]:
  """A sentence for each disturbed run about its AP, and one for each fault of a run."""
  sentences = []
  alone = [results[run.name]['mask_AP'] for run in plan.UNDISTURBED if run.name in results]
  for run in plan.DISTURBED:
    own = results[run.name]['mask_AP'] if run.name in results else None
    if own is None or None in alone or len(alone) < len(plan.UNDISTURBED):
      continue
    found, low, high = (100 * value for value in (own, min(alone), max(alone)))
    place = 'within' if low <= found <= high else 'outside'
    sentences.append(
      f'{run.title}: mask AP {found:.1f} is {place} the undisturbed runs, {low:.1f} to {high:.1f}.'
    )
  for name, result in results.items():
    sentences += [f'{plan.RUNS[name].title}: {fault}.' for fault in result['faults']]
  return sentences


def draw(path: str, results: Results) -> None:
  """Draw the memory of every process and the loss of every run by step.

  Args:
    path: file of the picture, which is replaced.
    results: see `Results`.
  """
  drawing = figures.new(11, 4)
  memory, loss = drawing.subplots(1, 2)
  for color, (name, result) in zip(_COLORS, results.items()):
    title = plan.RUNS[name].title
    for start, process in sorted({(row[0], row[1]) for row in result['memory']}):
      rows = [row for row in result['memory'] if row[:2] == [start, process]]
      label = title if (start, process) == (0, 0) else None
      memory.plot([row[2] for row in rows], [row[3] for row in rows], color=color, label=label)
    steps, values = zip(*result['losses'])
    loss.plot(steps, values, color=color, linewidth=1)
    for kill in result['kills']:
      loss.axvline(kill['at'], color=color, linestyle=':', linewidth=1)
  memory.set_ylabel('memory of a process in MB')
  memory.set_ylim(bottom=0)
  loss.set_ylabel('loss; dotted: a kill')
  loss.set_yscale('log')
  for place in (memory, loss):
    place.set_xlabel('step')
    place.grid(alpha=0.3)
  if results:
    memory.legend(fontsize=7, loc='lower right')
  figures.write(drawing, path)
