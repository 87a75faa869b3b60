"""Tests of MODEL_ZOO.md: it agrees with the registry, the kept figures and the report of parity."""

import math
import re

import pytest

from benchmarks import gmac, model_zoo, scene, zoo_figures
from htc_tf.configs import parsing
from htc_tf.convert.published_files import published_files

PARITY = model_zoo._PARITY.read_text(encoding='utf-8')
FIGURES = zoo_figures.read()
REFERENCE = 'htc_resnet50fpn_1x_coco'


def line_of(text, file):
  (line,) = (line for line in text.splitlines() if f'`{file}`' in line)
  return [cell.strip() for cell in line.strip('|').split('|')]


def test_the_page_is_the_one_that_the_command_writes():
  # `python -m benchmarks.model_zoo` writes it again.
  assert model_zoo.PAGE.read_text(encoding='utf-8') == model_zoo.page(FIGURES, PARITY)


def test_every_known_file_is_on_the_page_once():
  text = model_zoo.PAGE.read_text(encoding='utf-8')
  for known in published_files():
    cells = line_of(text, known.file)
    assert known.title in cells[0]
    if not known.refused:
      assert cells[1:3] == [known.box_ap, known.mask_ap]
      assert known.flags in cells[0]


def test_counts_are_those_of_whole_networks():
  assert set(FIGURES) <= set(zoo_figures.networks())
  for figures in FIGURES.values():
    assert figures['parameters'] > 4e7 and figures['gmac'] > 200


def test_files_of_one_network_share_its_figures():
  networks = zoo_figures.networks()
  assert sum(map(len, networks.values())) == sum(not known.refused for known in published_files())
  titles = [known.title for known in networks[REFERENCE]]
  assert titles == ['HTC R50-FPN 1x', 'HTC R50-FPN 20e']


def test_the_kept_counts_are_those_by_the_names_of_weights():
  sizes, kept = scene.SceneSizes.parse(zoo_figures.SIZE), FIGURES[REFERENCE]
  shapes = scene.Weights().shapes
  parts = gmac.by_part(shapes, sizes.padded, scene.NUM_ROIS, 100)
  # Three laterals of the semantic branch are computed at their own sizes, not at that of P3.
  enlarged = 3 * 100 * 168 - (50 * 84 + 25 * 42 + 13 * 21)
  expected = sum(parts.values()) - enlarged * 256 * 256 / 1e9
  assert kept['gmac'] == pytest.approx(expected, abs=0.001)
  statistics = ('running_mean', 'running_var', 'num_batches_tracked')
  weights = [shape for name, shape in shapes.items() if not name.endswith(statistics)]
  assert kept['parameters'] == sum(map(math.prod, weights))


def test_a_row_shows_its_figures_and_a_dash_for_missing_ones():
  figures = {
    REFERENCE: {
      'parameters': 80_250_000,
      'gmac': 444.4,
      'seconds': 3.2,
      'cpu_seconds': 6.0,
      'peak_bytes': 1.75e9,
    },
    'htc_resnet101fpn_20e_coco': {
      'parameters': 99_000_000,
      'gmac': 520.1,
      'seconds': 8.0,
      'cpu_seconds': 15.0,
      'peak_bytes': 2e9,
    },
  }
  parity = (
    '| compared | checks | failed | not run | largest share of a bar |\n'
    '| mmdetection 3.3.0, htc_r50_fpn_1x_coco | 85 | 1 | 2 | 20% |\n'
    '| mmdetection 3.3.0, training step of htc_r101_fpn_20e_coco | 40 | 0 | 0 | 43% |\n'
  )
  text = model_zoo.page(figures, parity)
  first = line_of(text, 'htc_r50_fpn_1x_coco_20200317-7332cf16.pth')
  assert first[4:] == ['80.2', '444', '3.20', '1.00', '1.8', '82 of 85, 20%']
  same_network = line_of(text, 'htc_r50_fpn_20e_coco_20200319-fe28c577.pth')
  assert same_network[4:] == first[4:]
  other = line_of(text, 'htc_r101_fpn_20e_coco_20200317-9b41b48f.pth')
  assert other[4:] == ['99.0', '520', '8.00', '2.50', '2.0', '-']
  missing = line_of(text, 'htc_hrnetv2p_w18_20e_coco_20200210-b266988c.pth')
  assert missing[4:] == ['-'] * 6


def test_every_network_was_measured():
  kinds = {'parameters', 'gmac', 'seconds', 'cpu_seconds', 'peak_bytes'}
  assert {name: set(found) for name, found in FIGURES.items()} == dict.fromkeys(
    zoo_figures.networks(), kinds
  )


def test_every_section_names_its_page_and_license():
  sections = model_zoo.PAGE.read_text(encoding='utf-8').split('\n## ')[1:-1]
  assert len(sections) >= 8
  for section in sections:
    assert re.search(r'Download page: `\S+\.md` of \S+\. License of the weights: \w', section)


def test_compared_networks_have_a_figure_of_parity():
  text = model_zoo.PAGE.read_text(encoding='utf-8')
  for known in published_files():
    if not known.refused and f', {known.config} |' in PARITY:
      assert re.fullmatch(r'\d+ of \d+, \d+%', line_of(text, known.file)[9]), known.title
  assert line_of(text, 'model_final.pdparams')[9].startswith('30 of 30')


@pytest.mark.slow
@pytest.mark.parametrize('name', [*zoo_figures.networks()])
def test_the_counts_of_every_network_are_kept(name):
  known = zoo_figures.networks()[name][0]
  config = parsing.parse(known.experiment, known.config_paths).params.task.model
  sizes = scene.SceneSizes.parse(zoo_figures.SIZE)
  assert zoo_figures.count(config, sizes.padded).items() <= FIGURES[name].items()
