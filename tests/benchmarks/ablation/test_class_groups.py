"""Tests of the mask AP of the two groups of classes."""

import json

import pytest
from pycocotools import mask as coco_mask

from benchmarks.ablation import class_groups, rows, runs

BUDGET = runs.Budget('nano', 192, 4, 2, 8)  # 4 steps.
_CLASSES = ('boat', 'crab', 'snake', 'walker')


def _rectangle(x):
  """A region of 4 x 4 pixels of an image of 8 x 40."""
  polygon = [[x, 2, x + 4, 2, x + 4, 6, x, 6]]
  (region,) = coco_mask.frPyObjects(polygon, 8, 40)
  return {'size': region['size'], 'counts': region['counts'].decode()}


def _write(folder, found):
  """An image with a thing of each class but the windmill, and the detections of some of them."""
  annotations = [
    {
      'id': index,
      'image_id': 1,
      'category_id': index,
      'bbox': [10 * index - 8, 2, 4, 4],
      'area': 16,
      'iscrowd': 0,
      'segmentation': _rectangle(10 * index - 8),
    }
    for index in range(1, len(_CLASSES) + 1)
  ]
  truth = {
    'images': [{'id': 1, 'height': 8, 'width': 40, 'file_name': 'a.png'}],
    'categories': [
      {'id': index, 'name': name} for index, name in enumerate((*_CLASSES, 'windmill'), 1)
    ],
    'annotations': annotations,
  }
  (folder / 'val.json').write_text(json.dumps(truth))
  results = [
    {**{key: entry[key] for key in ('image_id', 'category_id', 'segmentation')}, 'score': 0.9}
    for entry in annotations
    if _CLASSES[entry['category_id'] - 1] in found
  ]
  path = folder / 'runs' / 'flow_1' / 'results' / 'step-4.segm.json'
  path.parent.mkdir(parents=True)
  path.write_text(json.dumps(results))
  return str(folder / 'val.json'), runs.Run(rows.ROWS['flow'], 1, str(folder / 'runs'))


def test_boats_and_crabs_are_told_apart_by_their_surroundings():
  assert sorted(class_groups.CONTEXT) == ['boat', 'crab', 'spider', 'wreck']


@pytest.mark.parametrize(
  'found, context, other',
  [(('crab', 'snake', 'walker'), 0.5, 1.0), (('boat', 'crab'), 1.0, 0.0), ((), 0.0, 0.0)],
)
def test_the_groups_have_the_means_of_their_classes(tmp_path, found, context, other):
  annotations, run = _write(tmp_path, found)
  result = {'figures': {'segm_AP': 0.7}}
  class_groups.add(result, run, BUDGET, annotations)
  assert result['figures'] == pytest.approx(
    {'segm_AP': 0.7, 'context_segm_AP': context, 'other_segm_AP': other}
  )


def test_known_figures_and_lost_detections_change_nothing(tmp_path):
  annotations, run = _write(tmp_path, _CLASSES)
  for figures, other_run in (
    ({'context_segm_AP': 0.1, 'other_segm_AP': 0.2}, run),
    ({'segm_AP': 0.3}, run._replace(seed=2)),
  ):
    result = {'figures': dict(figures)}
    class_groups.add(result, other_run, BUDGET, annotations)
    assert result == {'figures': figures}
