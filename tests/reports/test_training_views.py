"""Tests that views are those of the training pipeline, with ground truth on its objects."""

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.configs import augmentation as augmentation_config
from htc_tf.configs.shorthands import Shorthands
from htc_tf.data import skipped
from htc_tf.data.parser import SEED_KEY
from htc_tf.data.skipped import SkipCounter
from htc_tf.data.tolerant_reading import RECORD_KEY
from htc_tf.errors import ConfigError
from htc_tf.reports import training_configuration, training_views
from htc_tf.tasks import inputs
from tests import tiny_records
from tests.reports import shown_records

_SIDE = 128


@pytest.fixture(scope='module', name='folder')
def _folder(tmp_path_factory):
  return shown_records.write(tmp_path_factory.mktemp('views'), semantic='instances')


def _config(folder, *overrides, **flags):
  paths = sorted(str(path) for path in folder.glob('train-*.tfrecord'))
  return training_configuration.training_configuration(
    shown_records.load_info(folder), paths, Shorthands(**flags), params_override=overrides
  )


def _views(config, number=4, seed=0, indices=(0,)):
  records = list(tf.data.TFRecordDataset(config.task.train_data.input_path).as_numpy_iterator())
  chosen = [records[index] for index in indices]
  return training_views.training_views(config, chosen, number, seed, _SIDE)


_AUGMENTED = (
  'task.train_data.parser.augmentation.scale_jitter.min_factor=0.5',
  'task.train_data.parser.augmentation.scale_jitter.max_factor=1.8',
  'task.train_data.parser.augmentation.flip.vertical=0.5',
)


def test_masks_boxes_and_semantic_maps_are_on_the_objects_of_every_view(folder):
  ((views,), counter) = _views(_config(folder, *_AUGMENTED), number=8)
  assert counter.count(skipped.INSTANCES) == 0 and len(views) == 8
  found = set()
  for shown in views:
    labeled = shown.labeled
    for box, mask, label in zip(labeled.boxes, shown_records.masks_of(labeled), labeled.classes):
      color = np.array(tiny_records.COLORS[label - 1])
      painted = np.abs(labeled.pixels.astype(int) - color).max(axis=-1) < 60
      assert (painted & mask).sum() > 0.9 * (painted | mask).sum()
      assert (labeled.semantic[mask] == label).mean() > 0.95
      rows, columns = np.nonzero(mask)
      extent = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
      np.testing.assert_allclose(box, extent, atol=2)
      found.add(tuple(np.round(box)))
  assert len(found) > 8  # The augmentation moves the objects.


def test_views_are_the_tensors_of_the_pipeline(folder):
  config = _config(folder, *_AUGMENTED)
  ((view,),), _ = _views(config, number=1, seed=5)
  record = next(tf.data.TFRecordDataset(config.task.train_data.input_path).as_numpy_iterator())
  parse = inputs.build_elements(config.task.train_data, config.task.model, SkipCounter()).parse
  image, labels = parse({RECORD_KEY: tf.constant(record), SEED_KEY: tf.constant([0, 5], tf.int64)})
  number = int((labels['gt_classes'].numpy() > 0).sum())
  np.testing.assert_allclose(view.labeled.boxes, labels['gt_boxes'][:number], atol=1e-4)
  np.testing.assert_array_equal(
    shown_records.masks_of(view.labeled),
    np.unpackbits(labels['gt_masks'][:number].numpy(), axis=-1),
  )
  np.testing.assert_array_equal(view.labeled.semantic, labels['gt_semantic'])
  means, deviations = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
  pixels = np.rint(image.numpy() * deviations + means)
  np.testing.assert_allclose(view.labeled.pixels, pixels, atol=1)


_AUGMENTATION = 'task.train_data.parser.augmentation'
_PLAIN = (
  f'{_AUGMENTATION}.flip.horizontal=0',
  f'{_AUGMENTATION}.scale_jitter.min_factor=1.0',
  f'{_AUGMENTATION}.scale_jitter.max_factor=1.0',
)
_STRONG = {
  'flip': ['horizontal=1'],
  'scale_jitter': ['min_factor=0.5', 'max_factor=0.5'],
  'blur': ['probability=1', 'max_sigma=6'],
  'hue': ['probability=1', 'max_turn=0.3'],
}


@pytest.fixture(scope='module', name='plain')
def _plain(folder):
  """Views of three records without random choices."""
  return _views(_config(folder, *_PLAIN), number=1, indices=(0, 1, 2))[0]


# One for places and one for pixels are tested always; pasting has a test below.
_QUICK = ('rotate90', 'brightness')


@pytest.mark.parametrize(
  'name',
  [
    pytest.param(name, marks=() if name in _QUICK else pytest.mark.slow)
    for name in augmentation_config.Augmentation().as_dict()
  ],
)
def test_every_augmentation_is_seen(folder, plain, name):
  values = _STRONG.get(name, ['probability=1'])
  overrides = [f'{_AUGMENTATION}.{name}.{value}' for value in values]
  views, _ = _views(_config(folder, *_PLAIN, *overrides), number=1, indices=(0, 1, 2))
  for (view,), (without,) in zip(views, plain):
    assert (view.labeled.pixels != without.labeled.pixels).any()


def test_pasted_objects_have_boxes_masks_and_labels(folder, plain):
  """Each record gets all objects of the one before it; the first one gets those of the last."""
  pasting = (
    f'{_AUGMENTATION}.copy_paste.probability=1',
    f'{_AUGMENTATION}.copy_paste.min_visible=0',
  )
  views, _ = _views(_config(folder, *_PLAIN, *pasting), number=3, indices=(0, 1, 2))
  numbers = set()
  for index, of_record in enumerate(views):
    before = plain[index - 1][0].labeled
    for view in of_record:
      labeled = view.labeled
      pasted = [
        (mask, label)
        for mask, label in zip(shown_records.masks_of(labeled), labeled.classes)
        if any((mask == other).all() for other in shown_records.masks_of(before))
      ]
      assert pasted
      for mask, label in pasted:
        color = np.array(tiny_records.COLORS[label - 1])
        assert (np.abs(labeled.pixels[mask].astype(int) - color).max(axis=-1) < 60).mean() > 0.9
        assert (labeled.semantic[mask] == label).mean() > 0.9
      for box, mask in zip(labeled.boxes, shown_records.masks_of(labeled)):
        rows, columns = np.nonzero(mask)
        extent = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
        np.testing.assert_allclose(box, extent, atol=2)
      numbers.add(len(pasted))
  assert numbers == {1, 2}  # The first image has two objects.


def test_views_depend_on_the_seed_and_on_nothing_else(folder):
  config = _config(folder, *_AUGMENTED)
  (first,), (again,), (other,) = (_views(config, seed=seed)[0] for seed in (3, 3, 4))
  for view, same in zip(first, again):
    np.testing.assert_array_equal(view.labeled.pixels, same.labeled.pixels)
  assert [view.title for view in first] == [view.title for view in again]
  assert [view.title for view in first] != [view.title for view in other]


def test_an_image_without_objects_and_a_limit_of_objects_are_shown(folder):
  config = _config(folder, 'task.train_data.parser.max_num_instances=1')
  (views, empty), counter = _views(config, number=1, indices=(0, 3))
  assert [mask['size'] for mask in views[0].labeled.masks] == [[_SIDE, _SIDE]]
  assert '1 color3' in views[0].caption
  assert empty[0].labeled.masks == [] and 'no object' in empty[0].caption
  assert counter.count(skipped.OVER_LIMIT) == 1


def test_records_without_masks_and_semantic_maps_are_shown(tmp_path):
  folder = shown_records.write(tmp_path, include_masks=False)
  ((view,),), _ = _views(_config(folder), number=1)
  assert view.labeled.masks is None and view.labeled.semantic is None
  assert len(view.labeled.boxes) == 2


def test_the_configuration_is_that_of_the_training_command(folder):
  small, nano = _config(folder, size='small'), _config(folder, size='nano', image_size=96)
  assert (small.source, nano.source) == ('htc_small', 'htc_nano')
  for config, side in ((small, 128), (nano, 96)):
    assert config.task.train_data.parser.max_size == side
    assert config.task.model.num_classes == 3 and config.names == ['color3', 'color8']
  assert _config(folder).source == 'htc_small'


def test_a_named_experiment_gets_the_classes_of_records_of_any_prefix(tmp_path):
  folder = shown_records.write(tmp_path, prefix='other', include_masks=False)
  info = shown_records.load_info(folder, 'other')
  config = training_configuration.training_configuration(
    info, [str(folder / 'other-00000-of-00001.tfrecord')], Shorthands(), experiment='htc_nuclei'
  )
  model = config.task.model
  assert model.num_classes == 3 and not model.include_mask and not model.semantic_head.enabled
  assert config.source == 'htc_nuclei'


@pytest.mark.parametrize(
  'override, message',
  [
    ('task.model.num_classes=7', 'num_classes'),
    ('task.train_data.parser.augmentation.flip.horizontal=3', 'flip.horizontal'),
    ('task.unknown=3', 'unknown'),
  ],
)
def test_a_configuration_that_does_not_fit_is_refused(folder, override, message):
  with pytest.raises(ConfigError, match=message):
    _config(folder, override)
