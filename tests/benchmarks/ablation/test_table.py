"""Tests of the table of the ablation."""

import pytest
from PIL import Image

from benchmarks.ablation import rows, table


def result(mask, box, **more):
  return {'seconds': 90, 'figures': {'segm_AP': mask, 'bbox_AP': box, **more}}


RESULTS = {
  'mask_rcnn': [result(0.4, 0.5, segm_AP50=0.6), result(0.43, 0.5), result(0.415, 0.47)],
  'flow': [result(0.5, 0.6)],
}


def test_the_table_has_mean_and_spread_of_each_row():
  lines = table.markdown(RESULTS).splitlines()
  assert len(lines) == 2 + len(rows.ROWS)
  assert len({line.count('|') for line in lines}) == 1
  assert lines[2] == '| Mask R-CNN | 41.5 (3.0) | 60.0 | - | 49.0 (3.0) | - | - | 3 | 1.5 |'
  assert lines[3] == '| Cascade Mask R-CNN | - | - | - | - | - | - | not run | - |'
  assert lines[5] == '| + mask information flow | 50.0 | - | - | 60.0 | - | - | 1 | 1.5 |'


@pytest.mark.parametrize('results', [RESULTS, {}])
def test_the_figure_is_drawn_with_what_there_is(tmp_path, results):
  table.draw(str(tmp_path / 'ablation.png'), results)
  with Image.open(tmp_path / 'ablation.png') as image:
    assert image.size == (1100, 440)
