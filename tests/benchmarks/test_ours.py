"""Tests that every group of htc_tf makes the rows that `run` lists, and that the rows run."""

import numpy as np
import pytest

from benchmarks import ours, run, scene
from htc_tf import processes

_SIZES = scene.SceneSizes.parse('64x96')


def test_every_listed_group_exists():
  assert set(ours.GROUPS) == {*run.ROWS, *run.GROWTH}


@pytest.mark.parametrize('group', ['convolution', 'roi_align', 'input_pipeline', 'evaluation'])
def test_rows_that_need_no_model_run(group):
  measures = ours.GROUPS[group](_SIZES)
  assert tuple(measures) == run.ROWS[group]
  for name, measure in measures.items():
    if name != 'evaluation':  # It would start processes.
      measure.run()


def test_masks_are_encoded_at_the_original_size():
  measure = ours.evaluation(_SIZES)['paste_and_encode']
  rles = measure.run()
  assert len(rles) == 100
  assert rles[0]['size'] == list(_SIZES.original)


@pytest.mark.slow
@pytest.mark.parametrize('group', ['inference', 'precisions', 'parts', 'training', 'growth'])
def test_rows_that_need_the_model_run(group, capsys):
  measures = ours.GROUPS[group](scene.SceneSizes.parse('128x192'))
  if group == 'growth':
    assert len(measures) == 10 + len({1, processes.usable_cores()})
  else:
    assert tuple(measures) == run.ROWS[group]
  for measure in measures.values():
    measure.run()
  if group == 'parts':
    assert capsys.readouterr().err.split()[2] == '100'  # the maximum number of detections
    assert all(
      (measure.gmac is None) == (name in ('nms', 'paste')) for name, measure in measures.items()
    )
  if group in ('inference', 'precisions'):
    for measure in measures.values():
      assert measure.gmac > 50
      assert np.shape(measure.run())[1:] == (77, 109)
