"""Tests of the match of the categories of a model with those of annotations."""

import pytest

from htc_tf.errors import DataError
from htc_tf.evaluation import coco_evaluator
from htc_tf.evaluation import ground_truth as ground_truth_lib
from tests.evaluation import cases


def test_classes_without_a_category_are_rejected(tmp_path):
  batch = cases.predictions(cases.dataset())
  batch['detection_classes'][0, 0] = 4
  with pytest.raises(DataError, match=r'classes 1 to 3.*Got: 4'):
    cases.evaluator(tmp_path, cases.dataset()).update(batch)


@pytest.mark.parametrize(
  'category_ids, message', [([3, 4], r'unknown ids \[4\]'), ([], 'no category')]
)
def test_categories_that_the_annotations_lack_are_rejected(tmp_path, category_ids, message):
  with pytest.raises(DataError, match=message):
    coco_evaluator.COCOEvaluator(
      cases.write(tmp_path, cases.dataset()), category_ids, include_mask=True
    )


def _named(tmp_path, dataset, names):
  return coco_evaluator.COCOEvaluator(
    cases.write(tmp_path, dataset), list(names), include_mask=True, names=list(names.values())
  )


def test_categories_are_matched_by_id_whatever_their_order(tmp_path):
  dataset = cases.dataset()
  batch = cases.predictions(dataset)
  names = {entry['id']: entry['name'] for entry in cases.CATEGORIES}
  expected = cases.evaluator(tmp_path, dataset)
  expected.update(batch)
  dataset['categories'] = dataset['categories'][::-1]
  evaluator = _named(tmp_path, dataset, {id_: names[id_] for id_ in cases.CATEGORY_IDS})
  evaluator.update(batch)
  assert evaluator.result() == expected.result()


def test_a_category_that_the_annotations_lack_is_not_evaluated(tmp_path):
  dataset = cases.dataset()
  batch = cases.predictions(dataset)
  names = {entry['id']: entry['name'] for entry in cases.CATEGORIES}
  dataset['categories'] = [entry for entry in cases.CATEGORIES if entry['id'] != 9]
  evaluator = _named(tmp_path, dataset, {id_: names[id_] for id_ in cases.CATEGORY_IDS})
  batch['detection_classes'][:, -1] = cases.CATEGORY_IDS.index(9) + 1
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
    _named(tmp_path, cases.dataset(), names)


def test_categories_with_the_same_name_get_distinct_names(tmp_path):
  dataset = cases.dataset()
  dataset['categories'] = [{'id': 3, 'name': 'cat'}, {'id': 5, 'name': 'cat'}, {'id': 9}]
  ground_truth = ground_truth_lib.load_ground_truth(
    cases.write(tmp_path, dataset), include_mask=False
  )
  assert ground_truth_lib.category_names(ground_truth, [5, 3, 9]) == ('cat (5)', 'cat (3)', '9')
