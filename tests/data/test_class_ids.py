"""Tests of the ids of classes in the training and the validation records of a folder."""

import pytest

from htc_tf.data import coco_to_tfrecord
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.data.dataset_info import DatasetInfo
from tests.data.formats import reading, small_sets


def _write(folder, labels):
  """A LabelMe file of a picture with an object of each label."""
  reading.write_image(folder)
  shapes = [
    {'label': label, 'points': [[5 * i, 2], [5 * i + 4, 2], [5 * i + 4, 9]], 'group_id': None}
    for i, label in enumerate(labels)
  ]
  content = {'shapes': shapes, 'imagePath': 'a.png', 'imageHeight': 40, 'imageWidth': 50}
  small_sets.write_json(folder / 'a.json', content)


def _convert(tmp_path, prefix, labels, **options) -> DatasetInfo:
  _write(tmp_path / prefix, labels)
  paths = (tmp_path / prefix, '', tmp_path / 'data')
  return coco_to_tfrecord.convert(
    ConversionOptions(*map(str, paths), prefix=prefix, **options), log=lambda text: None
  )


def _ids(info):
  return {category.name: category.id for category in info.categories}


@pytest.mark.parametrize(
  'labels, expected',
  [
    (['cat', 'dog'], {'cat': 2, 'dog': 3}),
    (['dog', 'ant', 'eel'], {'dog': 3, 'ant': 4, 'eel': 5}),
    (['bee', 'cat'], {'bee': 1, 'cat': 2}),
  ],
)
def test_classes_have_the_ids_of_the_training_records(tmp_path, labels, expected):
  train = _convert(tmp_path, 'train', ['bee', 'cat', 'dog'])
  assert _ids(train) == {'bee': 1, 'cat': 2, 'dog': 3}
  val = _convert(tmp_path, 'val', labels)
  assert _ids(val) == expected
  assert val.checks.get('category_id_of_train', 0) == (0 if 'bee' in labels else len(labels))


def test_other_ids_make_new_records(tmp_path):
  assert _ids(_convert(tmp_path, 'val', ['cat'])) == {'cat': 1}
  _convert(tmp_path, 'train', ['bee', 'cat'])
  assert _ids(_convert(tmp_path, 'val', ['cat'])) == {'cat': 2}


def test_renamed_classes_have_the_id_of_their_new_name(tmp_path):
  names = (('kitten', 'cat'),)
  _convert(tmp_path, 'train', ['bee', 'cat', 'kitten'], renames=names)
  assert _ids(_convert(tmp_path, 'val', ['cat', 'kitten'], renames=names)) == {'cat': 2}
