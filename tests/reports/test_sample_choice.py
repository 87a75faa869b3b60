"""Tests that the options decide which records are shown."""

import pytest

from htc_tf.errors import DataError, InputError
from htc_tf.reports import sample_choice, shown_data
from htc_tf.reports.sample_options import SampleOptions
from tests.reports import shown_records


@pytest.fixture(scope='module', name='splits')
def _splits(tmp_path_factory):
  folder = tmp_path_factory.mktemp('choice')
  for prefix in ('val', 'train'):
    shown_records.write(folder, prefix)
  return shown_data.find_splits(str(folder / 'records'))


def _titles(splits, **options):
  shown = sample_choice.choose(splits, SampleOptions(**options), 64)
  return {part.split.name: [sample.image_id for sample in part.samples] for part in shown}


def test_splits_are_in_order_and_named_ones_alone(splits):
  assert [split.name for split in splits] == ['train', 'val']
  folder = splits[0].info.folder
  assert [split.name for split in shown_data.find_splits(folder, 'val')] == ['val']
  pattern = f'{folder}/val-*.tfrecord,{folder}/train-00000*'
  assert [split.name for split in shown_data.find_splits(pattern)] == ['train', 'val']


def test_the_seed_changes_the_choice_and_every_class_is_seen(splits):
  chosen = {tuple(_titles(splits, samples=3, seed=seed)['train']) for seed in range(6)}
  assert len(chosen) > 1
  assert all(ids[0] == '1' and len(set(ids)) == 3 for ids in chosen)  # It has both classes.
  assert _titles(splits, samples=3, seed=4) == _titles(splits, samples=3, seed=4)


def test_named_images_are_shown_from_the_splits_that_have_them(splits):
  assert _titles(splits, images=('3', '1.png')) == {'train': ['3', '1'], 'val': ['3', '1']}
  assert _titles(splits[1:], images=('4',)) == {'val': ['4']}
  with pytest.raises(DataError, match="'nothing'"):
    _titles(splits, images=('1', 'nothing'))


def test_classes_that_are_not_shown_are_named(splits):
  (part,) = sample_choice.choose(splits[:1], SampleOptions(images=('2',)), 64)
  assert part.unseen == ['color8']
  (part,) = sample_choice.choose(splits[:1], SampleOptions(), 64)
  assert part.unseen == []


def test_an_unknown_class_is_refused(splits):
  with pytest.raises(InputError, match=r"color3.*'fig'"):
    _titles(splits, classes=('color3', 'fig'))


def test_a_single_image_gets_a_partner_with_objects(splits):
  for seed in range(4):  # Image 4 has no object.
    (part,) = sample_choice.choose(splits[:1], SampleOptions(images=('1',)), 64)
    (partner,) = sample_choice.partners(part, part.samples, seed)
    assert partner.image_id in ('2', '3')
  (part,) = sample_choice.choose(splits[:1], SampleOptions(images=('1', '4')), 64)
  assert sample_choice.partners(part, part.samples, 0) == []
