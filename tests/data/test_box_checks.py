"""Tests of boxes inside an image and of boxes that do not fit their masks."""

import pytest

from htc_tf.data import box_checks

IMAGE = {'height': 24, 'width': 40}


@pytest.mark.parametrize(
  'box, expected',
  [
    ([1, 2, 3, 4], [1, 2, 3, 4]),
    ([-2, -3, 5, 5], [0, 0, 3, 2]),
    ([38, 20, 9, 9], [38, 20, 2, 4]),
    ([-1e30, -1e30, 2e30, 2e30], [0, 0, 40, 24]),
    ([40, 1, 4, 4], None),
    ([-4, 1, 4, 4], None),
    ([3, 3, 0, 4], None),
  ],
)
def test_the_part_of_a_box_inside_the_image(box, expected):
  assert box_checks.within(box, IMAGE) == expected


@pytest.mark.parametrize(
  'box, expected',
  [
    ([20, 10, 10, 10], None),
    ([19, 9, 12, 12], None),  # looser by one pixel on each side: 100 / 144
    ([20, 10, 30, 20], 'box_is_xyxy'),
    ([0.5, 10 / 24, 0.25, 10 / 24], 'box_is_relative'),
    ([0, 0, 5, 5], 'box_unlike_mask'),
    ([20, 10, 1e30, 1e30], 'box_unlike_mask'),  # 100 / 280 of the part inside
    ([1e38, 1e38, 1e38, 1e38], 'box_unlike_mask'),
  ],
)
def test_a_box_beside_a_mask_from_20_10_to_30_20(box, expected):
  assert box_checks.misfit(box, [20, 10, 10, 10], IMAGE) == expected


def test_corners_that_fit_better_than_sides_are_corners():
  """As x, y, width and height, the box still covers the mask with 300 of 525 pixels."""
  image = {'height': 48, 'width': 64}
  assert box_checks.misfit([5, 6, 25, 21], [5, 6, 20, 15], image) == 'box_is_xyxy'
