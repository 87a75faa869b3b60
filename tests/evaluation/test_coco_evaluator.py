"""Tests of the evaluator against direct calls of pycocotools."""

import json
import pathlib

import numpy as np
import pytest
from absl import logging

from htc_tf.errors import InputError
from htc_tf.evaluation import metrics
from tests.evaluation import cases


def test_result_equals_pycocotools_on_the_written_files(tmp_path):
  dataset = cases.dataset()
  evaluator = cases.evaluator(tmp_path, dataset)
  evaluator.update(cases.predictions(dataset))
  result = evaluator.result()
  boxes_and_masks, masks = evaluator.save_results(tmp_path / 'results.json')
  annotation_file = tmp_path / 'instances.json'
  assert 0.05 < result['bbox_AP'] < 0.95 and 0.05 < result['segm_AP'] < 0.95
  assert cases.figures(result, 'bbox') == cases.pycocotools_figures(
    annotation_file, boxes_and_masks, 'bbox'
  )
  assert cases.figures(result, 'segm') == cases.pycocotools_figures(annotation_file, masks, 'segm')
  # From the first file, masks differ only by the size of unmatched detections (APs, APm, APl).
  from_first = cases.pycocotools_figures(annotation_file, boxes_and_masks, 'segm')
  same = [index for index, name in enumerate(cases.FIGURES) if name not in ('APs', 'APm', 'APl')]
  assert (
    np.array(cases.figures(result, 'segm'))[same].tolist() == np.array(from_first)[same].tolist()
  )


def test_size_of_a_false_mask_is_its_area_and_not_that_of_its_box(tmp_path):
  # An object of 1600 pixels, and a false mask of 400 pixels in a box of 1600: its mask is small.
  dataset = {
    'images': [{'id': 10, 'height': cases.IMAGE_HW[0], 'width': cases.IMAGE_HW[1]}],
    'annotations': [cases.annotation(1, 10, 3, (0, 0, 40, 40))],
    'categories': cases.CATEGORIES,
  }
  batch = cases.predictions(dataset, noise=0)
  batch['num_detections'][:] = 2
  batch['detection_classes'][0, :2] = 1
  boxes = np.array([[0, 0, 40, 40], [60, 60, 100, 100]])
  batch['detection_boxes'][0, :2] = boxes * np.tile(cases.SCALE, 2)
  batch['detection_scores'][0, :2] = 0.5, 0.9
  batch['detection_masks'][0, 0] = 1
  batch['detection_masks'][0, 1] = np.pad(np.ones((14, 14)), ((0, 14), (0, 14)))
  evaluator = cases.evaluator(tmp_path, dataset)
  evaluator.update(batch)
  result = evaluator.result()
  assert result['segm_APm'] == pytest.approx(1.0)
  assert result['bbox_APm'] == pytest.approx(0.5)


def test_two_merged_evaluators_equal_one(tmp_path):
  dataset = cases.dataset()
  batch = cases.predictions(dataset)
  alone = cases.evaluator(tmp_path, dataset)
  alone.update(batch)
  parts = [cases.evaluator(tmp_path, dataset) for _ in range(2)]
  for part, rows in zip(parts, ([0, 2], [1, 2, 3])):  # Both have the third image.
    part.update({key: values[rows] for key, values in batch.items()})
  collected = [json.loads(json.dumps(part.collected())) for part in parts]
  assert [content['images'] for content in collected] == [[10, 12], [11, 12, 13]]
  expected = alone.result()
  for part in parts:
    for content in collected:
      part.merge(content)
    assert part.result() == expected
    assert len(part.collected()['results']) == len(alone.collected()['results'])


def test_perfect_detections_have_an_ap_of_one(tmp_path):
  dataset = cases.dataset()
  batch = cases.predictions(dataset, noise=0)
  batch['num_detections'] -= 5  # without the false positives
  batch['detection_masks'][:] = 1
  evaluator = cases.evaluator(tmp_path, dataset)
  evaluator.update(batch)
  result = evaluator.result()
  assert result['bbox_AP'] == pytest.approx(1.0)
  assert result['segm_AP50'] == pytest.approx(1.0)


def test_boxes_are_evaluated_without_masks(tmp_path):
  dataset = cases.dataset()
  batch = cases.predictions(dataset)
  with_masks = cases.evaluator(tmp_path, dataset)
  with_masks.update(batch)
  del batch['detection_masks']
  for annotation in dataset['annotations']:
    del annotation['segmentation']
  boxes_alone = cases.evaluator(tmp_path, dataset, include_mask=False)
  boxes_alone.update(batch)
  result = boxes_alone.result()
  assert list(result) == [f'bbox_{name}' for name in cases.FIGURES]
  assert cases.figures(result, 'bbox') == cases.figures(with_masks.result(), 'bbox')
  assert boxes_alone.save_results(tmp_path / 'boxes.json') == [str(tmp_path / 'boxes.json')]
  assert 'segmentation' not in json.loads((tmp_path / 'boxes.json').read_text())[0]


def test_crowds_are_ignored(tmp_path):
  dataset = cases.dataset()
  evaluator = cases.evaluator(tmp_path, dataset)
  batch = cases.predictions(dataset)
  evaluator.update(batch)
  without_crowd = evaluator.result()
  # With a crowd over a whole image, as uncompressed RLE, its false positives do not count ...
  counts = [0, cases.IMAGE_HW[0] * cases.IMAGE_HW[1]]
  for category in cases.CATEGORY_IDS:
    dataset['annotations'].append(
      cases.annotation(
        len(dataset['annotations']) + 1,
        10,
        category,
        (0, 0, *cases.IMAGE_HW),
        iscrowd=1,
        segmentation={'size': list(cases.IMAGE_HW), 'counts': counts},
      )
    )
  evaluator = cases.evaluator(tmp_path, dataset)
  evaluator.update(batch)
  with_crowd = evaluator.result()
  for prefix in ('bbox', 'segm'):
    assert with_crowd[f'{prefix}_AP'] > without_crowd[f'{prefix}_AP']
    # ... and the crowd is not an object that could be missed.
    assert with_crowd[f'{prefix}_ARmax100'] == without_crowd[f'{prefix}_ARmax100']


def test_batches_repeats_and_reset_make_no_difference(tmp_path):
  dataset = cases.dataset()
  batch = cases.predictions(dataset)
  at_once = cases.evaluator(tmp_path, dataset)
  at_once.update(batch)
  evaluator = cases.evaluator(tmp_path, dataset)
  evaluator.update(batch)
  evaluator.reset()
  for rows in ([0, 1], [1, 2], [3, 3]):
    evaluator.update({key: array[rows] for key, array in batch.items()})
  assert evaluator.result() == at_once.result() == evaluator.result()


def test_workers_make_no_difference(tmp_path):
  dataset = cases.dataset(num_images=9)
  batch = cases.predictions(dataset)
  written = {}
  for num_workers in (1, 2):
    evaluator = cases.evaluator(tmp_path, dataset, num_workers=num_workers)
    for row in range(9):
      evaluator.update({key: array[row : row + 1] for key, array in batch.items()})
    paths = evaluator.save_results(tmp_path / f'{num_workers}.json')
    written[num_workers] = [pathlib.Path(path).read_bytes() for path in paths], evaluator.result()
  assert written[1] == written[2]
  assert written[1][1]['segm_AP'] > 0.05


def test_an_error_of_a_worker_is_raised_by_the_result_until_reset(tmp_path):
  dataset = cases.dataset()
  batch = cases.predictions(dataset)
  broken = {**batch, 'detection_masks': np.full_like(batch['detection_masks'], np.nan)}
  evaluator = cases.evaluator(tmp_path, dataset, num_workers=2)
  evaluator.update({key: array[:1] for key, array in broken.items()})
  for use in (evaluator.result, lambda: evaluator.save_results(tmp_path / 'results.json')):
    with pytest.raises(InputError, match='finite mask probabilities'):
      use()
  assert not (tmp_path / 'results.json').exists()
  evaluator.reset()
  evaluator.update(batch)
  assert evaluator.result()['segm_AP'] > 0.05


def test_padding_rows_do_not_count(tmp_path):
  dataset = cases.dataset()
  batch = cases.predictions(dataset)
  expected = cases.evaluator(tmp_path, dataset)
  expected.update(batch)
  for image, num in enumerate(batch['num_detections']):
    batch['detection_boxes'][image, num:] = np.nan
    batch['detection_scores'][image, num:] = 1
    batch['detection_classes'][image, num:] = 1
  padded = cases.evaluator(tmp_path, dataset)
  padded.update(batch)
  assert padded.result() == expected.result()


def test_no_detections_give_zeros(tmp_path):
  dataset = cases.dataset()
  batch = cases.predictions(dataset)
  batch['num_detections'][:] = 0
  evaluator = cases.evaluator(tmp_path, dataset, per_category=True)
  evaluator.update(batch)
  result = evaluator.result()
  assert {result[f'{prefix}_{name}'] for prefix in ('bbox', 'segm') for name in cases.FIGURES} == {
    0.0
  }
  assert result['bbox_AP_by_category/cat'] == 0
  paths = evaluator.save_results(tmp_path / 'results.json')
  assert [json.loads(pathlib.Path(path).read_text()) for path in paths] == [[], []]


def test_images_without_objects_count_as_background(tmp_path):
  dataset = cases.dataset()
  dataset['annotations'] = []
  evaluator = cases.evaluator(tmp_path, dataset)
  evaluator.update(cases.predictions(dataset))
  assert set(evaluator.result().values()) == {-1.0}


def test_images_that_were_not_predicted_count_as_missed(tmp_path, monkeypatch):
  warnings = []
  monkeypatch.setattr(logging, 'warning', lambda text, *args: warnings.append(text % args))
  dataset = cases.dataset()
  batch = cases.predictions(dataset)
  evaluator = cases.evaluator(tmp_path, dataset)
  evaluator.update(batch)
  complete = evaluator.result()
  assert not warnings
  evaluator.reset()
  evaluator.update({key: array[:1] for key, array in batch.items()})
  assert evaluator.result()['bbox_ARmax100'] < 0.5 * complete['bbox_ARmax100']
  (warning,) = warnings
  assert warning.startswith(
    '3 of the 4 annotated images were not predicted; their objects count '
    'as missed. Likely cause: trainer.validation_steps'
  )


def test_ap_is_the_mean_over_the_categories(tmp_path):
  dataset = cases.dataset()
  evaluator = cases.evaluator(tmp_path, dataset, per_category=True)
  evaluator.update(cases.predictions(dataset))
  result = evaluator.result()
  for prefix in ('bbox', 'segm'):
    cat, dog, owl = (result[f'{prefix}_AP_by_category/{name}'] for name in ('cat', 'dog', 'owl'))
    assert owl == -1  # no annotations
    assert (cat + dog) / 2 == pytest.approx(result[f'{prefix}_AP'])


def test_nothing_is_printed(tmp_path, capsys):
  evaluator = cases.evaluator(tmp_path, cases.dataset())
  evaluator.update(cases.predictions(cases.dataset()))
  evaluator.result()
  assert capsys.readouterr().out == ''


def test_the_table_shows_boxes_masks_and_categories():
  table = metrics.format_table(
    {
      'bbox_AP': 0.4321,
      'bbox_APl': -1.0,
      'segm_AP': 0.381,
      'segm_APl': 1.0,
      'loss': 3.0,
      'bbox_AP@300': 0.5,
      'bbox_AP_by_category/cat': 0.5,
      'bbox_AP@300_by_category/cat': 0.6,
      'segm_AP_by_category/cat': -1.0,
    }
  )
  assert [line.split() for line in table.splitlines()] == [
    ['AP', 'APl'],
    ['box', '43.2', '-'],
    ['mask', '38.1', '100.0'],
    ['box@300', '50.0', '-'],
    [],
    ['box', 'AP', 'box', 'AP@300', 'mask', 'AP'],
    ['cat', '50.0', '60.0', '-'],
  ]
  assert metrics.format_table({}) == ''
