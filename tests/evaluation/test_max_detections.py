"""Tests of the figures of the COCO evaluator at other numbers of detections than 100."""

import contextlib
import io

import pytest
from pycocotools import coco, cocoeval

from htc_tf.errors import InputError
from tests.evaluation import cases


def _pycocotools_at(annotation_file, result_file, iou_type, limit):
  """The 12 figures of pycocotools with `limit` as the largest number of detections.

  `summarize` gives AP only for a limit of 100, so its formula is repeated here.
  """
  with contextlib.redirect_stdout(io.StringIO()):
    ground_truth = coco.COCO(str(annotation_file))
    evaluation = cocoeval.COCOeval(ground_truth, ground_truth.loadRes(str(result_file)), iou_type)
    evaluation.params.maxDets = [1, 10, limit] if limit > 10 else [1, limit]
    evaluation.evaluate()
    evaluation.accumulate()
  precision, recall = (evaluation.eval[name][..., -1] for name in ('precision', 'recall'))
  values = [precision[..., 0], precision[0, ..., 0], precision[5, ..., 0]]
  values += [precision[..., size] for size in (1, 2, 3)]
  values += [recall[..., 0]] + [recall[..., size] for size in (1, 2, 3)]
  return [value[value > -1].mean() if (value > -1).any() else -1 for value in values]


def _figures_at(result, prefix, limit):
  names = [f'{name}@{limit}' for name in ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl')]
  names += [f'ARmax{limit}', *(f'{name}@{limit}' for name in ('ARs', 'ARm', 'ARl'))]
  return [result[f'{prefix}_{name}'] for name in names]


def test_all_of_225_objects_count_if_the_model_may_find_300(tmp_path):
  """The standard figures stop at 100 of them, as COCO does."""
  dataset = cases.dataset(num_images=1)
  corners = [(8.0 * row, 13.0 * column) for row in range(15) for column in range(15)]
  dataset['annotations'] = [
    cases.annotation(number, 10, 3, (y, x, y + 6, x + 10))
    for number, (y, x) in enumerate(corners, 1)
  ]
  batch = cases.predictions(dataset, noise=0, num_rows=300)
  batch['detection_masks'][:] = 1
  evaluator = cases.evaluator(tmp_path, dataset, per_category=True, max_detections=300)
  evaluator.update(batch)
  result = evaluator.result()
  for prefix in ('bbox', 'segm'):
    assert result[f'{prefix}_AP@300'] == pytest.approx(1.0, abs=0.02)
    assert result[f'{prefix}_AP@300_by_category/cat'] == result[f'{prefix}_AP@300']
    assert result[f'{prefix}_ARmax300'] == pytest.approx(1.0)
    assert result[f'{prefix}_ARmax100'] == pytest.approx(100 / 225, abs=0.01)
    assert result[f'{prefix}_AP'] == pytest.approx(0.446, abs=0.02)
    assert result[f'{prefix}_AP_by_category/cat'] == result[f'{prefix}_AP']


@pytest.mark.parametrize('limit', [1, 2, 10, 15, 300])
def test_figures_at_a_number_of_detections_equal_pycocotools(tmp_path, limit):
  dataset = cases.dataset()
  evaluator = cases.evaluator(tmp_path, dataset, per_category=True, max_detections=limit)
  evaluator.update(cases.predictions(dataset))
  result = evaluator.result()
  files = dict(zip(('bbox', 'segm'), evaluator.save_results(tmp_path / 'results.json')))
  annotation_file = tmp_path / 'instances.json'
  for prefix, file in files.items():
    assert cases.figures(result, prefix) == cases.pycocotools_figures(annotation_file, file, prefix)
    expected = _pycocotools_at(annotation_file, file, prefix, limit)
    assert _figures_at(result, prefix, limit) == pytest.approx(expected, abs=1e-12)
    cat, dog = (result[f'{prefix}_AP@{limit}_by_category/{name}'] for name in ('cat', 'dog'))
    assert (cat + dog) / 2 == pytest.approx(result[f'{prefix}_AP@{limit}'])


def test_numbers_below_one_are_rejected(tmp_path):
  for name in ('max_detections', 'num_workers'):
    with pytest.raises(InputError, match=f'{name} of at least 1'):
      cases.evaluator(tmp_path, cases.dataset(), **{name: 0})
