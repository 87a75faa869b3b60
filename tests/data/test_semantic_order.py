"""Tests of the order and the labels in which instances are painted into a semantic map."""

import numpy as np
import pytest

from htc_tf.data.record_example import LabeledInstance, paint_semantic
from htc_tf.errors import DataError


def instance(label, first, last, is_crowd=0):
  mask = np.zeros([1, 10], np.uint8)
  mask[0, first:last] = 1
  return LabeledInstance({'iscrowd': is_crowd}, label, mask)


LARGE, SMALL, CROWD = instance(2, 0, 6), instance(1, 4, 8), instance(1, 5, 10, is_crowd=1)


@pytest.mark.parametrize(
  'instances, order, expected',
  [
    ([LARGE, SMALL], 'file', [2, 2, 2, 2, 1, 1, 1, 1, 0, 0]),
    ([SMALL, LARGE], 'file', [2, 2, 2, 2, 2, 2, 1, 1, 0, 0]),
    ([LARGE, SMALL], 'largest_on_top', [2, 2, 2, 2, 2, 2, 1, 1, 0, 0]),
    ([SMALL, LARGE], 'smallest_on_top', [2, 2, 2, 2, 1, 1, 1, 1, 0, 0]),
    ([LARGE, CROWD, SMALL], 'largest_on_top', [2, 2, 2, 2, 2, 2, 1, 1, 255, 255]),
  ],
)
def test_the_order_decides_what_is_seen(instances, order, expected):
  assert paint_semantic(instances, 1, 10, order)[0].tolist() == expected


@pytest.mark.parametrize(
  'background, expected',
  [(0, [2, 1, 0]), (1, [2, 0, 1]), (2, [1, 0, 2]), (255, [1, 0, 255])],
)
def test_classes_have_the_labels_that_the_background_leaves(background, expected):
  painted = paint_semantic([LARGE, SMALL], 1, 10, 'file', background)
  assert painted[0, [0, 7, 9]].tolist() == expected


@pytest.mark.parametrize('background, num_classes', [(0, 3), (2, 3), (255, 2)])
def test_the_metadata_count_the_classes_of_the_map(coco, background, num_classes):
  info, _ = coco.convert(semantic='instances', semantic_background=background)
  assert info.semantic.num_classes == num_classes
  labels = {
    label
    for record in coco.records(include_semantic=True).values()
    for label in np.unique(record['semantic']).tolist()
  }
  assert background in labels and labels <= {*range(num_classes), 255}


def test_a_background_that_leaves_a_gap_is_refused(coco):
  with pytest.raises(DataError, match=r'leaves a gap.*0 to 2'):
    coco.convert(semantic='instances', semantic_background=7)
