"""Tests of the division of data sets."""

import collections

import numpy as np
import pytest

from htc_tf.data import split
from htc_tf.errors import ConfigError, DataError


def _images(number: int, **fields) -> list[dict]:
  return [
    {'id': id_, 'file_name': f'{id_}.jpg', **{key: make(id_) for key, make in fields.items()}}
    for id_ in range(1, number + 1)
  ]


def _divide(images, classes, *options, **named) -> split.Split:
  return split.divide(images, classes, split.Division(*options, **named))


def _shares(found: split.Split, classes: dict[int, list[int]]) -> dict[int, float]:
  """Share of the images of each class that is for validation."""
  total = collections.Counter(c for ids in classes.values() for c in ids)
  val = collections.Counter(c for id_ in found.val for c in classes.get(id_, ()))
  return {class_: val[class_] / number for class_, number in total.items()}


@pytest.mark.parametrize('fraction', [0.1, 0.2, 0.5])
def test_every_class_has_about_the_share(fraction):
  rng = np.random.default_rng(0)
  # Classes with 500, 200, 50 and 20 of 1000 images, independent of each other.
  classes = {
    id_: [c for c, share in enumerate((0.5, 0.2, 0.05, 0.02)) if rng.random() < share]
    for id_ in range(1, 1001)
  }
  found = _divide(_images(1000), classes, fraction)
  assert len(found.val) == pytest.approx(1000 * fraction, abs=10)
  assert found.train | found.val == set(range(1, 1001))
  assert not found.train & found.val
  number = collections.Counter(c for ids in classes.values() for c in ids)
  for class_, share in _shares(found, classes).items():
    assert share == pytest.approx(fraction, abs=2 / number[class_])


def test_a_class_of_three_images_is_in_both_parts_whatever_the_seed():
  classes = {id_: [1] for id_ in range(1, 31)}
  classes.update({5: [1, 2], 6: [2], 7: [2], 9: [1, 3]})
  for seed in range(20):
    found = _divide(_images(30), classes, 0.2, seed)
    in_train, in_val = ({c for id_ in part for c in classes[id_]} for part in found[:2])
    assert in_train == {1, 2, 3}
    assert in_val >= {1, 2}
    assert 9 in found.train  # The only image of a class is for training.


def test_a_class_of_three_images_is_evaluated_with_a_small_fraction():
  classes = {id_: [1] for id_ in range(1, 31)}
  classes.update({5: [2], 6: [2], 7: [2]})
  for seed in range(10):
    found = _divide(_images(30), classes, 0.1, seed)
    assert len(found.val & {5, 6, 7}) == 1


def test_the_only_image_of_a_class_is_for_training_whatever_the_fraction():
  classes = {id_: [1] for id_ in range(1, 11)}
  classes[4] = [2]
  for seed in range(10):
    assert 4 in _divide(_images(10), classes, 0.9, seed).train


def test_a_negative_seed_is_refused():
  with pytest.raises(ConfigError, match='split_seed'):
    split.Division(0.5, -1)


def test_a_seed_gives_the_same_division_and_another_seed_another_one():
  first, again, other = (_divide(_images(40), {}, 0.25, seed) for seed in (0, 0, 1))
  assert first == again
  assert len(first.val) == len(other.val) == 10
  assert first.val != other.val


@pytest.mark.parametrize('fraction', [0.01, 0.99])
@pytest.mark.parametrize('number', [2, 3])
def test_no_part_is_empty(number, fraction):
  found = _divide(_images(number), {1: [1], 2: [1], 3: [1]}, fraction)
  assert found.val
  assert found.train


def test_the_only_image_of_a_class_is_not_taken_for_an_empty_validation():
  for seed in range(10):
    found = _divide(_images(3), {1: [1], 2: [1], 3: [2]}, 0.01, seed)
    assert 3 in found.train


@pytest.mark.parametrize(
  'fields, grouping',
  [
    ({'video_id': lambda id_: id_ % 7}, 'video_id'),
    ({'file_name': lambda id_: f'leaf{id_ % 7}_jpg.rf.{id_:032x}.jpg'}, '.rf.'),
    ({'file_name': lambda id_: f'clips/c{id_ % 7}_frame_{id_:04}.png'}, 'frame numbers'),
  ],
)
def test_images_that_belong_together_stay_together(fields, grouping):
  images = _images(70, **fields)
  found = _divide(images, {}, 0.3)
  assert grouping in found.grouping
  assert found.num_groups == 7
  assert {id_ % 7 for id_ in found.train}.isdisjoint(id_ % 7 for id_ in found.val)
  alone = _divide(images, {}, 0.3, group_by='none')
  assert (alone.grouping, alone.num_groups) == ('', 70)
  assert not {id_ % 7 for id_ in alone.train}.isdisjoint(id_ % 7 for id_ in alone.val)


@pytest.mark.parametrize('group_by', ['site', r'^(s\d)', r'^s\d'])
def test_images_are_grouped_by_a_field_or_an_expression_for_names(group_by):
  images = _images(40, site=lambda id_: id_ % 4, file_name=lambda id_: f's{id_ % 4}-{id_}.jpg')
  found = _divide(images, {}, 0.25, group_by=group_by)
  assert (found.grouping, found.num_groups) == (group_by, 4)
  assert len({id_ % 4 for id_ in found.val}) == 1
  assert {id_ % 4 for id_ in found.val}.isdisjoint(id_ % 4 for id_ in found.train)


def test_images_without_a_group_stand_alone():
  images = [*_images(10), *({'id': 20 + i, 'file_name': 'x', 'group': 'a'} for i in range(4))]
  found = _divide(images, {}, 0.3)
  assert found.num_groups == 11
  assert {20, 21, 22, 23} <= found.train or {20, 21, 22, 23} <= found.val


def test_the_only_video_of_few_frames_is_no_group():
  images = _images(10, file_name=lambda id_: f'frame_{id_}.jpg')
  assert _divide(images, {}, 0.3).grouping == ''


def test_the_only_video_is_divided_into_stretches_of_successive_frames():
  # The order of the entries does not count, nor do gaps between the numbers of the frames.
  names = {id_: f'frame_{3 * (7 * id_ % 100):04d}.jpg' for id_ in range(100)}
  images = [{'id': id_, 'file_name': name} for id_, name in names.items()]
  found = _divide(images, {}, 0.2)
  assert 'successive frames' in found.grouping and found.num_groups == 10
  stretches = collections.Counter(7 * id_ % 100 // 10 for id_ in found.val)
  assert list(stretches.values()) == [10, 10]


@pytest.mark.parametrize('fraction', [0, 1, -0.1, 20, float('nan')])
def test_a_fraction_out_of_range_is_refused(fraction):
  with pytest.raises(ConfigError, match='val_fraction'):
    _divide(_images(4), {}, fraction)


@pytest.mark.parametrize('group_by', ['sight', '(', r'^z(\d)'])
def test_a_grouping_that_fits_nothing_is_refused(group_by):
  with pytest.raises(ConfigError, match='cannot be grouped'):
    _divide(_images(4), {}, 0.5, group_by=group_by)


@pytest.mark.parametrize('images', [_images(1), _images(5, group=lambda id_: 'one')])
def test_one_image_or_group_is_refused(images):
  with pytest.raises(DataError, match='cannot be divided'):
    _divide(images, {}, 0.5, group_by='auto' if len(images) == 1 else 'group')


def test_frames_of_a_video_stay_together_also_as_copies_by_roboflow():
  names = {id_: f'clip{id_ % 5}_mp4-{id_ // 10}_jpg.rf.{id_:032x}.jpg' for id_ in range(1, 51)} | {
    id_: f'clip{id_ % 5}_frame_{id_ // 10}_jpg.rf.{id_:032x}.jpg' for id_ in range(51, 101)
  }
  found = _divide(_images(100, file_name=names.get), {}, 0.4)
  assert 'frame numbers' in found.grouping
  for first in (1, 51):
    train, val = ({i % 5 for i in part if first <= i < first + 50} for part in found[:2])
    assert train.isdisjoint(val)
  assert found.num_groups == 5


def test_copies_of_single_images_stay_together_beside_frames():
  names = [f'a{i % 3}_frame_{i}.jpg' for i in range(30)]
  names += [f'leaf{i % 4}_jpg.rf.{i:032x}.jpg' for i in range(40)]
  images = [{'id': id_, 'file_name': name} for id_, name in enumerate(names, 1)]
  assert _divide(images, {}, 0.3).num_groups == 7


def _tile(id_: int, name: str, **values) -> dict:
  return {'id': id_, 'file_name': f'{name}_y0_x{id_}.jpg', 'tile': {'file_name': name}, **values}


@pytest.mark.parametrize('group_by', ['auto', 'none', r'(leaf0).*', 'site'])
def test_tiles_and_entries_of_a_file_stay_together_whatever_the_grouping(group_by):
  tiles = [_tile(id_, f'leaf{id_ % 6}.jpg') for id_ in range(1, 61)]
  tiles[3]['site'] = tiles[4]['site'] = 'north'
  entries = [{'id': id_, 'file_name': f'{id_ % 6}.jpg'} for id_ in range(61, 91)]
  found = _divide([*tiles, *entries], {}, 0.3, group_by=group_by)
  assert found.num_groups == 12 - (group_by == 'site')
  for ids in (range(1, 61), range(61, 91)):
    train, val = ({i % 6 for i in part if i in ids} for part in found[:2])
    assert train.isdisjoint(val)


def test_tiles_of_copies_of_an_image_stay_together():
  tiles = [_tile(i, f'leaf{i % 4}_jpg.rf.{i // 3:032x}.jpg', source_image='') for i in range(1, 49)]
  found = _divide(tiles, {}, 0.5)
  assert found.num_groups == 4
  assert {i % 4 for i in found.train}.isdisjoint(i % 4 for i in found.val)


def test_copies_of_a_file_stay_together_and_join_groups():
  images = [{**image, 'site': image['id'] % 4} for image in _images(12)]
  copies = {'2.jpg': '1.jpg', '3.jpg': '1.jpg'}
  found = split.divide(images, {}, split.Division(0.5, group_by='site'), copies)
  assert found.num_groups == 2  # Sites 1, 2 and 3 share a picture.
  assert {len(found.train), len(found.val)} == {3, 9}
