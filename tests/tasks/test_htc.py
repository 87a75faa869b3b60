"""Tests of the task: steps, inputs, evaluation and initial weights."""

import itertools
import json
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from htc_tf.configs import parsing, sizes, validation
from htc_tf.configs import task as task_config
from htc_tf.data.skipped import KINDS
from htc_tf.errors import CheckpointError, ConfigError, DataError
from htc_tf.losses import htc_loss
from htc_tf.tasks.htc import HTCTask, model_inputs
from tests import tiny, tiny_records

# The demo, the test of the Paddle variant and those of the sizes train the others.
COCO_EXPERIMENTS = sorted(
  set(parsing.known_experiments())
  - {'htc_nuclei', 'htc_resnet50fpn_1x_coco_paddle'}
  - {size.experiment for size in sizes.SIZES.values()}
)

# These schedules are the 1x schedule, which has the same models, with other numbers.
LONGER_SCHEDULES = ('_20e_', '_2x_', '_3x_')

# Training metrics that are counts since the process began.
COUNTS = (*KINDS, 'skipped_steps')
# With random weights, frozen batch norm would let the values explode.
FROM_SCRATCH = {'backbone': {'published_resnet': {'frozen_stages': -1, 'norm_eval': False}}}


@pytest.fixture(autouse=True)
def float32_afterwards():
  yield
  tf_keras.mixed_precision.set_global_policy('float32')


def make_task(name, records, **model_overrides):
  """(task, model, configuration) of a reduced experiment, with its precision policy set."""
  params = tiny_records.reduced(name, records)
  params.task.model.override(model_overrides)
  validation.validate_experiment(params, 'train_and_eval')
  if params.runtime.mixed_precision_dtype == 'bfloat16':
    tf_keras.mixed_precision.set_global_policy('mixed_bfloat16')
  tf_keras.utils.set_random_seed(0)
  task = HTCTask(params.task)
  return task, task.build_model(), params


def values_of(metrics):
  return {metric.name: float(metric.result()) for metric in metrics if metric.name not in COUNTS}


def expected_names(model_config):
  stages = len(model_config.cascade.stages)
  names = htc_loss.term_names(stages, model_config.include_mask, model_config.semantic_head.enabled)
  return {'total_loss', 'weight_decay', *names, *(f'stage{i}_accuracy' for i in range(stages))}


@pytest.mark.parametrize(
  'name',
  [
    pytest.param(name, marks=[pytest.mark.slow] * any(part in name for part in LONGER_SCHEDULES))
    for name in COCO_EXPERIMENTS
  ],
)
def test_coco_experiments_train_on_records(name, records):
  task, model, params = make_task(name, records)
  optimizer = task.create_optimizer(params.trainer.optimizer_config, params.runtime)
  metrics = task.build_metrics()
  before = [variable.numpy() for variable in model.trainable_variables]
  for batch in itertools.islice(task.build_inputs(params.task.train_data), 2):
    logs = task.train_step(batch, model, optimizer, metrics)
    assert np.isfinite(logs['loss'])
  values = values_of(metrics)
  assert set(values) == expected_names(params.task.model)
  assert all(np.isfinite(value) for value in values.values()), values
  assert all(value > 0 for name, value in values.items() if 'class_loss' in name), values
  moved = [np.any(old != new) for old, new in zip(before, model.trainable_variables)]
  assert np.mean(moved) > 0.6  # Not 1, because residual blocks start as identities.


def test_the_semantic_loss_may_be_the_mean_over_each_image_with_its_own_padding():
  config = tiny.model(1)
  task = tiny.task(config)
  model = task.build_model()
  images, labels = tiny.batch(config)
  side = images.shape[1]
  # The second image has 32 rows after padding of its own, of which the objects are in the first 20.
  labels['image_info'] = tf.tensor_scatter_nd_update(labels['image_info'], [[1, 1, 0]], [20.0])
  semantic = labels['gt_semantic'].numpy()
  semantic[1, 20:] = 255
  labels['gt_semantic'] = tf.constant(semantic)
  outputs = model(model_inputs(images, labels), training=True)
  losses = {}
  for per_image in (False, True):
    task.task_config.losses.semantic_average_per_image = per_image
    losses[per_image] = task.build_losses(outputs, labels, [])['semantic_loss'].numpy()
  logits = tf.cast(outputs.semantic_logits, tf.float32)
  # At the centers of the cells of 8 pixels, the logits belong to every eighth pixel.
  sums = []
  for image in range(2):
    subsampled = semantic[image, ::8, ::8].astype(int)
    entropies = -tf.nn.log_softmax(logits[image]).numpy()
    rows, columns = np.nonzero(subsampled != 255)
    sums.append(entropies[rows, columns, subsampled[rows, columns]].sum())
  cells = (side // 8) ** 2
  own = [cells, 4 * side // 8]
  np.testing.assert_allclose(losses[False], 0.2 * sum(sums) / (2 * cells), rtol=1e-5)
  expected = 0.2 * np.mean([total / count for total, count in zip(sums, own)])
  np.testing.assert_allclose(losses[True], expected, rtol=1e-5)


def train(task, model, batch, num_steps, learning_rate):
  """Values of all metrics for each of several steps on one batch."""
  optimizer = tf_keras.optimizers.SGD(learning_rate, momentum=0.9, clipnorm=10.0)
  metrics = task.build_metrics()

  @tf.function(autograph=False)
  def step():
    task.train_step(batch, model, optimizer, metrics)

  history = []
  for _ in range(num_steps):
    for metric in metrics:
      metric.reset_state()
    step()
    history.append(values_of(metrics))
  return history


def test_a_model_overfits_one_image():
  config = tiny.model(2, **FROM_SCRATCH)
  task = tiny.task(config)
  tf_keras.utils.set_random_seed(0)
  model = task.build_model()
  history = train(task, model, tiny.batch(config, num_images=1), num_steps=60, learning_rate=0.01)
  assert all(np.isfinite(list(values.values())).all() for values in history)
  first, last = (
    np.mean([values['total_loss'] for values in part]) for part in (history[:3], history[-5:])
  )
  assert last < first / 2


@pytest.mark.slow
@pytest.mark.parametrize('name', COCO_EXPERIMENTS)
def test_every_loss_falls_on_one_image(name, one_record):
  published = 'resnet50' in name
  task, model, params = make_task(
    name,
    one_record,
    box_head={'fc_dims': 64},
    cascade={'sampling_rule': 'even'},
    **(FROM_SCRATCH if published else {}),
  )
  data = params.task.train_data
  data.global_batch_size = 1
  data.parser.augmentation.override(
    {'flip': {'horizontal': 0.0}, 'scale_jitter': {'min_factor': 1.0, 'max_factor': 1.0}}
  )
  batch = next(iter(task.build_inputs(data)))
  history = train(
    task,
    model,
    batch,
    num_steps=500,
    learning_rate=tf_keras.optimizers.schedules.PiecewiseConstantDecay([300], [0.01, 0.002]),
  )
  assert all(np.isfinite(list(values.values())).all() for values in history)
  for term in expected_names(params.task.model) - {'weight_decay'}:
    values = np.array([step[term] for step in history])
    first, means = values[:5].mean(), values.reshape(-1, 50).mean(1)
    if 'accuracy' in term:
      assert means[-1] > max(first, 0.9), (term, first, means)
    elif term.startswith('stage') and 'box' in term:
      # The box loss of a stage rises first: better boxes from the stage before mean more positives.
      assert means[-1] < 0.85 * max(first, *means), (term, first, means)
    else:
      assert means[-1] < 0.5 * first, (term, first, means)


def test_the_loss_terms_add_up_to_the_total_loss_without_weight_decay(records):
  task, model, params = make_task('htc_resnet50fpn_1x_coco', records)
  images, labels = next(iter(task.build_inputs(params.task.train_data)))
  metrics = task.build_metrics()
  optimizer = tf_keras.optimizers.SGD(0.0)
  logs = task.train_step((images, labels), model, optimizer, metrics)
  values = values_of(metrics)
  terms = [
    value for name, value in values.items() if name.endswith('loss') and name != 'total_loss'
  ]
  assert values['weight_decay'] > 1e-3
  np.testing.assert_allclose(sum(terms), values['total_loss'], rtol=1e-5)
  np.testing.assert_allclose(logs['loss'], values['total_loss'], rtol=1e-6)
  assert not task.build_metrics(training=False)


def test_evaluation_gives_figures_and_writes_detections(records, tmp_path):
  params = tiny_records.reduced('htc_resnet50fpn_1x_coco', records)
  task = HTCTask(params.task, logging_dir=str(tmp_path))
  model = task.build_model()
  state = None
  for batch in task.build_inputs(params.task.validation_data):
    assert set(batch[1]) == {'image_info', 'source_id'}
    state = task.aggregate_logs(state, task.validation_step(batch, model))
  metrics = task.reduce_aggregated_logs(state, global_step=tf.constant(7))
  assert {'bbox_AP', 'bbox_AP50', 'segm_AP', 'segm_AP50'} <= set(metrics)
  # The small model finds at most 6 instances.
  assert {'bbox_AP@6', 'bbox_ARmax6', 'segm_AP50@6', 'bbox_ARmax100'} <= set(metrics)
  assert all(np.isfinite(value) for value in metrics.values())
  results = json.loads((tmp_path / 'results' / 'step-7.json').read_text())
  assert {row['image_id'] for row in results} <= {1, 2, 3, 4}
  assert {row['category_id'] for row in results} <= set(tiny_records.CATEGORY_IDS)


def test_a_second_evaluation_gives_the_same_figures(records):
  task, model, params = make_task('mask_rcnn_resnet50fpn_1x_coco', records)
  outputs = [
    task.validation_step(batch, model) for batch in task.build_inputs(params.task.validation_data)
  ]
  states = []
  for _ in range(2):
    state = None
    for output in outputs:
      state = task.aggregate_logs(state, output)
    states.append(state)
  first, second = (task.reduce_aggregated_logs(state) for state in states)
  assert first == second


def test_a_model_without_masks_trains_without_gt_masks(records):
  task, model, params = make_task('htc_resnet50fpn_1x_coco', records, include_mask=False)
  batch = next(iter(task.build_inputs(params.task.train_data)))
  assert 'gt_masks' not in batch[1]
  task.train_step(batch, model, tf_keras.optimizers.SGD(0.01), task.build_metrics())


def test_a_frozen_backbone_has_no_trainable_variables():
  task = tiny.task(tiny.model(1), freeze_backbone=True)
  model = task.build_model()
  assert not model.backbone.trainable_variables
  assert model.decoder.trainable_variables


def test_a_model_with_a_static_size_builds():
  params = tiny_records.reduced('htc_resnetfpn_coco', 'unused')
  assert HTCTask(params.task).build_model().trainable_variables


def test_the_configuration_is_checked_before_building():
  with pytest.raises(ConfigError, match='num_classes is too small'):
    HTCTask(task_config.HTCTask(model=tiny.model(num_classes=1)))


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
  """(model, path of its checkpoint), saved as by a trainer."""
  model = tiny.build(tiny.model(2), seed=5)
  folder = tmp_path_factory.mktemp('run')
  tf.train.CheckpointManager(
    tf.train.Checkpoint(
      model=model, **model.checkpoint_items, global_step=tf.Variable(3, dtype=tf.int64)
    ),
    str(folder),
    max_to_keep=1,
  ).save()
  return model, str(folder)


def initialized(path, modules='all', **overrides):
  config = tiny.model(2, **overrides)
  task = tiny.task(config, init_checkpoint=path, init_checkpoint_modules=modules)
  model = tiny.build(config, seed=6)
  before = [variable.numpy() for variable in model.variables]
  task.initialize(model)
  return model, before


def test_all_parts_are_initialized(trained):
  model, path = trained
  for new, old in zip(initialized(path)[0].variables, model.variables):
    np.testing.assert_array_equal(new, old)


@pytest.mark.parametrize('modules', ['backbone', ['backbone', 'decoder']])
def test_only_the_named_parts_are_initialized(trained, modules):
  model, path = trained
  other, before = initialized(path, modules, num_classes=6)
  for new, old in zip(other.backbone.variables, model.backbone.variables):
    np.testing.assert_array_equal(new, old)
  decoder_equal = all(
    np.array_equal(new, old) for new, old in zip(other.decoder.variables, model.decoder.variables)
  )
  assert decoder_equal == ('decoder' in modules)
  loaded = {id(v) for v in other.backbone.variables + other.decoder.variables}
  for variable, value in zip(other.variables, before):
    if id(variable) not in loaded:
      np.testing.assert_array_equal(variable, value)


def test_an_unknown_part_is_an_error(trained):
  with pytest.raises(ConfigError, match=r"init_checkpoint_modules names unknown parts.*\['neck'\]"):
    initialized(trained[1], 'neck')


def test_a_folder_without_checkpoint_is_an_error(tmp_path):
  with pytest.raises(CheckpointError, match='There is no checkpoint at'):
    initialized(str(tmp_path))


def test_without_initial_checkpoint_the_weights_stay_random():
  model, before = initialized('')
  for variable, value in zip(model.variables, before):
    np.testing.assert_array_equal(variable, value)


def test_two_replicas_with_the_same_batch_update_like_one(records, two_replicas):
  params = tiny_records.reduced('mask_rcnn_resnet50fpn_1x_coco', records)
  params.task.model.cascade.sampling_rule = 'even'
  params.task.train_data.global_batch_size = 1
  task = HTCTask(params.task)
  batch = next(iter(task.build_inputs(params.task.train_data)))
  with two_replicas.scope():
    model = task.build_model()
    optimizer = tf_keras.optimizers.SGD(0.1)
    metrics = task.build_metrics()
  alone = task.build_model()
  alone.set_weights(model.get_weights())
  before = alone.get_weights()

  arguments = (batch, model, optimizer, metrics)
  tf.function(lambda: two_replicas.run(task.train_step, args=arguments), autograph=False)()
  assert all(np.isfinite(value) for value in values_of(metrics).values())
  task.train_step(batch, alone, tf_keras.optimizers.SGD(0.1))
  for name, old, two, one in zip(
    (v.name for v in alone.weights), before, model.get_weights(), alone.get_weights()
  ):
    largest = np.abs(one - old).max()
    np.testing.assert_allclose(
      two - old, one - old, rtol=0, atol=1e-3 * largest + 1e-6, err_msg=name
    )


def test_validation_records_with_exchanged_names_are_refused(records, tmp_path):
  """The classes of the model are those of the training records, not of the validation records."""
  folder = shutil.copytree(pathlib.Path(records).parent, tmp_path / 'val')
  for name in ('train.json', 'train_annotations.json'):
    content = json.loads((folder / name).read_text())
    first, second = content['categories']
    first['name'], second['name'] = second['name'], first['name']
    (folder / name).write_text(json.dumps(content))
  params = tiny_records.reduced('htc_nuclei', records)
  HTCTask(params.task).build_evaluator()
  params.task.validation_data.input_path = str(folder / 'train-*.tfrecord')
  with pytest.raises(DataError, match='2 ids have another name'):
    HTCTask(params.task).build_evaluator()
