"""The parity report as a table on the screen, as a JSON file and as a Markdown page."""

import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from htc_tf import files
from parity.check import Check
from parity.measurement import NotRun

_INTRODUCTION = """# Parity with the published implementations

`make parity PACK="folder folder"` writes this page; do not edit it. The reference implementation
and htc_tf had the same random weights (float32, CPU); htc_tf read them through the converter of
published checkpoints. Each row shows a measured difference and the bar that it must not exceed.

The published checkpoints were evaluated with mmdetection 2.x, which averages the masks of the three
stages; mmdetection 3.3.0 as released uses the mask of the last stage alone. Here,
`task.model.detection_generator.mask_ensemble` selects between them: `mean` (the default) or `last`.
Both were compared.

The AP of the published checkpoints was not measured again here.
"""


class Section(NamedTuple):
  """A part of the report.

  Attributes:
    title: the compared model and implementation.
    checks: rows that were measured.
    not_run: rows whose reference is missing.
  """

  title: str
  checks: Sequence[Check]
  not_run: Sequence[NotRun] = ()

  @property
  def num_failed(self) -> int:
    """Number of rows that exceed their bar."""
    return sum(not check.ok for check in self.checks)

  @property
  def largest_share(self) -> float:
    """Largest quotient of a measured difference and its bar; 0 without rows."""
    return max(
      (check.measured / check.bar if check.bar else float(not check.ok) for check in self.checks),
      default=0.0,
    )


def write(sections: Sequence[Section], json_path: str, markdown_path: str = '') -> None:
  """Write the JSON file and, if asked for, the Markdown page.

  Args:
    sections: sections in the order of the report.
    json_path: file for a list of {name, measured, bar, ok}; in a row that was not run, `measured`
      and `ok` are null.
    markdown_path: file for the page; '' for none.
  """
  rows = [row for section in sections for row in _json_rows(section)]
  files.write_bytes(json_path, (json.dumps(rows, indent=2) + '\n').encode())
  if markdown_path:
    files.write_bytes(markdown_path, markdown(sections).encode())


def _json_rows(section: Section) -> list[dict[str, Any]]:
  measured = [
    {
      'name': f'{section.title}: {check.name}',
      'measured': _finite(check.measured),
      'bar': check.bar,
      'ok': check.ok,
    }
    for check in section.checks
  ]
  return measured + [
    {'name': f'{section.title}: {row.name}', 'measured': None, 'bar': row.bar, 'ok': None}
    for row in section.not_run
  ]


def _finite(figure: float) -> float | None:
  """A number as JSON can hold it: None for NaN and infinity."""
  return figure if math.isfinite(figure) else None


def _bar(row: NotRun) -> str:
  return '' if row.bar is None else f'{row.bar:.0e}'


def table(sections: Sequence[Section]) -> str:
  """The report as text in columns."""
  lines = []
  for section in sections:
    lines.append(f'\n{section.title}')
    lines += [
      f'  {check.measured:9.2e}  {check.bar:7.0e}  {"ok  " if check.ok else "FAIL"}  {check.name}'
      for check in section.checks
    ]
    lines += [
      f'  {"not run":>9}  {_bar(row):>7}        {row.name} ({row.missing} is missing)'
      for row in section.not_run
    ]
  return '\n'.join([*lines, '', summary(sections)])


def summary(sections: Sequence[Section]) -> str:
  """One line with the numbers of checks that ran, failed and were not run."""
  return (
    f'{sum(len(section.checks) for section in sections)} checks, '
    f'{sum(section.num_failed for section in sections)} failed, '
    f'{sum(len(section.not_run) for section in sections)} not run'
  )


def markdown(sections: Sequence[Section]) -> str:
  """The report as a Markdown page."""
  lines = [
    _INTRODUCTION,
    f'**{summary(sections)}.**',
    '',
    '| compared | checks | failed | not run | largest share of a bar |',
    '|---|---|---|---|---|',
  ]
  lines += [
    f'| {section.title} | {len(section.checks)} | {section.num_failed} | '
    f'{len(section.not_run)} | {section.largest_share:.0%} |'
    for section in sections
  ]
  for section in sections:
    lines += ['', f'## {section.title}', '', '| check | measured | bar | ok |', '|---|---|---|---|']
    lines += [
      f'| {check.name} | {check.measured:.1e} | {check.bar:.0e} | '
      f'{"yes" if check.ok else "**no**"} |'
      for check in section.checks
    ]
    lines += [
      f'| {row.name} | not run: {row.missing} is missing | {_bar(row)} | |'
      for row in section.not_run
    ]
  return '\n'.join(lines) + '\n'
