"""Tests of the kinds of errors and their costs, computed by hand and by the authors' program."""

import pytest

from htc_tf.evaluation import error_kinds
from htc_tf.evaluation.error_kinds import ErrorKind
from tests import evaluation_cases

_BOX = (0, 0, 100, 100)
_PART = (0, 0, 100, 40)  # IoU 0.4 with _BOX
_NEARLY = (0, 0, 100, 90)  # IoU 0.9 with _BOX
_OTHER = (140, 140, 40, 40)
_THIRD = (140, 0, 40, 40)

# AP of 1 up to recall 0.5, and 0 beyond.
_HALF = 51 / 101


def _analyzed(objects, detections, num_categories=1):
  case = evaluation_cases.build(objects, detections, num_categories=num_categories)
  images = case.matches()
  errors = [error_kinds.image_errors(image) for image in images]
  costs = error_kinds.error_costs(images, errors, num_categories)
  counts = {kind: number for kind, number in error_kinds.count_kinds(errors).items() if number}
  return costs, counts


def _costly(costs):
  return {kind: cost for kind, cost in costs.by_kind.items() if cost}


def test_an_object_with_the_wrong_class_is_a_classification_error():
  costs, counts = _analyzed(
    [(1, 1, _BOX), (1, 2, _OTHER)], [(1, 2, _BOX, 0.9), (1, 2, _OTHER, 0.8)], 2
  )
  assert costs.ap50 == pytest.approx((0 + 0.5) / 2)
  # Repaired, the detection finds the object of class 1, and class 2 has no wrong detection.
  assert counts == {ErrorKind.CLASSIFICATION: 1}
  assert _costly(costs) == {ErrorKind.CLASSIFICATION: pytest.approx(0.75)}
  assert costs.false_positives == pytest.approx(0.25)
  # Class 1 has neither objects nor detections then, so that class 2 counts alone.
  assert costs.false_negatives == pytest.approx(0.25)


def test_a_box_that_fits_badly_is_a_localization_error():
  costs, counts = _analyzed([(1, 1, _BOX)], [(1, 1, _PART, 0.9)])
  assert costs.ap50 == 0
  assert counts == {ErrorKind.LOCALIZATION: 1}
  assert _costly(costs) == {ErrorKind.LOCALIZATION: pytest.approx(1)}


def test_the_wrong_class_in_a_bad_place_is_both():
  costs, counts = _analyzed(
    [(1, 1, _BOX), (1, 2, _OTHER)], [(1, 2, _PART, 0.9), (1, 2, _OTHER, 0.5)], 2
  )
  assert costs.ap50 == pytest.approx(0.25)
  assert counts == {ErrorKind.BOTH: 1, ErrorKind.MISSED: 1}
  assert _costly(costs) == {ErrorKind.BOTH: pytest.approx(0.25), ErrorKind.MISSED: 0.25}


def test_a_second_detection_of_an_object_is_a_duplicate():
  costs, counts = _analyzed(
    [(1, 1, _BOX), (1, 1, _OTHER)],
    [(1, 1, _BOX, 0.9), (1, 1, _NEARLY, 0.8), (1, 1, _OTHER, 0.7)],
  )
  assert costs.ap50 == pytest.approx((51 + 50 * 2 / 3) / 101)
  assert counts == {ErrorKind.DUPLICATE: 1}
  assert _costly(costs) == {ErrorKind.DUPLICATE: pytest.approx(50 / 3 / 101)}


def test_a_detection_on_nothing_is_background():
  costs, counts = _analyzed(
    [(1, 1, _BOX), (1, 1, _OTHER)],
    [(1, 1, _BOX, 0.9), (1, 1, _THIRD, 0.8), (1, 1, _OTHER, 0.7)],
  )
  assert counts == {ErrorKind.BACKGROUND: 1}
  assert _costly(costs) == {ErrorKind.BACKGROUND: pytest.approx(50 / 3 / 101)}
  assert costs.false_positives == pytest.approx(50 / 3 / 101) and costs.false_negatives == 0


def test_an_object_without_detection_is_missed():
  costs, counts = _analyzed([(1, 1, _BOX), (1, 1, _OTHER)], [(1, 1, _BOX, 0.9)])
  assert costs.ap50 == pytest.approx(_HALF)
  assert counts == {ErrorKind.MISSED: 1}
  assert _costly(costs) == {ErrorKind.MISSED: pytest.approx(1 - _HALF)}
  assert costs.false_positives == 0 and costs.false_negatives == pytest.approx(1 - _HALF)


def test_of_two_errors_on_one_object_the_better_detection_is_repaired():
  # A wrong class (0.9) and a bad place (0.8) on the object of class 1; it is not missed.
  costs, counts = _analyzed(
    [(1, 1, _BOX), (1, 2, _OTHER)],
    [(1, 2, _BOX, 0.9), (1, 1, _PART, 0.8), (1, 2, _OTHER, 0.95)],
    2,
  )
  assert counts == {ErrorKind.CLASSIFICATION: 1, ErrorKind.LOCALIZATION: 1}
  assert costs.ap50 == pytest.approx(0.5)
  # The bad place alone would vanish, which leaves class 1 without detections.
  assert _costly(costs) == {ErrorKind.CLASSIFICATION: pytest.approx(0.5)}


def test_an_error_on_an_object_that_is_found_vanishes_by_its_repair():
  costs, counts = _analyzed(
    [(1, 1, _BOX), (1, 1, _OTHER)],
    [(1, 1, _BOX, 0.9), (1, 1, _PART, 0.8), (1, 1, _OTHER, 0.7)],
  )
  assert counts == {ErrorKind.LOCALIZATION: 1}
  assert _costly(costs) == {ErrorKind.LOCALIZATION: pytest.approx(50 / 3 / 101)}


def test_detections_in_a_crowd_region_of_their_class_are_no_errors():
  costs, counts = _analyzed(
    [(1, 1, _BOX, True), (1, 1, _OTHER)],
    [(1, 1, (10, 10, 20, 20), 0.9), (1, 2, (10, 10, 20, 20), 0.9), (1, 1, _OTHER, 0.8)],
    2,
  )
  assert costs.ap50 == 1
  assert counts == {ErrorKind.BACKGROUND: 1}


def test_without_detections_all_is_missed():
  costs, counts = _analyzed([(1, 1, _BOX), (1, 2, _OTHER)], [], 2)
  assert costs.ap50 == 0 and counts == {ErrorKind.MISSED: 2}
  assert _costly(costs) == {ErrorKind.MISSED: 1}


def test_without_objects_nothing_costs():
  costs, counts = _analyzed([], [(1, 1, _BOX, 0.9)])
  assert costs.ap50 == -1 and counts == {ErrorKind.BACKGROUND: 1}
  assert not _costly(costs) and costs.false_positives == 0


# AP50, the costs in the order of ErrorKind, those of false positives and false negatives, and the
# counts, from tidecv 1.0.1 of the authors on the same data. Its mean over the classes counts a
# class without objects as 0, unlike COCO's, so that detections of such a class were left out.
_BY_TIDECV = {
  (3, 'bbox'): (
    (
      0.2436119951,
      0.0658475998,
      0.1435822772,
      0.0327175286,
      0.0128343497,
      0.0370122438,
      0.1047702538,
      0.3083682029,
      0.1810127888,
    ),
    [6, 16, 13, 6, 12, 16],
  ),
  (3, 'segm'): (
    (
      0.2436119951,
      0.0434936351,
      0.1435822772,
      0.0311710807,
      0.0128343497,
      0.0496385064,
      0.1153784575,
      0.3083682029,
      0.1810127888,
    ),
    [4, 15, 11, 6, 17, 17],
  ),
  (7, 'segm'): (
    (
      0.2250117869,
      0.0444226566,
      0.2557561731,
      0.0083038661,
      0.0042861429,
      0.0130638064,
      0.0786185761,
      0.2056812824,
      0.2750176803,
    ),
    [6, 23, 6, 8, 12, 6],
  ),
  (11, 'bbox'): (
    (
      0.1594879543,
      0.0503221407,
      0.2868468287,
      0.0075341325,
      0.0014722283,
      0.0232566595,
      0.067339756,
      0.2043734318,
      0.2835746349,
    ),
    [6, 20, 10, 4, 16, 10],
  ),
}


@pytest.mark.parametrize('seed, iou_type', _BY_TIDECV)
def test_costs_and_counts_are_those_of_the_authors_program(seed, iou_type):
  case = evaluation_cases.random_case(seed, num_categories=5)
  annotated = {item['category_id'] for item in case.ground_truth.dataset['annotations']}
  case = case._replace(results=[x for x in case.results if x['category_id'] in annotated])
  images = case.matches(iou_type)
  errors = [error_kinds.image_errors(image) for image in images]
  costs = error_kinds.error_costs(images, errors, 5)
  figures, counts = _BY_TIDECV[seed, iou_type]
  actual = [*costs.by_kind.values(), costs.false_positives, costs.false_negatives]
  assert [costs.ap50, *actual] == pytest.approx(list(figures), abs=1e-9)
  assert list(error_kinds.count_kinds(errors).values()) == counts
