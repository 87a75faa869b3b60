"""Tests of the conversion into a training and a validation part."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from htc_tf.data import coco_to_tfrecord, divided_conversion
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.data.split import Division
from htc_tf.errors import ConfigError, DataError
from tests import tiny_records

_HALF = Division(0.5)
_LEAF = {'bbox': [2, 2, 9, 9], 'segmentation': [[2, 2, 11, 2, 11, 11, 2, 11]], 'iscrowd': 0}


@pytest.fixture(scope='module')
def source(tmp_path_factory):
  """Images with two, one, one and no objects, and an annotation that has to be corrected."""
  folder = tmp_path_factory.mktemp('source')
  tiny_records.write(folder)
  path = folder / 'train_source.json'
  content = json.loads(path.read_text(encoding='utf-8'))
  content['annotations'].append({'id': 99, 'image_id': 77, 'category_id': 3, 'bbox': [0, 0, 1, 1]})
  path.write_text(json.dumps(content), encoding='utf-8')
  return folder


def _options(source, output, **values) -> ConversionOptions:
  paths = (source / 'train_source.json', source / 'train_images', output)
  return ConversionOptions(*map(str, paths), **values)


def _images(info: DatasetInfo) -> set[int]:
  return set(COCO(info.annotation_path).imgs)


def test_both_parts_together_have_every_image_once(source, tmp_path, capsys):
  lines: list[str] = []
  infos = divided_conversion.convert(_options(source, tmp_path), _HALF, lines.append)
  assert set(infos) == {'train', 'val'}
  parts = [_images(info) for info in infos.values()]
  assert parts[0] | parts[1] == {1, 2, 3, 4}
  assert not parts[0] & parts[1]
  for prefix, info in infos.items():
    assert DatasetInfo.find(f'{tmp_path}/{prefix}-*.tfrecord') == info
    assert len(COCO(info.annotation_path).anns) == info.num_instances
    assert info.category_ids == [3, 8]
    assert sum(info.statistics.instances_by_category) == info.num_instances
  text = '\n'.join(lines)
  assert 'divided by class: 2 images for training, 2 for validation' in text
  assert text.count('of image 77') == 1


def test_the_same_conversion_again_writes_nothing(source, tmp_path):
  options = _options(source, tmp_path)
  infos = divided_conversion.convert(options, _HALF)
  times = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
  assert divided_conversion.convert(options, _HALF) == infos
  assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == times


def test_another_seed_replaces_both_parts(source, tmp_path):
  options = _options(source, tmp_path)
  found = {
    frozenset(_images(divided_conversion.convert(options, Division(0.5, seed))['val']))
    for seed in range(4)
  }
  assert len(found) > 1
  assert len(list(tmp_path.glob('val-*.tfrecord'))) == 2


def test_a_part_without_an_object_is_refused(source, tmp_path):
  path = source / 'train_source.json'
  content = json.loads(path.read_text(encoding='utf-8'))
  content['annotations'] = [a for a in content['annotations'] if a['image_id'] == 1]
  (tmp_path / 'one.json').write_text(json.dumps(content), encoding='utf-8')
  options = ConversionOptions(
    str(tmp_path / 'one.json'), str(source / 'train_images'), str(tmp_path / 'data')
  )
  with pytest.raises(DataError, match='part of the images would have no object'):
    divided_conversion.convert(options, _HALF)
  assert not (tmp_path / 'data').exists()


@pytest.mark.parametrize('name', ['train.json', 'val.json', 'val_annotations.json'])
def test_the_annotation_file_is_not_overwritten(source, tmp_path, name):
  content = (source / 'train_source.json').read_bytes()
  (tmp_path / name).write_bytes(content)
  options = ConversionOptions(
    str(tmp_path / name), str(source / 'train_images'), str(tmp_path), overwrite=True
  )
  with pytest.raises(ConfigError, match='would overwrite its annotation file'):
    divided_conversion.convert(options, _HALF)
  assert [path.name for path in tmp_path.iterdir()] == [name]
  assert (tmp_path / name).read_bytes() == content


def test_copies_of_a_picture_stay_in_one_part(source, tmp_path):
  content = json.loads((source / 'train_source.json').read_text(encoding='utf-8'))
  images = tmp_path / 'images'
  shutil.copytree(source / 'train_images', images)
  first = content['images'][0]
  objects = [a for a in content['annotations'] if a['image_id'] == first['id']]
  for id_ in range(11, 19):
    name = f'copy{id_}.png'
    shutil.copyfile(images / first['file_name'], images / name)
    content['images'].append({**first, 'id': id_, 'file_name': name})
    content['annotations'] += [
      {**a, 'id': 100 * id_ + number, 'image_id': id_} for number, a in enumerate(objects)
    ]
  (tmp_path / 'all.json').write_text(json.dumps(content), encoding='utf-8')
  lines: list[str] = []
  options = ConversionOptions(str(tmp_path / 'all.json'), str(images), str(tmp_path / 'data'))
  infos = divided_conversion.convert(options, _HALF, lines.append)
  parts = [_images(info) & {first['id'], *range(11, 19)} for info in infos.values()]
  assert sorted(map(len, parts)) == [0, 9]
  assert 'files with the content of another one: 8' in '\n'.join(lines)


def test_both_parts_decide_alike_whether_images_are_turned(tmp_path):
  """Sizes of images on their side tell that annotations refer to images as stored."""
  content = {'images': [], 'annotations': [], 'categories': [{'id': 1, 'name': 'leaf'}]}
  exif = Image.Exif()
  for id_ in range(1, 9):
    exif[274] = 6 if id_ == 1 else 3  # A quarter turn; a half turn, whose size does not tell.
    pixels = np.full([20, 30, 3], 20 * id_, np.uint8)
    pixels[:10] = 255
    Image.fromarray(pixels).save(tmp_path / f'{id_}.jpg', exif=exif)
    content['images'].append({'id': id_, 'file_name': f'{id_}.jpg', 'height': 20, 'width': 30})
    content['annotations'].append({'id': id_, 'image_id': id_, 'category_id': 1, **_LEAF})
  (tmp_path / 'all.json').write_text(json.dumps(content), encoding='utf-8')
  options = ConversionOptions(str(tmp_path / 'all.json'), str(tmp_path), str(tmp_path / 'data'))
  for seed in range(3):
    infos = divided_conversion.convert(options, Division(0.5, seed))
    for info in infos.values():
      assert info.checks['exif_not_applied'] == 4
      assert 'exif_applied' not in info.checks


def test_a_conversion_of_all_images_beside_a_divided_one_is_warned_of(source, tmp_path):
  options = _options(source, tmp_path)
  divided_conversion.convert(options, _HALF, lambda text: None)
  lines: list[str] = []
  coco_to_tfrecord.convert(options, lines.append)
  assert lines[-1].startswith('warning: 2 images of train are also in val')
  assert f'Remove val* from {tmp_path}' in lines[-1]


def test_parts_and_records_of_other_annotations_are_not_warned_of(source, tmp_path):
  lines: list[str] = []
  divided_conversion.convert(_options(source, tmp_path / 'data'), _HALF, lines.append)
  other = tmp_path / 'other.json'
  shutil.copyfile(source / 'train_source.json', other)
  images = str(source / 'train_images')
  options = ConversionOptions(str(other), images, str(tmp_path / 'data'), prefix='test')
  coco_to_tfrecord.convert(options, lines.append)
  assert 'warning' not in '\n'.join(lines)
