"""Tests that the options decide which records are shown."""

import dataclasses
import os

import pytest

from htc_tf.errors import DataError, InputError
from htc_tf.reports import sample_choice, shown_data
from htc_tf.reports.sample_options import SampleOptions
from tests.reports import shown_records


def _without_first_category(content):
  absent = content['categories'].pop(0)['id']
  content['annotations'] = [
    entry for entry in content['annotations'] if entry['category_id'] != absent
  ]


def _without_objects_of_first_category(content):
  categories = list(content['categories'])
  _without_first_category(content)
  content['categories'] = categories


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


@pytest.mark.parametrize('has_statistics', [True, False])
@pytest.mark.parametrize('change', [_without_first_category, _without_objects_of_first_category])
def test_a_split_without_the_named_classes_is_named_and_the_others_are_shown(
  splits, tmp_path, caplog, change, has_statistics
):
  records = shown_records.write(tmp_path, 'val', change)
  (val,) = shown_data.find_splits(str(records))
  if not has_statistics:
    val = val._replace(info=dataclasses.replace(val.info, statistics=None))
  shown = _titles([splits[0], val], classes=('color3',))
  assert list(shown) == ['train'] and shown['train']
  assert 'val is not shown: it has no object of color3' in caplog.text
  if change is _without_objects_of_first_category:
    with pytest.raises(DataError, match=r'objects of color3.*none in val'):
      _titles([val], classes=('color3',))
  assert list(_titles([splits[0], val], classes=('color3', 'color8'))) == ['train', 'val']


def _two_folders(tmp_path):
  return [str(shown_records.write(tmp_path / name, 'train')) for name in ('first', 'second')]


def test_folders_with_splits_of_other_names_are_joined(splits, tmp_path):
  folder, other = splits[0].info.folder, shown_records.write(tmp_path, 'test')
  found = shown_data.find_splits(f'{other}, {folder}')
  assert [(split.name, split.info.folder) for split in found] == [
    ('train', folder),
    ('val', folder),
    ('test', str(other)),
  ]


def test_a_folder_that_is_named_twice_is_shown_once(splits, tmp_path, monkeypatch):
  folder = splits[0].info.folder
  monkeypatch.chdir(folder)
  (tmp_path / 'link').symlink_to(folder)
  twice = shown_data.find_splits(f'{folder},.,{tmp_path}/link')
  assert [[os.path.basename(path) for path in split.paths] for split in twice] == [
    ['train-00000-of-00001.tfrecord'],
    ['val-00000-of-00001.tfrecord'],
  ]


def test_data_sets_of_one_name_in_two_folders_are_refused(tmp_path):
  first, second = _two_folders(tmp_path)
  with pytest.raises(DataError, match=f"named 'train'.*{first}, {second}"):
    shown_data.find_splits(f'{first},{second}')
  other = shown_records.write(tmp_path / 'first', 'val')
  (val,) = shown_data.find_splits(f'{other},{second}', 'val')
  assert val.info.folder == first


def test_every_part_needs_records(splits, tmp_path):
  folder = splits[0].info.folder
  for missing in (tmp_path / 'missing', tmp_path):
    with pytest.raises(DataError, match=f'no records in {missing}'):
      shown_data.find_splits(f'{folder},{missing}')
  assert len(shown_data.find_splits(f'{folder},')) == 2


def test_classes_of_one_name_are_named_together_or_by_id(tmp_path):
  records = shown_records.write(tmp_path, change=shown_records.rename('cat', 'cat'))
  (train,) = splits = shown_data.find_splits(str(records))
  first, second = train.class_names
  assert _titles(splits, classes=(second,)) == {'train': ['1']}
  assert sorted(_titles(splits, classes=('cat',))['train']) == ['1', '2', '3']
  with pytest.raises(InputError, match='cat'):
    _titles(splits, classes=(f'{first}x',))
  (shown,) = sample_choice.choose(splits, SampleOptions(images=('1',)), 64)
  assert shown.names.classes == [first, second]
  assert f'1 {first}, 1 {second}' in shown.images[0].caption


def test_a_single_image_gets_a_partner_with_objects(splits):
  for seed in range(4):  # Image 4 has no object.
    (part,) = sample_choice.choose(splits[:1], SampleOptions(images=('1',)), 64)
    (partner,) = sample_choice.partners(part, part.samples, seed)
    assert partner.image_id in ('2', '3')
  (part,) = sample_choice.choose(splits[:1], SampleOptions(images=('1', '4')), 64)
  assert sample_choice.partners(part, part.samples, 0) == []
