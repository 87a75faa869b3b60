"""Tests of scenes: masks, surroundings and sizes."""

import numpy as np
import pytest

from benchmarks.scenes import painting, textures


@pytest.fixture(scope='module')
def scenes():
  return [painting.paint(np.random.default_rng([1, number])) for number in range(8)]


def test_a_scene_has_pictures_and_masks_of_its_size(scenes):
  side = painting.SIDE
  for scene in scenes:
    assert scene.picture.shape == (side, side, 3) and scene.picture.dtype == np.uint8
    assert scene.ground.shape == (side, side)
    assert 1 <= len(scene.things) <= painting.MAX_THINGS
    assert all(thing.mask.sum() >= painting._MIN_AREA for thing in scene.things)


def test_masks_are_disjoint(scenes):
  for scene in scenes:
    assert np.sum([thing.mask for thing in scene.things], 0).max() == 1


def test_the_stuff_decides_between_classes_of_one_shape(scenes):
  decided = set()
  for scene in scenes:
    for thing in scene.things:
      kind = textures.STUFF[np.bincount(scene.ground[thing.mask]).argmax()]
      assert thing.class_name == painting.CLASS_OF[thing.shape][kind]
      if len(set(painting.CLASS_OF[thing.shape].values())) > 1:
        decided.add(thing.class_name)
  assert decided == {'boat', 'wreck', 'crab', 'spider'}


def test_one_seed_gives_one_scene():
  first, again = (painting.paint(np.random.default_rng(5)) for _ in range(2))
  np.testing.assert_array_equal(first.picture, again.picture)
  assert [t.class_name for t in first.things] == [t.class_name for t in again.things]
  other = painting.paint(np.random.default_rng(6))
  assert (first.picture != other.picture).any()


def test_sizes_span_the_whole_range(monkeypatch):
  rng = np.random.default_rng(0)
  monkeypatch.setattr(painting, 'CLASS_OF', {'walker': painting.CLASS_OF['walker']})
  monkeypatch.setattr(painting, '_filled', lambda parts: np.eye(4, dtype=bool))
  sizes = [painting._candidate(np.zeros([4, 4], int), rng).size for _ in range(400)]
  assert painting.MIN_SIZE <= min(sizes) < 25 and 110 < max(sizes) <= painting.MAX_SIZE
  assert np.quantile(sizes, [0.25, 0.5]) == pytest.approx([44, 66], rel=0.15)


def test_a_pixel_belongs_to_what_most_of_it_shows():
  scale, side = painting.SCALE, painting.SIDE
  labels = np.full([side * scale, side * scale], -1)
  labels[:scale, :2] = 0  # 8 of 16: a tie, which the first label wins.
  labels[scale : 2 * scale, :3] = 0  # 12 of 16.
  labels[scale, 3 * scale + 1 :: scale] = 1  # 1 of 16.
  majority = painting._majority(labels, range(-1, 2))
  assert (majority == 0).sum() == 1 and majority[1, 0] == 0
  assert not (majority == 1).any()


def test_a_later_thing_covers_an_earlier_one(monkeypatch):
  side = painting._DRAWN
  squares = []
  for start in (40, 80):
    mask = np.zeros([side, side], bool)
    mask[start : start + 80, start : start + 80] = True
    corners = np.array([[0, 0], [79, 0], [79, 79], [0, 79]]) + start
    squares.append(painting._Placed('walker', 'walker', 20.0, [corners], mask))
  monkeypatch.setattr(painting, '_arrange', lambda ground, rng: squares)
  first, second = painting.paint(np.random.default_rng(0)).things
  assert second.mask.sum() == 400 and second.mask[20:40, 20:40].all()
  assert first.mask.sum() == 300 and first.mask[10:20, 10:30].all()


def test_a_thing_that_would_cover_too_much_is_not_placed(monkeypatch):
  side, number = painting._DRAWN, painting.MAX_THINGS

  def square(stop):
    mask = np.zeros([side, side], bool)
    mask[:100, :stop] = True
    return painting._Placed('walker', 'walker', 25.0, [], mask)

  # The second one leaves 50 of 100 columns of the first one, the third one 49.
  candidates = iter([square(100), square(50), square(51), *[None] * painting._TRIES])
  monkeypatch.setattr(painting, '_candidate', lambda ground, rng: next(candidates))
  placed = painting._arrange(np.zeros([side, side], int), np.random.default_rng(number))
  assert [thing.mask.sum() for thing in placed] == [10000, 5000]
