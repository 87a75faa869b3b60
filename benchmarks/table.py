"""Rows of figures: what they hold, how they are laid out, how cost grows."""

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
  """Medians of the runs of both sides.

  Args:
    name: of the row.
    size: of the network input, 'HEIGHTxWIDTH'.
    ours: the figures of each run, as `measuring.Side.measure` gives them.
    peers: likewise; empty without a peer.
    peer: name of the peer, None without.
    gmac: of the row, or None.

  Returns:
    The row as it is stored: `name`, `size`, `seconds`, `cpu_seconds`, `peak_bytes`, `gmac`, `runs`,
    and `peer`, `peer_seconds`, `peer_cpu_seconds`, `peer_peak_bytes`, `ratio` (ours to the peer's
    seconds), None without a peer.
  """
  seconds, peer_seconds = _median(ours, 'seconds'), _median(peers, 'seconds')
  return {
    'name': name,
    'size': size,
    'seconds': seconds,
    'peer': peer if peers else None,
    'peer_seconds': peer_seconds,
    'ratio': seconds / peer_seconds if peers else None,
    'gmac': gmac,
    'peak_bytes': _peak(ours),
    'cpu_seconds': _median(ours, 'cpu_seconds'),
    'peer_cpu_seconds': _median(peers, 'cpu_seconds'),
    'peer_peak_bytes': _peak(peers),
    'runs': len(ours),
  }


def add_shares(rows: Sequence[dict[str, Any]]) -> None:
  """Adds `share` to each row: its rate of GMAC to that of the plain convolution of its size."""
  rates = {row['size']: row['gmac'] / row['seconds'] for row in rows if row['name'] == _CONVOLUTION}
  for row in rows:
    counted = row['gmac'] is not None and row['size'] in rates
    row['share'] = row['gmac'] / row['seconds'] / rates[row['size']] if counted else None


def format_rows(rows: Sequence[Mapping[str, Any]]) -> str:
  """Lays rows out as a table; a dash where there is nothing to say."""
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
  """How time grows between neighbours: 1 in proportion to the amount, 0 not at all.

  Args:
    amounts: ascending.
    seconds: at each.

  Returns:
    One exponent for each amount but the first: of time as a power of the amount.
  """
  return [
    math.log(later / earlier) / math.log(more / less)
    for less, more, earlier, later in zip(amounts, amounts[1:], seconds, seconds[1:])
  ]


def format_growth(costs: Mapping[str, Mapping[float, float]]) -> str:
  """Lays out how cost grows.

  Args:
    costs: what grows, such as 'RoIs', to {amount: seconds}, amounts ascending.
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


def _peak(runs: Sequence[Mapping[str, float]]) -> int | None:
  return max((run['peak_bytes'] for run in runs), default=None)


def _text(value: float | None, form: str) -> str:
  return '-' if value is None else format(value, form)


def _align(lines: Sequence[Sequence[str]]) -> str:
  """The first two columns to the left, figures to the right."""
  widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
  return '\n'.join(
    '  '.join(
      text.ljust(width) if column < 2 else text.rjust(width)
      for column, (text, width) in enumerate(zip(line, widths))
    ).rstrip()
    for line in lines
  )
