"""Writes MODEL_ZOO.md: published files, their results, and what their networks cost.

The page is made of the registry of published files, the figures of `zoo_figures.json` and the
report of parity, so that it agrees with them; a test compares the page in the repository.

Example:
  python -m benchmarks.model_zoo
"""

import argparse
import itertools
import pathlib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks import zoo_figures
from htc_tf import files
from htc_tf.convert.published_files import SOURCES, PublishedFile, published_files

ROOT = pathlib.Path(__file__).parents[1]
PAGE = ROOT / 'MODEL_ZOO.md'
_PARITY = ROOT / 'docs' / 'parity.md'
_REFERENCE = 'htc_resnet50fpn_1x_coco'


# Titles of the report of parity for networks that it does not call as their source does.
_COMPARED_AS = {
  'htc_cbnetv2_swin_base_coco': 'htc_cbv2_swin_base',
  'htc_cbnetv2_swin_base_4conv1fc_coco': 'htc_cbv2_swin_base_4conv1f',
  'htc_cbnetv2_swin_large_4conv1fc_coco': 'htc_cbv2_swin_large_4conv1f',
  'htc_resnet50fpn_1x_coco_paddle': 'image a',
}
_COLUMNS = (
  'model',
  'box AP',
  'mask AP',
  'file',
  'parameters, 1e6',
  'GMAC',
  's',
  'R50 = 1',
  'peak GB',
  'parity',
)
_INTRODUCTION = f"""# Model zoo

`python -m benchmarks.model_zoo` writes this page; do not edit it.

`htc-convert FILE --output=model` converts each of these files. It finds the experiment by the hash
in the name, even if the file was renamed, and otherwise by the names and shapes in the file:
CBNetV2 and laihuihui/htc publish no hashes. To train such a model, give `train.py` the flags below
its name, and the `--weights` in the header of the file (docs/experiments.md).

The networks of the files with X101-32x8d read BGR images. Conversion turns their first convolution
to RGB; it knows them by the hash of the file, or by one in its name. A file of such a network with
neither is taken for one of RGB images.

- **box AP, mask AP**: on COCO val2017, as the source states them; not measured here, because
  neither COCO nor the weights were available.
- **parameters**: weights, without the statistics of norms.
- **GMAC**: multiply-accumulates of all convolutions and matrix products of detection in one image
  of {zoo_figures.SIZE} pixels, with 1000 proposals and 100 masks, counted in the graph. Sampling,
  resizing, RoIAlign and NMS count as zero. (The published semantic branch takes 2.9 more: it
  resizes the coarse levels before a convolution, not after it.)
- **s**, **peak GB**: time of one detection in such an image, and largest memory of its process,
  which includes TensorFlow (0.7 GB). Measured here once for each network, one after another, with
  random weights in 32 bits, on two cores of an AMD EPYC that did nothing else
  (`python -m benchmarks.zoo_figures --only=detection`).
- **R50 = 1**: this time relative to that of HTC R50-FPN.
- **parity**: checks of [docs/parity.md](docs/parity.md) that hold, with the same weights in the
  original and here, and the largest share of a bar.
"""


def page(figures: Mapping[str, Mapping[str, Any]], parity: str) -> str:
  """The text of the page.

  Args:
    figures: figures by network, as `zoo_figures.read` returns them.
    parity: text of docs/parity.md.
  """
  compared = _comparisons(parity)
  of_network = {
    known: (figures.get(name, {}), _parity_of(name, members, compared))
    for name, members in zoo_figures.networks().items()
    for known in members
  }
  usable = [known for known in published_files() if not known.refused]
  parts = [_INTRODUCTION]
  for (source, name), group in itertools.groupby(
    usable, key=lambda known: (known.source, known.page)
  ):
    rows = [_row(known, *of_network[known], figures.get(_REFERENCE, {})) for known in group]
    project, license_text = SOURCES[source]
    parts.append(
      f'## {project}: {name}\n\nDownload page: `{name}` of {project}. License of the weights: '
      f'{license_text}.\n\n{_table(_COLUMNS, rows)}\n'
    )
  parts.append(_refused())
  return '\n'.join(parts)


def _row(
  known: PublishedFile, figures: Mapping[str, Any], parity: str, reference: Mapping[str, Any]
) -> list[str]:
  seconds, unit = figures.get('seconds'), reference.get('seconds')
  return [
    f'{known.title}<br>`{known.flags}`',
    known.box_ap,
    known.mask_ap,
    f'`{known.file}`' + ('' if known.hash else ' (no hash)'),
    _number(figures.get('parameters'), 1e6, 1),
    _number(figures.get('gmac'), 1, 0),
    _number(seconds, 1, 2),
    '-' if unit is None else _number(seconds, unit, 2),
    _number(figures.get('peak_bytes'), 1e9, 1),
    parity,
  ]


def _number(value: float | None, unit: float, digits: int) -> str:
  return '-' if value is None else f'{value / unit:.{digits}f}'


def _comparisons(parity: str) -> dict[str, str]:
  """Result of each comparison of the report, by the last part of its title."""
  found: dict[str, str] = {}
  row = r'^\| (?:.*, )?([^|,]+) \| (\d+) \| (\d+) \| (\d+) \| (\d+%) \|$'
  for title, checks, failed, missing, share in re.findall(row, parity, re.MULTILINE):
    if not title.startswith('training step'):
      held = int(checks) - int(failed) - int(missing)
      found.setdefault(title, f'{held} of {checks}, {share}')
  return found


def _parity_of(name: str, members: Sequence[PublishedFile], compared: Mapping[str, str]) -> str:
  """The comparison of a network, which any of its files may have been named for."""
  titles = [_COMPARED_AS[name]] if name in _COMPARED_AS else [known.config for known in members]
  return next((compared[title] for title in titles if title in compared), '-')


def _refused() -> str:
  rows = [
    [known.title, f'`{known.file}`', known.page] for known in published_files() if known.refused
  ]
  reasons = {known.refusal for known in published_files() if known.refused}
  return (
    '## Files that are refused\n\nThese have the shapes of files above, so that only the hash '
    f'tells them apart: {"; ".join(sorted(reasons))}.\n\n'
    f'{_table(("model", "file", "page"), rows)}\n'
  )


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
  return '\n'.join(_lines([columns, ['---'] * len(columns), *rows]))


def _lines(rows: Sequence[Sequence[str]]) -> Iterator[str]:
  return (f'| {" | ".join(row)} |' for row in rows)


def main(argv: list[str] | None = None) -> int:
  """Write the page."""
  argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args(argv)
  text = page(zoo_figures.read(), _PARITY.read_text(encoding='utf-8'))
  files.write_bytes(PAGE, text.encode())
  print(PAGE)
  return 0


if __name__ == '__main__':
  sys.exit(main())
