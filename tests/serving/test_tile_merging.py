"""Tests of the objects of an image from the detections of its tiles, in hand-made cases."""

import numpy as np
import pytest

from htc_tf.data import mask_codec, mask_runs
from htc_tf.data.pixel_box import Box
from htc_tf.errors import InputError
from htc_tf.serving.instances import Instances
from htc_tf.serving.tile_links import Found, find_links
from htc_tf.serving.tile_merging import merge_tiles
from htc_tf.serving.tiling import Tiling

HW = (100, 260)
TILING = Tiling(60, 20)


def _rectangle(top, left, bottom, right, image_hw=HW):
  mask = np.zeros(image_hw, bool)
  mask[top:bottom, left:right] = True
  return mask


def _instances(masks, labels, scores, with_masks):
  boxes = []
  for mask in masks:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    boxes.append([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1])
  rles = [mask_codec.encode(mask) for mask in masks] if with_masks else None
  return Instances(
    np.array(boxes, np.float32).reshape(-1, 4),
    np.array(labels, np.int32),
    np.array(scores, np.float32),
    rles,
  )


def _seen(objects, tiles, with_masks=True):
  """What a perfect model finds in each tile: the visible part of each (mask, label, score)."""
  of_tile = []
  for tile in tiles:
    shown = [(tile.crop(mask), label, score) for mask, label, score in objects]
    shown = [each for each in shown if each[0].any()]
    of_tile.append(_instances(*(zip(*shown) if shown else ([], [], [])), with_masks))
  return of_tile


def _merged(objects, with_masks=True, image_hw=HW, tiling=TILING):
  tiles = tiling.places(image_hw)
  return merge_tiles(tiles, _seen(objects, tiles, with_masks), image_hw)


def _check(found, expected):
  """The objects are exactly the expected (mask, label, score), best score first."""
  expected = sorted(expected, key=lambda each: -each[2])
  np.testing.assert_allclose(found.scores, [score for _, _, score in expected])
  assert found.classes.tolist() == [label for _, label, _ in expected]
  masks, labels, scores = zip(*expected)
  whole = _instances(masks, labels, scores, True)
  np.testing.assert_array_equal(found.boxes, whole.boxes)
  if found.rles is not None:
    assert found.rles == whole.rles


@pytest.mark.parametrize('turned', [False, True])
@pytest.mark.parametrize('at_the_end', [False, True])
def test_the_border_of_the_image_cuts_nothing(turned, at_the_end):
  """Two tiles beside each other: only the border that lies inside the other one cuts."""

  def turn(rows, columns):
    (top, bottom), (left, right) = (columns, rows) if turned else (rows, columns)
    return Box(top, left, bottom, right)

  def found(tile, rows, columns):
    box = turn(rows, columns)
    return Found(tile, 1, 0.9, np.array(box, np.float32), mask_runs.of_box(box))

  tiles = [turn((0, 60), (0, 60)), turn((0, 60), (40, 100))]
  rows = (40, 60) if at_the_end else (0, 20)
  # The first one lies within both tiles, the second one goes on in the second tile.
  (link,) = find_links([found(0, rows, (45, 55)), found(1, rows, (45, 90))], tiles)
  assert (link.first_is_cut, link.second_is_cut) == (False, False)
  # The same, but the first one reaches the border of its tile.
  (link,) = find_links([found(0, rows, (45, 60)), found(1, rows, (45, 90))], tiles)
  assert (link.first_is_cut, link.second_is_cut) == (True, False)


@pytest.mark.parametrize('with_masks', [True, False])
@pytest.mark.parametrize(
  'place',
  [
    (10, 5, 30, 35),  # in one tile
    (10, 30, 20, 90),  # over two tiles
    (20, 30, 80, 70),  # over four tiles
    (5, 3, 12, 257),  # over all tiles of a row
    (3, 45, 99, 55),  # over the tiles of a column
    (45, 42, 50, 55),  # wholly where four tiles overlap
    (0, 0, 100, 260),  # the whole image
    (99, 259, 100, 260),  # the last pixel
    (40, 60, 60, 120),  # its borders are those of tiles
  ],
)
def test_an_object_is_one(place, with_masks):
  expected = [(_rectangle(*place), 2, 0.75)]
  _check(_merged(expected, with_masks), expected)


def test_an_object_of_any_form_over_many_tiles_is_its_union():
  rows, columns = np.mgrid[: HW[0], : HW[1]]
  waves = np.abs(rows - 50 - 40 * np.sin(columns / 25)) < 9
  expected = [(waves, 1, 0.5)]
  found = _merged(expected)
  _check(found, expected)
  assert len(found.scores) == 1


def test_objects_of_one_class_that_touch_stay_two():
  for border in range(30, 100, 3):  # Inside, at and beside the borders of tiles.
    expected = [
      (_rectangle(10, 20, 50, border), 1, 0.9),
      (_rectangle(10, border, 50, 130), 1, 0.8),
    ]
    _check(_merged(expected), expected)


@pytest.mark.parametrize('noise', [1, 2, 3])
def test_masks_that_reach_a_bit_into_a_neighbor_do_not_join_it(noise):
  """Each mask covers some pixels of the other object, wherever the border of a tile is."""
  for border in range(30, 100):
    expected = [
      (_rectangle(10, 20, 50, border + noise), 1, 0.9),
      (_rectangle(10, border - noise, 50, 130), 1, 0.8),
    ]
    assert len(_merged(expected).scores) == 2


@pytest.mark.parametrize('with_masks', [True, False])
def test_objects_of_different_classes_stay_apart(with_masks):
  expected = [(_rectangle(10, 20, 50, 100), 1, 0.9), (_rectangle(10, 20, 50, 100), 2, 0.8)]
  _check(_merged(expected, with_masks), expected)


@pytest.mark.parametrize('with_masks', [True, False])
def test_an_object_inside_another_one_of_its_class_stays(with_masks):
  expected = [(_rectangle(5, 10, 90, 200), 1, 0.9), (_rectangle(30, 35, 60, 75), 1, 0.8)]
  _check(_merged(expected, with_masks), expected)


@pytest.mark.parametrize('with_masks', [True, False])
def test_an_object_inside_another_one_stays_if_only_the_tile_that_cuts_it_finds_it(with_masks):
  image_hw = (60, 100)
  tiles = TILING.places(image_hw)
  large, small = _rectangle(5, 5, 55, 95, image_hw), _rectangle(20, 30, 40, 70, image_hw)
  both = [tiles[0].crop(mask) for mask in (large, small)]
  left = _instances(both, [1, 1], [0.9, 0.8], with_masks)
  right = _instances([tiles[1].crop(large)], [1], [0.9], with_masks)
  found = merge_tiles(tiles, [left, right], image_hw)
  np.testing.assert_array_equal(found.boxes, [[5, 5, 55, 95], [20, 30, 40, 60]])


def test_the_highest_score_counts():
  tiles = TILING.places((60, 100))
  mask = _rectangle(10, 30, 30, 80, (60, 100))
  parts = [
    _instances([tile.crop(mask)], [1], [score], True) for tile, score in zip(tiles, (0.4, 0.7))
  ]
  found = merge_tiles(tiles, parts, (60, 100))
  _check(found, [(mask, 1, np.float32(0.7))])


def test_pieces_of_an_object_in_one_tile_become_one_by_the_tile_that_sees_more():
  """The left tile sees two legs, the right one where they meet."""
  image_hw = (60, 100)
  tiles = TILING.places(image_hw)
  assert [tile.left for tile in tiles] == [0, 40]
  legs = [_rectangle(5, 10, 15, 70, image_hw), _rectangle(35, 10, 45, 70, image_hw)]
  whole = legs[0] | legs[1] | _rectangle(5, 70, 45, 80, image_hw)
  left = _instances([tiles[0].crop(leg) for leg in legs], [1, 1], [0.8, 0.7], True)
  right = _instances([tiles[1].crop(whole)], [1], [0.9], True)
  _check(merge_tiles(tiles, [left, right], image_hw), [(whole, 1, np.float32(0.9))])


def test_a_doubtful_piece_goes_without_changing_the_object():
  """The right tile cuts the object, and finds a part of it once more with a low score."""
  image_hw = (60, 100)
  tiles = TILING.places(image_hw)
  whole = _rectangle(10, 20, 40, 55, image_hw)
  piece = _rectangle(30, 40, 46, 50, image_hw)
  left = _instances([tiles[0].crop(whole)], [1], [0.9], True)
  right = _instances([tiles[1].crop(whole), tiles[1].crop(piece)], [1, 1], [0.8, 0.1], True)
  found = merge_tiles(tiles, [left, right], image_hw)
  assert len(found.scores) == 2  # The object has its own detection in the right tile.
  right = _instances([tiles[1].crop(piece)], [1], [0.1], True)
  _check(merge_tiles(tiles, [left, right], image_hw), [(whole, 1, np.float32(0.9))])


def test_pieces_of_different_classes_stay_apart():
  image_hw = (60, 100)
  tiles = TILING.places(image_hw)
  mask = _rectangle(10, 30, 30, 80, image_hw)
  parts = [
    _instances([tile.crop(mask)], [label], [0.8], True) for tile, label in zip(tiles, (1, 2))
  ]
  found = merge_tiles(tiles, parts, image_hw)
  assert sorted(found.classes.tolist()) == [1, 2]
  np.testing.assert_array_equal(found.boxes, [[10, 30, 30, 60], [10, 40, 30, 80]])


def _two_tiles(parts, class_agnostic, image_hw=(60, 100)):
  """What two tiles beside each other give; `parts` are the (mask, label, score) of each."""
  tiles = TILING.places(image_hw)
  of_tile = [
    _instances([tile.crop(mask) for mask, _, _ in each], *zip(*[part[1:] for part in each]), True)
    for tile, each in zip(tiles, parts)
  ]
  return merge_tiles(tiles, of_tile, image_hw, class_agnostic)


@pytest.mark.parametrize('scores, label', [((0.8, 0.6), 1), ((0.6, 0.8), 2), ((0.7, 0.7), 1)])
def test_across_classes_the_higher_score_gives_the_class(scores, label):
  mask = _rectangle(10, 30, 30, 80, (60, 100))
  parts = [[(mask, each, score)] for each, score in zip((1, 2), scores)]
  _check(_two_tiles(parts, class_agnostic=True), [(mask, label, np.float32(max(scores)))])
  assert len(_two_tiles(parts, class_agnostic=False).scores) == 2


@pytest.mark.parametrize('score, label', [(0.5, 1), (0.95, 2)])
def test_across_classes_a_piece_goes_into_the_object_that_goes_on(score, label):
  """The right tile sees more; the piece is less than a third of what both tiles see of it."""
  image_hw = (60, 100)
  whole, piece = _rectangle(5, 40, 55, 95, image_hw), _rectangle(20, 45, 30, 70, image_hw)
  parts = [[(piece, 2, score)], [(whole, 1, 0.9)]]
  _check(_two_tiles(parts, class_agnostic=True), [(whole, label, np.float32(max(score, 0.9)))])
  assert len(_two_tiles(parts, class_agnostic=False).scores) == 2


def test_across_classes_objects_beside_each_other_stay_two():
  expected = [(_rectangle(10, 20, 50, 70), 1, 0.9), (_rectangle(10, 70, 50, 130), 2, 0.8)]
  tiles = TILING.places(HW)
  _check(merge_tiles(tiles, _seen(expected, tiles), HW, class_agnostic=True), expected)


def test_surer_detections_come_first():
  """A doubtful detection of both objects agrees better with the first one where both tiles look."""
  image_hw = (60, 100)
  tiles = TILING.places(image_hw)
  first = _rectangle(5, 20, 35, 90, image_hw)
  second = _rectangle(35, 70, 55, 95, image_hw)  # The left tile does not see it.
  shorter = _rectangle(5, 42, 33, 90, image_hw)
  left = _instances([tiles[0].crop(first)], [1], [0.9], True)
  right = _instances(
    [tiles[1].crop(mask) for mask in (shorter, second, first | second)],
    [1, 1, 1],
    [0.8, 0.7, 0.1],
    True,
  )
  found = merge_tiles(tiles, [left, right], image_hw)
  np.testing.assert_allclose(found.scores, [0.9, 0.7, 0.1])
  joined = shorter | _rectangle(5, 20, 35, 60, image_hw)
  assert found.rles[:2] == [mask_codec.encode(mask) for mask in (joined, second)]


def test_an_object_that_only_one_tile_finds_is_kept():
  tiles = TILING.places((60, 100))
  mask = _rectangle(10, 42, 30, 55, (60, 100))
  for number in range(2):
    parts = [_instances([], [], [], True)] * 2
    parts[number] = _instances([tiles[number].crop(mask)], [1], [0.5], True)
    _check(merge_tiles(tiles, parts, (60, 100)), [(mask, 1, 0.5)])


@pytest.mark.parametrize('with_masks', [True, False])
def test_tiles_without_detections_give_none(with_masks):
  found = _merged([], with_masks)
  assert len(found.scores) == 0 and found.boxes.shape == (0, 4)
  assert found.rles == ([] if with_masks else None)


def test_empty_masks_are_kept_as_they_are():
  tiles = TILING.places((60, 100))
  empty = Instances(
    np.array([[10, 45, 12, 50]], np.float32),
    np.array([1], np.int32),
    np.array([0.3], np.float32),
    [mask_codec.encode(np.zeros((60, 60), bool))],
  )
  found = merge_tiles(tiles, [empty, empty], (60, 100))
  assert found.rles == [mask_codec.encode(np.zeros((60, 100), bool))] * 2
  np.testing.assert_array_equal(found.boxes, [[10, 45, 12, 50], [10, 85, 12, 90]])


def test_many_random_objects_are_found_again():
  """Objects on a grid, so that they do not overlap; those of one class may touch."""
  rng = np.random.default_rng(0)
  image_hw = (400, 390)
  expected = []
  for top in range(0, 400, 25):
    for left in range(0, 390, 30):
      height, width = rng.integers(4, 26), rng.integers(4, 31)
      mask = _rectangle(top, left, top + height, left + width, image_hw)
      expected.append((mask, int(rng.integers(1, 3)), float(np.float32(rng.random()))))
  tiling = Tiling(96, 32)
  found = _merged(expected, image_hw=image_hw, tiling=tiling)
  _check(found, expected)


def test_an_image_too_large_for_run_lengths_is_refused():
  with pytest.raises(InputError, match='COCO run lengths'):
    merge_tiles([Box(0, 0, 1, 1)], [_instances([], [], [], True)], (70_000, 70_000))


def test_a_mask_in_a_huge_image_is_never_decoded():
  """20,000 x 20,000 pixels; the expected run lengths are computed by hand."""
  tiles = [Box(19_000, 19_000, 19_060, 19_060)]
  found = merge_tiles(
    tiles, [_instances([_rectangle(2, 3, 4, 4, (60, 60))], [1], [0.5], True)], (20_000, 20_000)
  )
  (rle,) = found.rles
  start = 19_003 * 20_000 + 19_002
  assert mask_codec.run_lengths(rle['counts']) == [start, 2, 400_000_000 - start - 2]
