"""Tests of the values that follow from the data at hand."""

import dataclasses

import pytest

from htc_tf.configs import fitting, parsing, sizes  # noqa: F401
from htc_tf.configs.frames import Resizing
from htc_tf.data import dataset_folder
from htc_tf.data.dataset_folder import DatasetFolder
from htc_tf.data.dataset_info import SemanticInfo
from htc_tf.data.statistics import DatasetStatistics
from htc_tf.errors import DataError
from tests.data.test_dataset_info import INFO

_RESIZING = Resizing(384, 384)
STATISTICS = DatasetStatistics(
  images_by_category=(3, 1),
  instances_by_category=(9, 1),
  image_sizes=((600, 800, 2), (800, 600, 1)),
  objects_per_image=((2, 1), (4, 2)),
  box_sides=(40.0, 50.0, 80.0, 100.0, 150.0, 200.0, 300.0),
  mask_areas=(),
  num_channels=3,
  bits=8,
  channel_mean=(1.0, 2.0, 3.0),
  channel_stddev=(1.0, 1.0, 1.0),
)


def _folder(train=None, val_objects=None, **statistics) -> DatasetFolder:
  info = dataclasses.replace(
    INFO, statistics=dataclasses.replace(STATISTICS, **statistics), **train or {}
  )
  val = None
  if val_objects:
    objects = dataclasses.replace(STATISTICS, objects_per_image=((val_objects, 1),))
    val = dataclasses.replace(info, statistics=objects)
  return DatasetFolder('data', info, val, 'val')


def _values(folder, experiment='htc_nano', resizing=_RESIZING, anchor_scale=None):
  params = parsing.parse(experiment).params
  values = fitting.fitted_values(folder, params, resizing, anchor_scale)
  parsing.apply_all(params, [values])
  return params.task


def test_classes_and_branches_are_those_of_the_records():
  task = _values(_folder())
  assert task.model.num_classes == 3
  assert (task.model.semantic_head.enabled, task.model.semantic_head.num_classes) == (True, 3)
  assert task.model.include_mask
  assert task.train_data.input_path == 'data/train-*.tfrecord'
  assert task.validation_data.input_path == 'data/val-*.tfrecord'


def test_a_stuff_map_has_classes_of_its_own():
  task = _values(_folder({'semantic': SemanticInfo('stuff_maps', 21)}))
  assert (task.model.num_classes, task.model.semantic_head.num_classes) == (3, 21)


def test_branches_without_data_are_left_out():
  task = _values(_folder({'semantic': None, 'include_masks': False}))
  assert not task.model.semantic_head.enabled
  assert not task.model.include_mask


def test_padded_sizes_are_those_of_the_images():
  parser = _values(_folder()).train_data.parser
  assert [(b.height, b.width) for b in parser.buckets] == [(288, 384), (384, 288)]
  assert (list(parser.min_sizes), parser.max_size) == ([384], 384)


def test_images_that_may_be_turned_have_padded_sizes_of_both_orientations():
  folder = _folder(image_sizes=((600, 800, 3),))
  params = parsing.parse('htc_nano').params
  found = []
  for probability in (0.0, 0.5):
    params.task.train_data.parser.augmentation.rotate90.probability = probability
    values = fitting.fitted_values(folder, params, _RESIZING, anchor_scale=None)
    buckets = values['task']['train_data']['parser']['buckets']
    found.append([(bucket['height'], bucket['width']) for bucket in buckets])
  assert found == [[(288, 384)], [(288, 384), (384, 288)]]


def test_input_size_holds_every_bucket_and_every_image_of_the_evaluation():
  assert list(_values(_folder()).model.input_size) == [384, 384, 3]
  assert list(_values(_folder(), 'htc_base', Resizing(800, 1333)).model.input_size) == [
    1344,
    1344,
    3,
  ]


def test_images_are_enlarged_at_most_twice():
  small = dataclasses.replace(STATISTICS, image_sizes=((100, 120, 5),))
  assert fitting.fitted_resizing(_RESIZING, small) == Resizing(256, 256)
  assert fitting.fitted_resizing(Resizing(800, 1333), small) == Resizing(256, 256)
  assert fitting.fitted_resizing(_RESIZING, STATISTICS) == _RESIZING
  tiny = dataclasses.replace(STATISTICS, image_sizes=((8, 8, 5),))
  assert fitting.fitted_resizing(_RESIZING, tiny) == Resizing(64, 64)


@pytest.mark.parametrize('objects', [3, 99])
def test_instances_of_the_most_crowded_image_are_kept(objects):
  parser = _values(_folder(objects_per_image=((objects, 1),))).train_data.parser
  assert parser.max_num_instances == max(20, objects)


def test_crowded_images_get_more_detections_and_proposals():
  model = _values(_folder(objects_per_image=((130, 1),))).model
  assert model.detection_generator.max_detections == 150
  assert model.roi_generator.published.test_num_proposals == 400
  # The published numbers are larger already.
  base = _values(_folder(objects_per_image=((130, 1),)), 'htc_base').model
  assert base.roi_generator.published.num_proposals == 2000
  # Crowded images for validation count too.
  model = _values(_folder(val_objects=225)).model
  assert model.detection_generator.max_detections == 250


@pytest.mark.parametrize(
  'side, scale',
  [
    # At 384 / 800, an object of 37 pixels has 17.8: with an anchor of 32, the IoU is 0.309.
    (37, 8.0),
    # 35 pixels have 16.8: the IoU with 32 is 0.276, with 16 it is the object that is larger.
    (35, 4.0),
    (12, 2.0),
    (1, 2.0),
  ],
)
def test_anchors_are_small_enough_for_small_objects(side, scale):
  sides = (1.0, float(side), *[300.0] * 5)
  assert _values(_folder(box_sides=sides)).model.anchor.scale == scale
  assert _values(_folder(box_sides=sides), anchor_scale=8.0).model.anchor.scale == 8.0


def test_records_without_statistics_are_refused():
  folder = _folder()._replace(train=INFO)
  with pytest.raises(DataError, match='no statistics'):
    _values(folder)


def test_a_folder_without_records_is_refused(tmp_path):
  (tmp_path / 'photo.jpg').write_bytes(b'')
  with pytest.raises(DataError, match=r'no records for training.*photo.jpg.*convert them'):
    dataset_folder.find(str(tmp_path))


@pytest.mark.parametrize('prefix', ['val', 'valid', 'validation', 'test'])
def test_the_records_for_validation_are_found_by_their_prefix(tmp_path, prefix):
  INFO.save(str(tmp_path / 'train.json'))
  INFO.save(str(tmp_path / f'{prefix}.json'))
  found = dataset_folder.find(str(tmp_path))
  assert (found.train, found.val) == (INFO, INFO)
  assert found.val_pattern == str(tmp_path / f'{prefix}-*.tfrecord')


def test_a_folder_may_have_no_records_for_validation(tmp_path):
  INFO.save(str(tmp_path / 'train.json'))
  assert dataset_folder.find(str(tmp_path)).val is None


def test_anchors_fit_the_usual_scale_and_not_that_of_the_most_frequent_size():
  """Two panoramas among images of sizes of their own, of which all but two are enlarged."""
  image_sizes = ((1920, 3840, 2), *((200 + side, 300 + side, 1) for side in range(20)))
  assert _values(_folder(image_sizes=image_sizes)).model.anchor.scale == 8.0
  panoramas = ((1920, 3840, 30), *image_sizes[1:])
  assert _values(_folder(image_sizes=panoramas)).model.anchor.scale == 2.0


def test_images_that_are_turned_have_frames_for_both_directions():
  params = parsing.parse('htc_nano').params
  folder = _folder(image_sizes=((600, 800, 2),))
  for probability, expected in ((0.0, {(288, 384)}), (0.5, {(288, 384), (384, 288)})):
    params.task.train_data.parser.augmentation.rotate90.probability = probability
    values = fitting.fitted_values(folder, params, _RESIZING, anchor_scale=None)
    buckets = values['task']['train_data']['parser']['buckets']
    assert {(bucket['height'], bucket['width']) for bucket in buckets} == expected
