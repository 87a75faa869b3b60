"""Rows of figures: their contents, their layout as text, and the growth of cost."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

_CONVOLUTION = 'convolution'
_COLUMNS = (
  'name',
  'size',
  'seconds',
  'cpu s',
  'peer s',
  'peer cpu s',
  'ratio',
  'GMAC',
  'share',
  'peak GB',
  'peer GB',
  'peak ratio',
)


def make_row(
  name: str,
  size: str,
  ours: Sequence[Mapping[str, float]],
  peers: Sequence[Mapping[str, float]],
  peer: str | None,
  gmac: float | None,
) -> dict[str, Any]:
  """The row of a report: medians of the runs of both sides.

  Args:
    name: name of the row.
    size: size of the network input, 'HEIGHTxWIDTH'.
    ours: figures of our runs, as returned by `measuring.Side.measure`.
    peers: figures of the runs of the peer; empty without a peer.
    peer: name of the peer, or None without a peer.
    gmac: multiply-accumulates in 1e9, or None if they are not counted.

  Returns:
    A row with `name`, `size`, `seconds`, `cpu_seconds`, `peak_bytes`, `gmac`, `runs`, and with
    `peer`, `peer_seconds`, `peer_cpu_seconds`, `peer_peak_bytes` and `ratio` (our seconds divided
    by those of the peer), which are None without a peer.
  """
  seconds, peer_seconds = _median(ours, 'seconds'), _median(peers, 'seconds')
  return {
    'name': name,
    'size': size,
    'seconds': seconds,
    'peer': peer if peers else None,
    'peer_seconds': peer_seconds,
    'ratio': None if seconds is None or peer_seconds is None else seconds / peer_seconds,
    'gmac': gmac,
    'peak_bytes': _peak(ours),
    'cpu_seconds': _median(ours, 'cpu_seconds'),
    'peer_cpu_seconds': _median(peers, 'cpu_seconds'),
    'peer_peak_bytes': _peak(peers),
    'runs': len(ours),
  }


def add_shares(rows: Sequence[dict[str, Any]]) -> None:
  """Add `share` to each row: its GMAC per second, divided by those of the plain convolution."""
  rates = {row['size']: row['gmac'] / row['seconds'] for row in rows if row['name'] == _CONVOLUTION}
  for row in rows:
    counted = row['gmac'] is not None and row['size'] in rates
    row['share'] = row['gmac'] / row['seconds'] / rates[row['size']] if counted else None


def format_rows(rows: Sequence[Mapping[str, Any]]) -> str:
  """The rows as a table in text; a dash replaces missing figures."""
  lines = [_COLUMNS]
  for row in rows:
    peaks = row['peak_bytes'], row['peer_peak_bytes']
    lines.append(
      (
        row['name'],
        row['size'],
        _text(row['seconds'], '.4f'),
        _text(row['cpu_seconds'], '.4f'),
        _text(row['peer_seconds'], '.4f'),
        _text(row['peer_cpu_seconds'], '.4f'),
        _text(row['ratio'], '.2f'),
        _text(row['gmac'], '.1f'),
        _text(row['share'], '.2f'),
        *(_text(peak and peak / 1e9, '.2f') for peak in peaks),
        _text(peaks[0] / peaks[1] if peaks[1] else None, '.2f'),
      )
    )
  return _align(lines)


def growth(amounts: Sequence[float], seconds: Sequence[float]) -> list[float]:
  """Exponents of time as a power of the amount, between neighbors: 1 means proportional growth.

  Args:
    amounts: amounts in ascending order.
    seconds: time at each amount.

  Returns:
    One exponent per amount except the first.
  """
  return [
    math.log(later / earlier) / math.log(more / less)
    for less, more, earlier, later in zip(amounts, amounts[1:], seconds, seconds[1:])
  ]


def format_growth(costs: Mapping[str, Mapping[float, float]]) -> str:
  """Time by amount, with exponents, as a table in text.

  Args:
    costs: name of the amount, such as 'RoIs', to {amount: seconds}, in ascending order.
  """
  lines = [('cost by', 'amount', 'seconds', 'per 1000', 'exponent')]
  for name, by_amount in costs.items():
    amounts, seconds = list(by_amount), list(by_amount.values())
    exponents = ['-'] + [f'{value:.2f}' for value in growth(amounts, seconds)]
    lines += [
      (name, f'{amount:g}', f'{time:.4f}', f'{1000 * time / amount:.4f}', exponent)
      for amount, time, exponent in zip(amounts, seconds, exponents)
    ]
  return _align(lines)


def _median(runs: Sequence[Mapping[str, float]], key: str) -> float | None:
  return statistics.median(run[key] for run in runs) if runs else None


def _peak(runs: Sequence[Mapping[str, float]]) -> float | None:
  return max((run['peak_bytes'] for run in runs), default=None)


def _text(value: float | None, form: str) -> str:
  return '-' if value is None else format(value, form)


def _align(lines: Sequence[Sequence[str]]) -> str:
  """Columns of text: the first two aligned to the left, the others to the right."""
  widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
  return '\n'.join(
    '  '.join(
      text.ljust(width) if column < 2 else text.rjust(width)
      for column, (text, width) in enumerate(zip(line, widths))
    ).rstrip()
    for line in lines
  )
