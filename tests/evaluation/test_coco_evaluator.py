"""Tests of the evaluator against direct calls of pycocotools, and of its checks."""

import contextlib
import io
import json
import pathlib
import re

import numpy as np
import pytest
from absl import logging
from pycocotools import coco, cocoeval

from htc_tf.errors import DataError, InputError
from htc_tf.evaluation import coco_evaluator, metrics
from htc_tf.evaluation import ground_truth as ground_truth_lib

_CATEGORIES = [{'id': 3, 'name': 'cat'}, {'id': 5, 'name': 'dog'}, {'id': 9, 'name': 'owl'}]
_CATEGORY_IDS = [3, 5, 9]
_IMAGE_HW = (120, 200)
_SCALE = np.array([1.25, 0.8], np.float32)
_IMAGE_INFO = np.array([_IMAGE_HW, [150, 160], _SCALE, [0, 0]], np.float32)
_FIGURES = [
  'AP',
  'AP50',
  'AP75',
  'APs',
  'APm',
  'APl',
  'ARmax1',
  'ARmax10',
  'ARmax100',
  'ARs',
  'ARm',
  'ARl',
]


def _annotation(annotation_id, image_id, category_id, box, **fields):
  """An object that fills its box (y_min, x_min, y_max, x_max)."""
  y_min, x_min, y_max, x_max = (float(value) for value in box)
  polygon = [x_min, y_min, x_max, y_min, x_max, y_max, x_min, y_max]
  annotation = {
    'id': annotation_id,
    'image_id': image_id,
    'category_id': category_id,
    'bbox': [x_min, y_min, x_max - x_min, y_max - y_min],
    'area': (y_max - y_min) * (x_max - x_min),
    'iscrowd': 0,
    'segmentation': [polygon],
  }
  return {**annotation, **fields}


def _random_boxes(rng, num):
  """Boxes of all three sizes of COCO, inside the image."""
  size = rng.choice([14, 50, 105], size=(num, 1)) * rng.uniform(0.95, 1.1, size=(num, 2))
  low = rng.uniform(0, 1, size=(num, 2)) * (np.array(_IMAGE_HW) - size).clip(0)
  return np.concatenate([low, low + size], axis=1)


def _dataset(num_images=4, seed=0):
  """Images with ids 10, 11, ... and seven objects each, none of them an owl."""
  rng = np.random.default_rng(seed)
  images = [
    {'id': 10 + index, 'height': _IMAGE_HW[0], 'width': _IMAGE_HW[1], 'file_name': f'{index}.png'}
    for index in range(num_images)
  ]
  annotations = []
  for image in images:
    for box in _random_boxes(rng, 7):
      category_id = int(rng.choice([3, 5]))
      annotations.append(_annotation(len(annotations) + 1, image['id'], category_id, box))
  return {'images': images, 'annotations': annotations, 'categories': _CATEGORIES}


def _write(tmp_path, dataset):
  path = tmp_path / 'instances.json'
  path.write_text(json.dumps(dataset), encoding='utf-8')
  return path


def _predictions(dataset, noise=3.0, num_rows=20, seed=1):
  """Detections of all images: the objects with noise, five false positives, and padding rows."""
  rng = np.random.default_rng(seed)
  images = dataset['images']
  batch = {
    'source_id': np.array([image['id'] for image in images], np.int64),
    'image_info': np.tile(_IMAGE_INFO, (len(images), 1, 1)),
    'detection_boxes': np.zeros((len(images), num_rows, 4), np.float32),
    'detection_scores': np.zeros((len(images), num_rows), np.float32),
    'detection_classes': np.zeros((len(images), num_rows), np.int32),
    'num_detections': np.zeros(len(images), np.int32),
    'detection_masks': np.zeros((len(images), num_rows, 28, 28), np.float32),
  }
  for row, image in enumerate(images):
    objects = [
      annotation for annotation in dataset['annotations'] if annotation['image_id'] == image['id']
    ]
    boxes = np.array(
      [[y, x, y + height, x + width] for x, y, width, height in (item['bbox'] for item in objects)]
    )
    labels = [_CATEGORY_IDS.index(item['category_id']) + 1 for item in objects]
    boxes = np.concatenate(
      [boxes.reshape(-1, 4) + rng.normal(0, noise, (len(boxes), 4)), _random_boxes(rng, 5)]
    )
    num = len(boxes)
    batch['detection_boxes'][row, :num] = boxes * np.tile(_SCALE, 2)
    batch['detection_scores'][row, :num] = np.sort(rng.uniform(0.05, 1, num))[::-1]
    batch['detection_classes'][row, :num] = labels + rng.integers(1, 4, 5).tolist()
    batch['num_detections'][row] = num
    batch['detection_masks'][row, :num] = rng.uniform(0.3, 1, (num, 28, 28))
  return batch


def _pycocotools_figures(annotation_file, result_file, iou_type):
  """Figures that pycocotools computes from two files."""
  with contextlib.redirect_stdout(io.StringIO()):
    ground_truth = coco.COCO(str(annotation_file))
    evaluation = cocoeval.COCOeval(ground_truth, ground_truth.loadRes(str(result_file)), iou_type)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
  return evaluation.stats.tolist()


def _figures(result, prefix):
  return [result[f'{prefix}_{name}'] for name in _FIGURES]


def _evaluator(tmp_path, dataset, include_mask=True, **options):
  return coco_evaluator.COCOEvaluator(
    _write(tmp_path, dataset), _CATEGORY_IDS, include_mask, **options
  )


def test_result_equals_pycocotools_on_the_written_files(tmp_path):
  dataset = _dataset()
  evaluator = _evaluator(tmp_path, dataset)
  evaluator.update(_predictions(dataset))
  result = evaluator.result()
  boxes_and_masks, masks = evaluator.save_results(tmp_path / 'results.json')
  annotation_file = tmp_path / 'instances.json'
  assert 0.05 < result['bbox_AP'] < 0.95 and 0.05 < result['segm_AP'] < 0.95
  assert _figures(result, 'bbox') == _pycocotools_figures(annotation_file, boxes_and_masks, 'bbox')
  assert _figures(result, 'segm') == _pycocotools_figures(annotation_file, masks, 'segm')
  # From the first file, masks differ only by the size of unmatched detections (APs, APm, APl).
  from_first = _pycocotools_figures(annotation_file, boxes_and_masks, 'segm')
  same = [index for index, name in enumerate(_FIGURES) if name not in ('APs', 'APm', 'APl')]
  assert np.array(_figures(result, 'segm'))[same].tolist() == np.array(from_first)[same].tolist()


def test_size_of_a_false_mask_is_its_area_and_not_that_of_its_box(tmp_path):
  # An object of 1600 pixels, and a false mask of 400 pixels in a box of 1600: its mask is small.
  dataset = {
    'images': [{'id': 10, 'height': _IMAGE_HW[0], 'width': _IMAGE_HW[1]}],
    'annotations': [_annotation(1, 10, 3, (0, 0, 40, 40))],
    'categories': _CATEGORIES,
  }
  batch = _predictions(dataset, noise=0)
  batch['num_detections'][:] = 2
  batch['detection_classes'][0, :2] = 1
  boxes = np.array([[0, 0, 40, 40], [60, 60, 100, 100]])
  batch['detection_boxes'][0, :2] = boxes * np.tile(_SCALE, 2)
  batch['detection_scores'][0, :2] = 0.5, 0.9
  batch['detection_masks'][0, 0] = 1
  batch['detection_masks'][0, 1] = np.pad(np.ones((14, 14)), ((0, 14), (0, 14)))
  evaluator = _evaluator(tmp_path, dataset)
  evaluator.update(batch)
  result = evaluator.result()
  assert result['segm_APm'] == pytest.approx(1.0)
  assert result['bbox_APm'] == pytest.approx(0.5)


def test_two_merged_evaluators_equal_one(tmp_path):
  dataset = _dataset()
  batch = _predictions(dataset)
  alone = _evaluator(tmp_path, dataset)
  alone.update(batch)
  parts = [_evaluator(tmp_path, dataset) for _ in range(2)]
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
  dataset = _dataset()
  batch = _predictions(dataset, noise=0)
  batch['num_detections'] -= 5  # without the false positives
  batch['detection_masks'][:] = 1
  evaluator = _evaluator(tmp_path, dataset)
  evaluator.update(batch)
  result = evaluator.result()
  assert result['bbox_AP'] == pytest.approx(1.0)
  assert result['segm_AP50'] == pytest.approx(1.0)


def test_boxes_are_evaluated_without_masks(tmp_path):
  dataset = _dataset()
  batch = _predictions(dataset)
  with_masks = _evaluator(tmp_path, dataset)
  with_masks.update(batch)
  del batch['detection_masks']
  for annotation in dataset['annotations']:
    del annotation['segmentation']
  boxes_alone = _evaluator(tmp_path, dataset, include_mask=False)
  boxes_alone.update(batch)
  result = boxes_alone.result()
  assert list(result) == [f'bbox_{name}' for name in _FIGURES]
  assert _figures(result, 'bbox') == _figures(with_masks.result(), 'bbox')
  assert boxes_alone.save_results(tmp_path / 'boxes.json') == [str(tmp_path / 'boxes.json')]
  assert 'segmentation' not in json.loads((tmp_path / 'boxes.json').read_text())[0]


def test_crowds_are_ignored(tmp_path):
  dataset = _dataset()
  evaluator = _evaluator(tmp_path, dataset)
  batch = _predictions(dataset)
  evaluator.update(batch)
  without_crowd = evaluator.result()
  # With a crowd over a whole image, as uncompressed RLE, its false positives do not count ...
  counts = [0, _IMAGE_HW[0] * _IMAGE_HW[1]]
  for category in _CATEGORY_IDS:
    dataset['annotations'].append(
      _annotation(
        len(dataset['annotations']) + 1,
        10,
        category,
        (0, 0, *_IMAGE_HW),
        iscrowd=1,
        segmentation={'size': list(_IMAGE_HW), 'counts': counts},
      )
    )
  evaluator = _evaluator(tmp_path, dataset)
  evaluator.update(batch)
  with_crowd = evaluator.result()
  for prefix in ('bbox', 'segm'):
    assert with_crowd[f'{prefix}_AP'] > without_crowd[f'{prefix}_AP']
    # ... and the crowd is not an object that could be missed.
    assert with_crowd[f'{prefix}_ARmax100'] == without_crowd[f'{prefix}_ARmax100']


def test_batches_repeats_and_reset_make_no_difference(tmp_path):
  dataset = _dataset()
  batch = _predictions(dataset)
  at_once = _evaluator(tmp_path, dataset)
  at_once.update(batch)
  evaluator = _evaluator(tmp_path, dataset)
  evaluator.update(batch)
  evaluator.reset()
  for rows in ([0, 1], [1, 2], [3, 3]):
    evaluator.update({key: array[rows] for key, array in batch.items()})
  assert evaluator.result() == at_once.result() == evaluator.result()


def test_workers_make_no_difference(tmp_path):
  dataset = _dataset(num_images=9)
  batch = _predictions(dataset)
  written = {}
  for num_workers in (1, 2):
    evaluator = _evaluator(tmp_path, dataset, num_workers=num_workers)
    for row in range(9):
      evaluator.update({key: array[row : row + 1] for key, array in batch.items()})
    paths = evaluator.save_results(tmp_path / f'{num_workers}.json')
    written[num_workers] = [pathlib.Path(path).read_bytes() for path in paths], evaluator.result()
  assert written[1] == written[2]
  assert written[1][1]['segm_AP'] > 0.05


def test_an_error_of_a_worker_is_raised_by_the_result_until_reset(tmp_path):
  dataset = _dataset()
  batch = _predictions(dataset)
  broken = {**batch, 'detection_masks': np.full_like(batch['detection_masks'], np.nan)}
  evaluator = _evaluator(tmp_path, dataset, num_workers=2)
  evaluator.update({key: array[:1] for key, array in broken.items()})
  for use in (evaluator.result, lambda: evaluator.save_results(tmp_path / 'results.json')):
    with pytest.raises(InputError, match='finite mask probabilities'):
      use()
  assert not (tmp_path / 'results.json').exists()
  evaluator.reset()
  evaluator.update(batch)
  assert evaluator.result()['segm_AP'] > 0.05


def test_padding_rows_do_not_count(tmp_path):
  dataset = _dataset()
  batch = _predictions(dataset)
  expected = _evaluator(tmp_path, dataset)
  expected.update(batch)
  for image, num in enumerate(batch['num_detections']):
    batch['detection_boxes'][image, num:] = np.nan
    batch['detection_scores'][image, num:] = 1
    batch['detection_classes'][image, num:] = 1
  padded = _evaluator(tmp_path, dataset)
  padded.update(batch)
  assert padded.result() == expected.result()


def test_no_detections_give_zeros(tmp_path):
  dataset = _dataset()
  batch = _predictions(dataset)
  batch['num_detections'][:] = 0
  evaluator = _evaluator(tmp_path, dataset, per_category=True)
  evaluator.update(batch)
  result = evaluator.result()
  assert {result[f'{prefix}_{name}'] for prefix in ('bbox', 'segm') for name in _FIGURES} == {0.0}
  assert result['bbox_AP_by_category/cat'] == 0
  paths = evaluator.save_results(tmp_path / 'results.json')
  assert [json.loads(pathlib.Path(path).read_text()) for path in paths] == [[], []]


def test_images_without_objects_count_as_background(tmp_path):
  dataset = _dataset()
  dataset['annotations'] = []
  evaluator = _evaluator(tmp_path, dataset)
  evaluator.update(_predictions(dataset))
  assert set(evaluator.result().values()) == {-1.0}


def test_images_that_were_not_predicted_count_as_missed(tmp_path, monkeypatch):
  warnings = []
  monkeypatch.setattr(logging, 'warning', lambda text, *args: warnings.append(text % args))
  dataset = _dataset()
  batch = _predictions(dataset)
  evaluator = _evaluator(tmp_path, dataset)
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
  dataset = _dataset()
  evaluator = _evaluator(tmp_path, dataset, per_category=True)
  evaluator.update(_predictions(dataset))
  result = evaluator.result()
  for prefix in ('bbox', 'segm'):
    cat, dog, owl = (result[f'{prefix}_AP_by_category/{name}'] for name in ('cat', 'dog', 'owl'))
    assert owl == -1  # no annotations
    assert (cat + dog) / 2 == pytest.approx(result[f'{prefix}_AP'])


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
  dataset = _dataset(num_images=1)
  corners = [(8.0 * row, 13.0 * column) for row in range(15) for column in range(15)]
  dataset['annotations'] = [
    _annotation(number, 10, 3, (y, x, y + 6, x + 10)) for number, (y, x) in enumerate(corners, 1)
  ]
  batch = _predictions(dataset, noise=0, num_rows=300)
  batch['detection_masks'][:] = 1
  evaluator = _evaluator(tmp_path, dataset, per_category=True, max_detections=300)
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
  dataset = _dataset()
  evaluator = _evaluator(tmp_path, dataset, per_category=True, max_detections=limit)
  evaluator.update(_predictions(dataset))
  result = evaluator.result()
  files = dict(zip(('bbox', 'segm'), evaluator.save_results(tmp_path / 'results.json')))
  annotation_file = tmp_path / 'instances.json'
  for prefix, file in files.items():
    assert _figures(result, prefix) == _pycocotools_figures(annotation_file, file, prefix)
    expected = _pycocotools_at(annotation_file, file, prefix, limit)
    assert _figures_at(result, prefix, limit) == pytest.approx(expected, abs=1e-12)
    cat, dog = (result[f'{prefix}_AP@{limit}_by_category/{name}'] for name in ('cat', 'dog'))
    assert (cat + dog) / 2 == pytest.approx(result[f'{prefix}_AP@{limit}'])


def test_numbers_below_one_are_rejected(tmp_path):
  for name in ('max_detections', 'num_workers'):
    with pytest.raises(InputError, match=f'{name} of at least 1'):
      _evaluator(tmp_path, _dataset(), **{name: 0})


def _drop_all(annotations):
  annotations.clear()


def _all_crowds(annotations):
  for entry in annotations:
    entry['iscrowd'] = 1


def _all_owls(annotations):
  for entry in annotations:
    entry['category_id'] = 9


@pytest.mark.parametrize(
  'change, ids, reason',
  [
    (_drop_all, [3, 5, 9], 'the 4 images have no annotation. Likely cause: '),
    (_all_crowds, [3, 5, 9], 'all 28 annotations of the evaluated categories, in 4 images, are cr'),
    (_all_owls, [3, 5], "none of the 28 annotations of 4 images has one of .* 3: 'cat', 5: 'dog'"),
  ],
)
def test_an_evaluation_without_objects_says_why(tmp_path, caplog, change, ids, reason):
  dataset = _dataset()
  batch = _predictions(dataset)
  batch['detection_classes'] = np.minimum(batch['detection_classes'], len(ids))
  change(dataset['annotations'])
  evaluator = coco_evaluator.COCOEvaluator(_write(tmp_path, dataset), ids, include_mask=True)
  evaluator.update(batch)
  assert set(evaluator.result().values()) == {-1.0}
  (warning,) = [entry.message for entry in caplog.records if 'figures are empty' in entry.message]
  assert re.search(reason, warning)


def test_an_evaluation_with_one_object_is_not_called_empty(tmp_path, caplog):
  dataset = _dataset()
  _all_crowds(dataset['annotations'][1:])
  evaluator = _evaluator(tmp_path, dataset)
  evaluator.update(_predictions(dataset))
  assert evaluator.result()['bbox_AP'] >= 0
  assert 'figures are empty' not in caplog.text


def test_an_annotation_with_id_zero_can_be_matched(tmp_path):
  dataset = _dataset(num_images=1)
  batch = _predictions(dataset)
  expected = _evaluator(tmp_path, dataset)
  expected.update(batch)
  for number, annotation in enumerate(dataset['annotations']):
    annotation['id'] = number
    del annotation['iscrowd'], annotation['area']
  evaluator = _evaluator(tmp_path, dataset)
  evaluator.update(batch)
  assert evaluator.result() == expected.result()


def test_images_of_another_data_set_or_size_are_rejected(tmp_path):
  dataset = _dataset()
  batch = _predictions(dataset)
  evaluator = _evaluator(tmp_path, dataset)
  with pytest.raises(DataError, match=r'not in the annotations.*image id 99'):
    evaluator.update({**batch, 'source_id': np.array([10, 99, 11, 12])})
  batch['image_info'][:, 0] = [200, 120]
  evaluator.reset()
  with pytest.raises(DataError, match=r'\(120, 200\).*\(200, 120\).*EXIF'):
    evaluator.update(batch)


def test_batches_without_masks_or_boxes_are_rejected(tmp_path):
  batch = _predictions(_dataset())
  evaluator = _evaluator(tmp_path, _dataset())
  for key, cause in (('detection_masks', 'include_mask'), ('detection_boxes', 'another model')):
    with pytest.raises(InputError, match=f'no {key}.*{cause}'):
      evaluator.update({name: array for name, array in batch.items() if name != key})


def test_classes_without_a_category_are_rejected(tmp_path):
  batch = _predictions(_dataset())
  batch['detection_classes'][0, 0] = 4
  with pytest.raises(DataError, match=r'classes 1 to 3.*Got: 4'):
    _evaluator(tmp_path, _dataset()).update(batch)


@pytest.mark.parametrize(
  'category_ids, message', [([3, 4], r'unknown ids \[4\]'), ([], 'no category')]
)
def test_categories_that_the_annotations_lack_are_rejected(tmp_path, category_ids, message):
  with pytest.raises(DataError, match=message):
    coco_evaluator.COCOEvaluator(_write(tmp_path, _dataset()), category_ids, include_mask=True)


def _named(tmp_path, dataset, names):
  return coco_evaluator.COCOEvaluator(
    _write(tmp_path, dataset), list(names), include_mask=True, names=list(names.values())
  )


def test_categories_are_matched_by_id_whatever_their_order(tmp_path):
  dataset = _dataset()
  batch = _predictions(dataset)
  names = {entry['id']: entry['name'] for entry in _CATEGORIES}
  expected = _evaluator(tmp_path, dataset)
  expected.update(batch)
  dataset['categories'] = dataset['categories'][::-1]
  evaluator = _named(tmp_path, dataset, {id_: names[id_] for id_ in _CATEGORY_IDS})
  evaluator.update(batch)
  assert evaluator.result() == expected.result()


def test_a_category_that_the_annotations_lack_is_not_evaluated(tmp_path):
  dataset = _dataset()
  batch = _predictions(dataset)
  names = {entry['id']: entry['name'] for entry in _CATEGORIES}
  dataset['categories'] = [entry for entry in _CATEGORIES if entry['id'] != 9]
  evaluator = _named(tmp_path, dataset, {id_: names[id_] for id_ in _CATEGORY_IDS})
  batch['detection_classes'][:, -1] = _CATEGORY_IDS.index(9) + 1
  evaluator.update(batch)
  assert evaluator.result()['bbox_AP'] > 0


@pytest.mark.parametrize(
  'names, found',
  [
    ({3: 'x', 5: 'y', 9: 'z'}, '3 ids have another name'),
    ({103: 'x', 105: 'y'}, 'no id is the same'),
  ],
)
def test_other_names_of_the_categories_are_refused(tmp_path, names, found):
  with pytest.raises(DataError, match=f"Expected: the ids and names .*'x'.*{found}.*same id"):
    _named(tmp_path, _dataset(), names)


def test_mask_evaluation_without_segmentations_is_rejected(tmp_path):
  dataset = _dataset()
  for entry in dataset['annotations']:
    entry['segmentation'] = []
  with pytest.raises(DataError, match=r'28 annotations without a usable polygon.*include_mask'):
    _evaluator(tmp_path, dataset)


def test_files_that_are_not_annotations_are_rejected(tmp_path):
  path = tmp_path / 'broken.json'
  with pytest.raises(DataError, match=r'cannot be read.*No such file.*wrong path'):
    coco_evaluator.COCOEvaluator(path, _CATEGORY_IDS, include_mask=True)
  for content, message in (
    ('{"images": [', 'not JSON'),
    ('[]', 'is not a COCO instances file.*a list'),
    ('{"images": []}', 'has no categories'),
    ('\xff', 'not JSON'),
  ):
    path.write_bytes(content.encode('latin-1'))
    with pytest.raises(DataError, match=message):
      coco_evaluator.COCOEvaluator(path, _CATEGORY_IDS, include_mask=True)


@pytest.mark.parametrize(
  'changes, finding, num_kept',
  [
    ({'image_id': 1}, 'an unknown image id (dropped): e.g. annotation 2', 27),
    ({'category_id': 4}, 'an unknown category id (dropped): e.g. annotation 2', 27),
    ({'segmentation': []}, 'without a usable polygon (dropped): e.g. annotation 2', 27),
    ({'bbox': [1, 2]}, 'without a usable box (taken from the mask): e.g. annotation 2', 28),
    ({'iscrowd': 'perhaps'}, "an unclear iscrowd (taken as no crowd): e.g. annotation 2: 'per", 28),
  ],
)
def test_a_bad_annotation_is_repaired_or_dropped_and_logged(
  tmp_path, caplog, changes, finding, num_kept
):
  dataset = _dataset()
  dataset['annotations'][1].update(changes)
  ground_truth = ground_truth_lib.load_ground_truth(_write(tmp_path, dataset), include_mask=True)
  assert len(ground_truth.anns) == num_kept
  assert finding in caplog.text


def test_annotations_as_tools_write_them_give_the_same_figures(tmp_path):
  dataset = _dataset()
  batch = _predictions(dataset)
  expected = _evaluator(tmp_path, dataset)
  expected.update(batch)
  for image in dataset['images']:
    image.update(id=str(image['id']), height=float(image['height']), width=str(image['width']))
  for entry in dataset['annotations']:
    polygon = entry['segmentation'][0]
    entry.update(
      image_id=float(entry['image_id']),
      category_id=str(entry['category_id']),
      area=str(entry['area']),
      iscrowd='false',
      bbox=[str(value) for value in entry['bbox']],
    )
    entry['segmentation'] = (
      polygon if entry['id'] % 2 else [polygon[i : i + 2] for i in range(0, len(polygon), 2)]
    )
  evaluator = _evaluator(tmp_path, dataset)
  evaluator.update(batch)
  assert evaluator.result() == pytest.approx(expected.result(), abs=1e-9)


def test_usable_annotations_are_not_changed_for_evaluation(tmp_path):
  """Boxes over the border and polygons without area count in COCO's own evaluation as well."""
  dataset = _dataset()
  dataset['annotations'][0].update(bbox=[-5.0, -5.0, 500.0, 500.0])
  dataset['annotations'][1]['segmentation'].append([5, 5, 8, 8, 11, 11])
  path = _write(tmp_path, dataset)
  ground_truth = ground_truth_lib.load_ground_truth(path, include_mask=True)
  assert sorted(ground_truth.anns.values(), key=lambda entry: entry['id']) == dataset['annotations']


def test_categories_with_the_same_name_get_distinct_names(tmp_path):
  dataset = _dataset()
  dataset['categories'] = [{'id': 3, 'name': 'cat'}, {'id': 5, 'name': 'cat'}, {'id': 9}]
  ground_truth = ground_truth_lib.load_ground_truth(_write(tmp_path, dataset), include_mask=False)
  assert ground_truth_lib.category_names(ground_truth, [5, 3, 9]) == ('cat (5)', 'cat (3)', '9')


def test_nothing_is_printed(tmp_path, capsys):
  evaluator = _evaluator(tmp_path, _dataset())
  evaluator.update(_predictions(_dataset()))
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
