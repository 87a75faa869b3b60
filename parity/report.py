"""The parity report: a table on the screen, JSON for machines, Markdown for readers."""

import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from htc_tf import files
from parity.check import Check
from parity.measurement import NotRun

_INTRODUCTION = """# Parity with the published implementations

Made by `make parity PACK=folder`; do not edit. The same random weights were given to the reference
implementation and, through the converter of published checkpoints, to this one (float32, CPU). Each
row is the largest difference found and the bar it must keep.

Published checkpoints were evaluated with mmdetection 2.x, which averages the masks of the three
stages; mmdetection 3.3.0 as released uses the last stage's mask alone. Both are selectable here,
`task.model.detection_generator.mask_ensemble=mean` (the default) or `last`, and both were compared.

The AP of the published checkpoints was not measured again here.
"""


class Section(NamedTuple):
  """A part of the report.

  Attributes:
    title: what was compared with what.
    checks: measured rows.
    not_run: rows whose reference was not there.
  """

  title: str
  checks: Sequence[Check]
  not_run: Sequence[NotRun] = ()

  @property
  def num_failed(self) -> int:
    """Rows that miss their bar."""
    return sum(not check.ok for check in self.checks)

  @property
  def closest(self) -> float:
    """Largest share of a bar used up; 0 without rows."""
    return max(
      (check.measured / check.bar if check.bar else float(not check.ok) for check in self.checks),
      default=0.0,
    )


def write(sections: Sequence[Section], json_path: str, markdown_path: str = '') -> None:
  """Writes build/parity.json and, if asked for, the page of the documentation.

  Args:
    sections: in order.
    json_path: list of {name, measured, bar, ok}; a row that was not run has null for both.
    markdown_path: '' writes none.
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
  """JSON knows neither NaN nor infinity."""
  return figure if math.isfinite(figure) else None


def _bar(row: NotRun) -> str:
  return '' if row.bar is None else f'{row.bar:.0e}'


def table(sections: Sequence[Section]) -> str:
  """All rows in columns, for the screen."""
  lines = []
  for section in sections:
    lines.append(f'\n{section.title}')
    lines += [
      f'  {check.measured:9.2e}  {check.bar:7.0e}  {"ok  " if check.ok else "FAIL"}  {check.name}'
      for check in section.checks
    ]
    lines += [
      f'  {"not run":>9}  {_bar(row):>7}        {row.name} (no {row.missing})'
      for row in section.not_run
    ]
  return '\n'.join([*lines, '', summary(sections)])


def summary(sections: Sequence[Section]) -> str:
  """One line of counts."""
  return (
    f'{sum(len(section.checks) for section in sections)} checks, '
    f'{sum(section.num_failed for section in sections)} failed, '
    f'{sum(len(section.not_run) for section in sections)} not run'
  )


def markdown(sections: Sequence[Section]) -> str:
  """The page of the documentation."""
  lines = [
    _INTRODUCTION,
    f'**{summary(sections)}.**',
    '',
    '| compared | checks | failed | not run | most of a bar used |',
    '|---|---|---|---|---|',
  ]
  lines += [
    f'| {section.title} | {len(section.checks)} | {section.num_failed} | '
    f'{len(section.not_run)} | {section.closest:.0%} |'
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
      f'| {row.name} | not run: no {row.missing} | {_bar(row)} | |' for row in section.not_run
    ]
  return '\n'.join(lines) + '\n'
