"""Tests of the matches of all images against COCOeval's own ones."""

import numpy as np
import pytest
from pycocotools import cocoeval

from htc_tf.evaluation import ground_truth as ground_truth_lib
from htc_tf.evaluation import image_matches, matching
from htc_tf.evaluation.interpolated_precision import average_precision
from tests import evaluation_cases


def _cocoeval(case, iou_type):
  with ground_truth_lib.silence():
    found = case.ground_truth.loadRes(matching.matched_fields(case.results, iou_type))
    evaluation = cocoeval.COCOeval(case.ground_truth, found, iou_type)
    evaluation.params.catIds = case.category_ids
    evaluation.evaluate()
    evaluation.accumulate()
  return evaluation


@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
@pytest.mark.parametrize('seed', range(4))
def test_matches_are_those_of_cocoeval(seed, iou_type):
  case = evaluation_cases.random_case(seed, crowds=True)
  evaluation = _cocoeval(case, iou_type)
  expected = {
    (entry['image_id'], entry['category_id'], index): (
      entry['dtScores'][index],
      int(entry['dtMatches'][0, index]),
      bool(entry['dtIgnore'][0, index]),
    )
    for entry in evaluation.evalImgs
    if entry is not None and entry['aRng'] == evaluation.params.areaRng[0]
    for index in range(len(entry['dtScores']))
  }
  actual = {}
  for image in case.matches(iou_type):
    ids = np.append(image.annotation_ids, 0)
    for label, category in enumerate(case.category_ids):
      for index, row in enumerate(np.flatnonzero(image.labels == label)):
        # COCOeval also names the crowd region that a detection is in.
        key = (image.image_id, category, index)
        match = expected[key][1] if image.is_ignored[row] else ids[image.matches[row]]
        actual[key] = (image.scores[row], match, image.is_ignored[row])
        assert case.results[image.sources[row]]['score'] == image.scores[row]
  assert actual == expected
  assert {ignored for _, _, ignored in actual.values()} == {False, True}


@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
def test_average_precision_is_that_of_cocoeval(iou_type):
  case = evaluation_cases.random_case(5, crowds=True)
  evaluation = _cocoeval(case, iou_type)
  images = case.matches(iou_type)
  detections = image_matches.detection_arrays(images)
  counts = image_matches.count_objects(images, len(case.category_ids))
  assert counts[-1] == 0
  for label in range(len(case.category_ids) - 1):
    chosen = detections.labels == label
    assert average_precision(
      detections.scores[chosen], detections.is_true[chosen], counts[label]
    ) == pytest.approx(evaluation.eval['precision'][0, :, label, 0, -1].mean(), abs=1e-12)


def test_equal_scores_keep_their_order_as_in_cocoeval():
  case = evaluation_cases.random_case(2, crowds=True)
  for result in case.results:
    result['score'] = round(result['score'], 1)
  expected = _cocoeval(case, 'bbox').eval['precision'][0, :, 1, 0, -1].mean()
  images = case.matches()
  detections = image_matches.detection_arrays(images)
  chosen = detections.labels == 1
  count = image_matches.count_objects(images, 4)[1]
  actual = average_precision(detections.scores[chosen], detections.is_true[chosen], count)
  assert actual == pytest.approx(expected, abs=1e-12)


def test_only_the_best_hundred_detections_of_a_category_count():
  objects = [(1, 1, (0, 0, 40, 40)), (1, 2, (100, 100, 40, 40))]
  detections = [(1, 1, (0, 0, 40, 40), 0.001 * index) for index in range(1, 121)]
  detections += [(1, 2, (100, 100, 40, 40), 0.0001)]
  (image,) = evaluation_cases.build(objects, detections).matches()
  assert (image.labels == 0).sum() == 100 and (image.labels == 1).sum() == 1
  assert image.scores[0] == pytest.approx(0.12) and image.scores[99] == pytest.approx(0.021)


def test_an_image_may_have_neither_objects_nor_detections():
  images = evaluation_cases.build([], [(2, 1, (0, 0, 5, 5), 0.5)], num_images=3).matches()
  assert [image.ious.shape for image in images] == [(0, 0), (1, 0), (0, 0)]
  assert image_matches.detection_arrays(images).is_true.tolist() == [False]
  assert image_matches.count_objects(images, 2).tolist() == [0, 0]


def test_a_threshold_keeps_the_matches_of_the_detections_above_it():
  case = evaluation_cases.random_case(1)
  kept = list(image_matches.above(case.matches(), 0.5))
  anew = case._replace(results=[item for item in case.results if item['score'] >= 0.5]).matches()
  for image, expected in zip(kept, anew):
    np.testing.assert_array_equal(image.matches, expected.matches)
    np.testing.assert_array_equal(image.scores, expected.scores)
