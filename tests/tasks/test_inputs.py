"""Tests of the task's input pipelines: buckets, order, and that every record is read."""

import collections
import itertools

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from official.core import exp_factory

from htc_tf import registry_imports  # noqa: F401
from htc_tf.configs import task as task_config
from htc_tf.data import preprocess
from htc_tf.errors import DataError
from htc_tf.tasks import inputs
from htc_tf.tasks.htc import HTCTask
from htc_tf.tasks.inputs import build_padding_rule
from tests import tiny_records

# Sizes of the images: landscape, portrait, another aspect ratio, and the first size again.
SIZES = ((64, 96), (96, 64), (64, 120), (64, 96))
BUCKETS = [{'height': 64, 'width': 96}, {'height': 96, 'width': 64}, {'height': 64, 'width': 128}]


@pytest.fixture(scope='module', name='mixed')
def _mixed(tmp_path_factory):
  """Pattern of the records of four images of three sizes."""
  return tiny_records.write(tmp_path_factory.mktemp('mixed'), sizes=SIZES)


def make_task(mixed, buckets, name='htc_resnet50fpn_1x_coco', **train_data):
  params = tiny_records.reduced(name, mixed).task
  params.model.input_size = [128, 128, 3]
  params.train_data.override({'deterministic': True, **train_data})
  for data in (params.train_data, params.validation_data):
    data.parser.override({'min_sizes': [64], 'max_size': 128, 'buckets': buckets})
  return HTCTask(params), params


def take(task, data, number):
  return list(itertools.islice(task.build_inputs(data).as_numpy_iterator(), number))


@pytest.mark.parametrize('buckets', [BUCKETS, []])
def test_training_batches_are_of_one_bucket_and_every_image_is_read(mixed, buckets):
  task, params = make_task(mixed, buckets)
  counts = collections.Counter()
  for images, labels in take(task, params.train_data, 40):
    assert len(images) == 2
    sizes = [SIZES[number - 1] for number in labels['source_id']]
    expected = np.max(sizes, axis=0)
    expected = -(-expected // 32) * 32
    assert images.shape == (2, *expected, 3)
    assert labels['gt_masks'].shape == (2, 4, expected[0], expected[1] // 8)
    assert labels['gt_semantic'].shape == (2, *expected)
    assert len({height > width for height, width in sizes}) == 1
    assert len(set(sizes)) == 1 or not buckets
    counts.update(labels['source_id'].tolist())
  assert (
    max(counts.values()) - min(counts.values()) <= 4
  )  # The difference is due to images in groups and in the shuffle buffer.


@pytest.mark.parametrize('buckets', [BUCKETS, []])
def test_a_seed_repeats_batches_exactly(mixed, buckets):
  task, params = make_task(mixed, buckets, seed=3)
  first, second = (take(task, params.train_data, 8) for _ in range(2))
  for one, two in zip(tf.nest.flatten(first), tf.nest.flatten(second)):
    np.testing.assert_array_equal(one, two)
  params.train_data.seed = 4
  order = [
    [labels['source_id'].tolist() for _, labels in batches]
    for batches in (first, take(task, params.train_data, 8))
  ]
  assert order[0] != order[1]


@pytest.mark.parametrize('buckets', [BUCKETS, []])
def test_ground_truth_does_not_depend_on_the_bucket(mixed, buckets):
  """Elements in their buckets equal those in one large square, except for the padding."""
  square = [{'height': 128, 'width': 128}]
  found = []
  for choice in (buckets, square):
    task, params = make_task(mixed, choice, global_batch_size=1)
    params.train_data.parser.augmentation.flip.horizontal = 0.0
    found.append(
      {
        int(labels['source_id'][0]): (images, labels)
        for images, labels in take(task, params.train_data, 40)
      }
    )
  assert set(found[0]) == {1, 2, 3, 4}
  for number, (images, labels) in found[0].items():
    height, width = images.shape[1:3]
    large, large_labels = found[1][number]
    np.testing.assert_array_equal(images, large[:, :height, :width])
    np.testing.assert_array_equal(
      labels['gt_masks'], large_labels['gt_masks'][:, :, :height, : width // 8]
    )
    np.testing.assert_array_equal(
      labels['gt_semantic'], large_labels['gt_semantic'][:, :height, :width]
    )
    assert not large[:, height:].any() and not large[:, :, width:].any()
    for key in ('gt_boxes', 'gt_classes', 'image_info'):
      np.testing.assert_array_equal(labels[key], large_labels[key], err_msg=key)


def test_one_graph_trains_on_every_bucket(mixed):
  task, params = make_task(mixed, BUCKETS)
  params.model.cascade.stages = params.model.cascade.stages[:1]
  model = task.build_model()
  optimizer = tf_keras.optimizers.SGD(0.01)
  iterator = iter(task.build_inputs(params.train_data))

  @tf.function(autograph=False)
  def step():
    batch = next(iterator)
    return tf.shape(batch[0]), task.train_step(batch, model, optimizer)['loss']

  shapes, losses = zip(*(step() for _ in range(8)))
  assert np.isfinite(losses).all()
  assert len({tuple(shape.numpy()) for shape in shapes}) > 1
  assert step.experimental_get_tracing_count() == 1


@pytest.mark.parametrize('buckets', [BUCKETS, []])
@pytest.mark.parametrize('batch_size', [1, 2, 3])
def test_evaluation_reads_every_image_once(mixed, buckets, batch_size):
  task, params = make_task(mixed, buckets)
  params.validation_data.global_batch_size = batch_size
  batches = list(task.build_inputs(params.validation_data))
  numbers = [int(number) for _, labels in batches for number in labels['source_id']]
  assert sorted(numbers) == [1, 2, 3, 4]


def take_as_worker(task, data, worker, number):
  """The first batches of one of two workers."""
  context = tf.distribute.InputContext(
    num_input_pipelines=2, input_pipeline_id=worker, num_replicas_in_sync=2
  )
  return list(itertools.islice(task.build_inputs(data, context).as_numpy_iterator(), number))


@pytest.mark.parametrize('name', ['train_data', 'validation_data'])
def test_workers_read_different_images(mixed, name):
  task, params = make_task(mixed, BUCKETS)
  # With permutations, workers share each epoch anew; see `test_permuted_records`.
  params.train_data.shuffle = task_config.BUFFER
  first, second = (
    {
      int(number)
      for _, labels in take_as_worker(task, getattr(params, name), worker, 8)
      for number in labels['source_id']
    }
    for worker in range(2)
  )
  assert not first & second
  assert first | second == {1, 2, 3, 4}


def test_workers_augment_independently(one_record):
  params = tiny_records.reduced('htc_nuclei', one_record).task
  params.train_data.override(
    {'deterministic': True, 'sharding': False}
  )  # Both read the same image.
  task = HTCTask(params)
  first, again, second = (
    [images for images, _ in take_as_worker(task, params.train_data, worker, 4)]
    for worker in (0, 0, 1)
  )
  np.testing.assert_array_equal(first, again)
  assert any(np.any(one != other) for one, other in zip(first, second))


def test_replicas_evaluate_every_image_once(mixed, two_replicas):
  """The replicas get batches of different sizes, and in the last step one replica gets none."""
  task, params = make_task(mixed, [], 'mask_rcnn_resnet50fpn_1x_coco')
  params.validation_data.global_batch_size = 2
  with two_replicas.scope():
    model = task.build_model()
  iterator = iter(
    two_replicas.distribute_datasets_from_function(
      lambda context: task.build_inputs(params.validation_data, context).take(3)
    )
  )

  @tf.function(autograph=False)
  def step():
    return two_replicas.run(task.validation_step, args=(next(iterator), model))

  state, numbers = None, []
  for _ in range(2):
    outputs = tf.nest.map_structure(two_replicas.experimental_local_results, step())
    state = task.aggregate_logs(state, outputs)
    numbers += [
      int(number) for replica in outputs['predictions']['source_id'] for number in replica
    ]
  assert len(numbers) == len(set(numbers)) == 3
  assert np.isfinite(task.reduce_aggregated_logs(state)['segm_AP'])


@pytest.mark.parametrize(
  'name',
  ['htc_resnet50fpn_1x_coco', 'htc_resnet50fpn_1x_coco_paddle', 'mask_rcnn_resnet50fpn_1x_coco'],
)
def test_buckets_of_coco_experiments_hold_every_image(name):
  """No image is shrunk below the published size, and all fit the input size."""
  task = exp_factory.get_exp_config(name).task
  for data in (task.train_data, task.validation_data):
    rule = build_padding_rule(data.parser, task.model)
    for ratio in np.linspace(0.2, 5, 97):
      original = tf.constant([480, round(480 * ratio)])
      size = preprocess.scaled_size(original, data.parser.min_sizes[0], data.parser.max_size)
      bound = rule.bound(size)
      limited = preprocess.scaled_size(
        original, data.parser.min_sizes[0], data.parser.max_size, bound
      )
      np.testing.assert_array_equal(limited, size)
      assert (np.array(rule.padded_hw(size, bound)) <= task.model.input_size[:2]).all()


def test_records_get_the_labels_of_the_model():
  params = task_config.DataConfig(label_map=[0, 3, 1], semantic_label_map=[0, 3, 1])
  decoded = {
    'classes': tf.constant([1, 2, 2, 7]),
    'semantic': tf.constant([[0, 1], [2, 255]], tf.uint8),
    'width': tf.constant(5),
  }
  changed = inputs._with_labels_of_model(decoded, params)
  assert changed['classes'].numpy().tolist() == [3, 1, 1, 7]
  assert changed['semantic'].numpy().tolist() == [[0, 3], [1, 255]]
  assert changed['semantic'].dtype == tf.uint8
  empty = {**decoded, 'classes': tf.zeros([0], tf.int32)}
  assert inputs._with_labels_of_model(empty, params)['classes'].shape == [0]
  assert inputs._with_labels_of_model(decoded, task_config.DataConfig()) == decoded


@pytest.mark.slow
@pytest.mark.parametrize('buckets', [[], BUCKETS])
def test_all_augmentations_together_repeat_with_the_seed(mixed, buckets):
  """Scaled from 0.1 to 2, every image has pixels, and every object a mask in its box."""
  task, params = make_task(mixed, buckets, seed=3)
  augmentation = params.train_data.parser.augmentation
  augmentation.scale_jitter.override({'min_factor': 0.1, 'max_factor': 2.0})
  names = set(augmentation.as_dict()) - {'scale_jitter', 'flip'}
  augmentation.override({name: {'probability': 0.8} for name in names})
  first, second = (take(task, params.train_data, 8) for _ in range(2))
  for one, two in zip(tf.nest.flatten(first), tf.nest.flatten(second)):
    np.testing.assert_array_equal(one, two)
  num_objects = set()
  for images, labels in first:
    assert np.isfinite(images).all()
    for row in range(len(images)):
      height, width = labels['image_info'][row, 1]
      assert min(height, width) >= 1
      masks = np.unpackbits(labels['gt_masks'][row], axis=-1)
      valid = labels['gt_classes'][row] > 0
      num_objects.add(int(valid.sum()))
      assert not masks[~valid].any()
      for mask, box in zip(masks[valid], labels['gt_boxes'][row][valid]):
        rows, columns = np.nonzero(mask)
        assert box[0] - 1 < rows.min() and rows.max() < box[2] + 1
        assert box[1] - 1 < columns.min() and columns.max() < box[3] + 1
        assert box[2] <= height + 1e-3 and box[3] <= width + 1e-3
        assert (box[2:] - box[:2] >= 0.99).all()
  assert len(num_objects) > 1


def test_objects_of_the_image_before_are_pasted(mixed):
  task, params = make_task(mixed, [{'height': 128, 'width': 128}], seed=3)
  plain = take(task, params.train_data, 8)
  params.train_data.parser.augmentation.copy_paste.probability = 1.0
  pasted = take(task, params.train_data, 8)
  orders = ([labels['source_id'] for _, labels in found] for found in (plain, pasted))
  np.testing.assert_array_equal(*orders)
  # There is no image before the first one.
  np.testing.assert_array_equal(plain[0][0][0], pasted[0][0][0])
  changed = [(one != two).any() for (one, _), (two, _) in zip(plain[1:], pasted[1:])]
  assert np.mean(changed) > 0.7


@pytest.mark.parametrize('cache', [False, True])
def test_every_epoch_has_other_augmentations(mixed, cache):
  """The first pass fills the cache; an image is flipped in about half of the epochs after it."""
  task, params = make_task(mixed, BUCKETS, seed=3, cache=cache)
  views = collections.defaultdict(set)
  for images, labels in take(task, params.train_data, 24):
    for number, image in zip(labels['source_id'], images):
      views[number].add(image.tobytes())
  assert [len(views[number]) for number in (1, 2, 3, 4)] == [2, 2, 2, 2]


def test_images_of_rare_classes_are_read_more_often(mixed, monkeypatch):
  """The factor is that of the formula for the shares in the metadata."""
  task, params = make_task(mixed, BUCKETS, seed=3)
  params.train_data.repeat_threshold = 1.0
  seen = []
  monkeypatch.setattr(
    inputs, 'repeat_records', lambda factors, *_: seen.append(factors) or (lambda data: data)
  )
  task.build_inputs(params.train_data)
  statistics = inputs.DatasetInfo.find(params.train_data.input_path).statistics
  expected = [1.0, *np.sqrt(4 / np.maximum(statistics.images_by_category, 1))]
  shown = [True, *(number > 0 for number in statistics.images_by_category)]
  np.testing.assert_allclose(seen[0], np.where(shown, expected, 1.0))


def test_the_published_selection_leaves_out_the_image_without_objects(mixed):
  """In training alone; the images are counted where the other skipped data are."""
  task, params = make_task(mixed, [], published_selection=True)
  params.validation_data.published_selection = True
  read = {
    int(number) for _, labels in take(task, params.train_data, 12) for number in labels['source_id']
  }
  assert read == {1, 2, 3}
  assert {metric.name: float(metric.result()) for metric in task.build_metrics()}[
    'left_out_images'
  ] == 1
  batches = list(task.build_inputs(params.validation_data))
  assert sorted(int(n) for _, labels in batches for n in labels['source_id']) == [1, 2, 3, 4]


def test_a_selection_that_leaves_nothing_is_refused_before_training(tmp_path):
  records = tiny_records.write(tmp_path, num_images=2, sizes=((30, 64),))
  task, params = make_task(records, [], published_selection=True)
  with pytest.raises(DataError, match='No image is left to train on'):
    task.build_inputs(params.train_data)
