"""Tests of the table of packages by layer."""

import pathlib
import tomllib

from docs_pages.layers import ROOT, layers, page


def test_every_layer_and_every_package_is_in_the_table():
  config = tomllib.loads((ROOT / 'layers.toml').read_text(encoding='utf-8'))
  contract = config['tool']['importlinter']['contracts'][0]
  assert [' | '.join(layer.packages) for layer in layers()] == contract['layers']
  folder = pathlib.Path(ROOT / 'htc_tf')
  modules = {path.stem for path in folder.glob('*.py')} | {
    path.parent.name for path in folder.glob('*/__init__.py')
  }
  assert {name for layer in layers() for name in layer.packages} == modules - {'__init__'}
  assert all(layer.content for layer in layers())


def test_a_row_has_the_packages_and_what_they_are():
  rows = page().splitlines()
  assert '| 8 | `evaluation` | from detections to COCO results and AP |' in rows
