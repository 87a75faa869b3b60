"""Tests of annotations and batches that the COCO evaluator repairs, names or refuses."""

import re

import numpy as np
import pytest

from htc_tf.errors import DataError, InputError
from htc_tf.evaluation import coco_evaluator
from htc_tf.evaluation import ground_truth as ground_truth_lib
from tests.evaluation import cases


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
  dataset = cases.dataset()
  batch = cases.predictions(dataset)
  batch['detection_classes'] = np.minimum(batch['detection_classes'], len(ids))
  change(dataset['annotations'])
  evaluator = coco_evaluator.COCOEvaluator(cases.write(tmp_path, dataset), ids, include_mask=True)
  evaluator.update(batch)
  assert set(evaluator.result().values()) == {-1.0}
  (warning,) = [entry.message for entry in caplog.records if 'figures are empty' in entry.message]
  assert re.search(reason, warning)


def test_an_evaluation_with_one_object_is_not_called_empty(tmp_path, caplog):
  dataset = cases.dataset()
  _all_crowds(dataset['annotations'][1:])
  evaluator = cases.evaluator(tmp_path, dataset)
  evaluator.update(cases.predictions(dataset))
  assert evaluator.result()['bbox_AP'] >= 0
  assert 'figures are empty' not in caplog.text


def test_an_annotation_with_id_zero_can_be_matched(tmp_path):
  dataset = cases.dataset(num_images=1)
  batch = cases.predictions(dataset)
  expected = cases.evaluator(tmp_path, dataset)
  expected.update(batch)
  for number, annotation in enumerate(dataset['annotations']):
    annotation['id'] = number
    del annotation['iscrowd'], annotation['area']
  evaluator = cases.evaluator(tmp_path, dataset)
  evaluator.update(batch)
  assert evaluator.result() == expected.result()


def test_images_of_another_data_set_or_size_are_rejected(tmp_path):
  dataset = cases.dataset()
  batch = cases.predictions(dataset)
  evaluator = cases.evaluator(tmp_path, dataset)
  with pytest.raises(DataError, match=r'not in the annotations.*image id 99'):
    evaluator.update({**batch, 'source_id': np.array([10, 99, 11, 12])})
  batch['image_info'][:, 0] = [200, 120]
  evaluator.reset()
  with pytest.raises(DataError, match=r'\(120, 200\).*\(200, 120\).*EXIF'):
    evaluator.update(batch)


def test_batches_without_masks_or_boxes_are_rejected(tmp_path):
  batch = cases.predictions(cases.dataset())
  evaluator = cases.evaluator(tmp_path, cases.dataset())
  for key, cause in (('detection_masks', 'include_mask'), ('detection_boxes', 'another model')):
    with pytest.raises(InputError, match=f'no {key}.*{cause}'):
      evaluator.update({name: array for name, array in batch.items() if name != key})


def test_mask_evaluation_without_segmentations_is_rejected(tmp_path):
  dataset = cases.dataset()
  for entry in dataset['annotations']:
    entry['segmentation'] = []
  with pytest.raises(DataError, match=r'28 annotations without a usable polygon.*include_mask'):
    cases.evaluator(tmp_path, dataset)


def test_files_that_are_not_annotations_are_rejected(tmp_path):
  path = tmp_path / 'broken.json'
  with pytest.raises(DataError, match=r'cannot be read.*No such file.*wrong path'):
    coco_evaluator.COCOEvaluator(path, cases.CATEGORY_IDS, include_mask=True)
  for content, message in (
    ('{"images": [', 'not JSON'),
    ('[]', 'is not a COCO instances file.*a list'),
    ('{"images": []}', 'has no categories'),
    ('\xff', 'not JSON'),
  ):
    path.write_bytes(content.encode('latin-1'))
    with pytest.raises(DataError, match=message):
      coco_evaluator.COCOEvaluator(path, cases.CATEGORY_IDS, include_mask=True)


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
  dataset = cases.dataset()
  dataset['annotations'][1].update(changes)
  ground_truth = ground_truth_lib.load_ground_truth(
    cases.write(tmp_path, dataset), include_mask=True
  )
  assert len(ground_truth.anns) == num_kept
  assert finding in caplog.text


def test_annotations_as_tools_write_them_give_the_same_figures(tmp_path):
  dataset = cases.dataset()
  batch = cases.predictions(dataset)
  expected = cases.evaluator(tmp_path, dataset)
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
  evaluator = cases.evaluator(tmp_path, dataset)
  evaluator.update(batch)
  assert evaluator.result() == pytest.approx(expected.result(), abs=1e-9)


def test_usable_annotations_are_not_changed_for_evaluation(tmp_path):
  """Boxes over the border and polygons without area count in COCO's own evaluation as well."""
  dataset = cases.dataset()
  dataset['annotations'][0].update(bbox=[-5.0, -5.0, 500.0, 500.0])
  dataset['annotations'][1]['segmentation'].append([5, 5, 8, 8, 11, 11])
  path = cases.write(tmp_path, dataset)
  ground_truth = ground_truth_lib.load_ground_truth(path, include_mask=True)
  assert sorted(ground_truth.anns.values(), key=lambda entry: entry['id']) == dataset['annotations']
