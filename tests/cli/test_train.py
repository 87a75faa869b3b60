"""Tests of the training command."""

import json
import logging
import pathlib
import re
import shutil
import signal
import subprocess
import sys

import gin
import numpy as np
import pytest
import tensorflow as tf
import yaml
from absl import flags
from absl.testing import flagsaver
from official.core import exp_factory
from official.modeling import hyperparams
from official.vision import train as _  # Defines a flag.  # noqa: F401

from htc_tf import registry_imports  # noqa: F401
from htc_tf.cli import predict, train
from htc_tf.configs import parsing
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.tasks.htc import HTCTask
from tests import tiny_records, training_runs

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(scope='module', autouse=True)
def defined_flags():
  train.define_flags()


@pytest.fixture(scope='module')
def records(tmp_path_factory):
  return tiny_records.write(tmp_path_factory.mktemp('records'), num_images=2)


@pytest.fixture
def run(tmp_path):
  """A function that runs the command in this process and returns its new model directory."""

  def run_with(mode='train', **values):
    gin.clear_config()  # Model Garden locks it in every run.
    with flagsaver.flagsaver(mode=mode, model_dir=str(tmp_path / 'model'), **values):
      status = train.main([])
    if status:
      raise SystemExit(status)
    return tmp_path / 'model'

  return run_with


def write_config(path, params, **trainer):
  """A configuration file that changes htc_nuclei to the given reduced experiment.

  It does not set the devices: the default is the mirrored strategy, here with one device.
  """
  tree = {'trainer': trainer, 'task': {'model': tiny_records.model_overrides(params.task.model)}}
  stages = [stage.as_dict() for stage in params.task.model.cascade.stages]
  tree['task']['model']['cascade'] = {'num_sampled_rois': 16, 'stages': stages}
  for name in ('train_data', 'validation_data'):
    data = getattr(params.task, name)
    tree['task'][name] = {
      'input_path': data.input_path,
      'global_batch_size': 2,
      'parser': {'min_sizes': data.parser.min_sizes, 'max_size': data.parser.max_size},
    }
  path.write_text(yaml.safe_dump(tree), encoding='utf-8')
  return str(path)


def test_every_override_of_the_command_line_counts():
  """Model Garden's flag keeps the last one only."""
  texts = ['trainer.train_steps=3', 'trainer.max_to_keep=[1, 2]']
  with flagsaver.flagsaver():
    flags.FLAGS(['train.py', *(f'--params_override={text}' for text in texts)])
    assert flags.FLAGS.params_override == texts


def assert_fails(run, caplog, message, **values):
  with pytest.raises(SystemExit) as stop:
    run(**values)
  assert stop.value.code == 2
  assert message in caplog.text


def test_an_unknown_experiment_is_an_error(run, caplog):
  assert_fails(run, caplog, 'The experiment is unknown', experiment='htc_resnet50')
  assert all(name in caplog.text for name in parsing.known_experiments())


@pytest.mark.parametrize(
  'override,message',
  [
    ('task.model.num_clases=3', 'num_clases'),
    (
      'task.model.cascade.num_sampled_rois=many',
      "task.model.cascade.num_sampled_rois is of the wrong type. Expected: int. Got: 'many'",
    ),
    ('task.train_data.input_path=nowhere/*', 'task.train_data.input_path matches no file'),
    (
      'task.train_data.global_batch_size=0,task.train_data.input_path=train.py',
      'task.train_data.global_batch_size is out of range',
    ),
    ('task.model.input_size=[100,100,3]', 'task.model.input_size is wrong'),
  ],
)
def test_a_wrong_override_is_an_error(run, caplog, override, message):
  assert_fails(run, caplog, message, experiment='htc_nuclei', params_override=override)


def test_records_of_other_classes_are_an_error(run, caplog, records, tmp_path):
  assert_fails(
    run,
    caplog,
    'task.train_data and task.model.num_classes disagree',
    experiment='htc_nuclei',
    params_override=f'task.train_data.input_path={records}',
  )
  assert not (tmp_path / 'model').exists()


def test_an_experiment_of_model_garden_is_an_error(run, caplog):
  assert_fails(run, caplog, 'This is not an HTC experiment', experiment='maskrcnn_resnetfpn_coco')


def test_a_missing_initial_checkpoint_is_an_error(run, caplog, records, tmp_path):
  params = tiny_records.reduced('htc_nuclei', records)
  config = write_config(tmp_path / 'config.yaml', params, train_steps=1)
  assert_fails(
    run,
    caplog,
    'There is no checkpoint at nowhere',
    experiment='htc_nuclei',
    config_file=[config],
    params_override='task.init_checkpoint=nowhere',
  )


def test_records_without_a_trainable_instance_are_refused(run, caplog, records, tmp_path):
  copied = tmp_path / 'records'
  shutil.copytree(pathlib.Path(records).parent, copied)
  path = copied / 'train.json'
  info = json.loads(path.read_text())
  path.write_text(json.dumps({**info, 'checks': {'crowd_regions': info['num_instances']}}))
  config = write_config(
    tmp_path / 'config.yaml',
    tiny_records.reduced('htc_nuclei', str(copied / 'train-*.tfrecord')),
    train_steps=1,
  )
  assert_fails(
    run,
    caplog,
    'have no instance to train on',
    experiment='htc_nuclei',
    config_file=[config],
  )
  assert not (tmp_path / 'model' / 'dataset.json').exists()


def test_categories_with_exchanged_names_are_refused_before_training(
  run, caplog, records, tmp_path
):
  """By position or id alone, every class would be evaluated as the other one."""
  path = pathlib.Path(records).parent / 'train_annotations.json'
  content = json.loads(path.read_text())
  first, second = content['categories']
  first['name'], second['name'] = second['name'], first['name']
  (tmp_path / 'val.json').write_text(json.dumps(content))
  params = tiny_records.reduced('htc_nuclei', records)
  config = write_config(tmp_path / 'config.yaml', params, train_steps=1, validation_steps=1)
  assert_fails(
    run,
    caplog,
    '2 ids have another name',
    mode='train_and_eval',
    experiment='htc_nuclei',
    config_file=[config],
    params_override=f'task.annotation_file={tmp_path}/val.json',
  )
  assert not list((tmp_path / 'model').glob('ckpt*'))


@pytest.mark.parametrize(
  'content,message',
  [
    (None, 'cannot be read'),
    ('{', 'is not JSON'),
    ('{}', 'is not a COCO instances file'),
    ('{"images": [], "annotations": [], "categories": []}', 'has no categories'),
    (
      '{"images": [{"id": 1, "height": 8, "width": 8}], "annotations": [], '
      '"categories": [{"id": 77, "name": "x"}]}',
      'no id is the same',
    ),
  ],
)
def test_annotations_are_read_before_training(run, caplog, records, tmp_path, content, message):
  """Otherwise the error would come with the first evaluation, after hours."""
  annotations = tmp_path / 'val.json'
  if content is not None:
    annotations.write_text(content)
  params = tiny_records.reduced('htc_nuclei', records)
  config = write_config(tmp_path / 'config.yaml', params, train_steps=1, validation_steps=1)
  assert_fails(
    run,
    caplog,
    message,
    mode='train_and_eval',
    experiment='htc_nuclei',
    config_file=[config],
    params_override=f'task.annotation_file={annotations}',
  )
  assert not list((tmp_path / 'model').glob('ckpt*'))


def test_an_evaluation_of_random_weights_is_an_error(run, caplog, records, tmp_path):
  params = tiny_records.reduced('htc_nuclei', records)
  config = write_config(tmp_path / 'config.yaml', params, validation_steps=1)
  assert_fails(
    run,
    caplog,
    'There is no checkpoint to evaluate in',
    mode='eval',
    experiment='htc_nuclei',
    config_file=[config],
  )


def test_a_file_in_place_of_the_model_directory_is_an_error(run, caplog, records, tmp_path):
  params = tiny_records.reduced('htc_nuclei', records)
  config = write_config(tmp_path / 'config.yaml', params, train_steps=1)
  (tmp_path / 'model').write_text('mine')
  assert_fails(
    run,
    caplog,
    'model cannot be used. Expected: a path that is free. Got: File exists',
    experiment='htc_nuclei',
    config_file=[config],
  )


def files_of(folder):
  return {path: path.read_bytes() for path in sorted(folder.rglob('*')) if path.is_file()}


def test_a_second_run_continues_is_finished_or_is_refused_without_a_trace(
  run, caplog, records, tmp_path
):
  """One directory: a training, the same command again, a longer one, then others that differ."""
  params = tiny_records.reduced('htc_nuclei', records)
  trainer = {'steps_per_loop': 1, 'summary_interval': 1, 'validation_steps': 1}
  config = write_config(tmp_path / 'config.yaml', params, train_steps=1, **trainer)
  caplog.set_level(logging.INFO, logger='absl')

  def start(mode='train', override='trainer.max_to_keep=3'):
    return run(mode=mode, experiment='htc_nuclei', config_file=[config], params_override=override)

  folder = start()
  assert '1 steps of 2 images = 1.0 epochs of 2 training images' in caplog.text
  before = files_of(folder)
  start()
  assert '1 of 1 steps done; raise trainer.train_steps to go on' in caplog.text
  assert files_of(folder) == before
  start('train_and_eval')
  metrics = folder / 'results' / 'step-1-metrics.json'
  metrics.unlink()
  # The model directory names the categories of an evaluation, not the training records.
  other = tmp_path / 'other'
  shutil.copytree(pathlib.Path(records).parent, other)
  info = json.loads((other / 'train.json').read_text())
  info['categories'][0]['name'] = 'another name'
  (other / 'train.json').write_text(json.dumps(info))
  start('eval', f'task.train_data.input_path={other}/train-*.tfrecord')
  metrics.unlink()
  start(override='trainer.train_steps=2')
  assert tf.train.latest_checkpoint(str(folder)).endswith('ckpt-2')
  before = files_of(folder)
  for override, message in (
    ('task.train_data.global_batch_size=1', 'global_batch_size: 2 before, 1 now'),
    ('task.model.cascade.stages=[{iou_threshold: 0.5}]', 'stages (number): 3 before, 1 now'),
    ('trainer.optimizer_config.optimizer.sgd.momentum=0.5', 'momentum: 0.9 before, 0.5 now'),
  ):
    assert_fails(
      run,
      caplog,
      message,
      experiment='htc_nuclei',
      config_file=[config],
      params_override=f'{override},trainer.train_steps=9',
    )
  assert files_of(folder) == before


@pytest.mark.slow
def test_records_of_some_of_the_categories_continue_a_run(run, caplog, records, tmp_path):
  """They get the labels of the model, whose categories stay those of the directory."""
  caplog.set_level(logging.INFO, logger='absl')
  config = write_config(
    tmp_path / 'config.yaml',
    tiny_records.reduced('htc_nuclei', records),
    train_steps=1,
    steps_per_loop=1,
    summary_interval=1,
  )
  folder = run(experiment='htc_nuclei', config_file=[config])
  classes = (folder / 'dataset.json').read_bytes()
  part = tmp_path / 'part'
  shutil.copytree(pathlib.Path(records).parent, part)
  info = json.loads((part / 'train.json').read_text())
  info['categories'] = [{**info['categories'][1], 'label': 1}]
  info['semantic']['num_classes'] = 2
  (part / 'train.json').write_text(json.dumps(info))
  path = f'task.train_data.input_path={part}/train-*.tfrecord'
  run(
    experiment='htc_nuclei', config_file=[config], params_override=f'{path},trainer.train_steps=2'
  )
  assert 'The records have 1 of the 2 categories of the model' in caplog.text
  assert (folder / 'dataset.json').read_bytes() == classes
  saved = yaml.safe_load((folder / 'params.yaml').read_text())['task']['train_data']
  assert (saved['label_map'], saved['semantic_label_map']) == ([0, 2], [0, 2])
  assert tf.train.latest_checkpoint(str(folder)).endswith('ckpt-2')


def test_variables_that_a_checkpoint_does_not_fill_are_an_error(run, caplog, records, tmp_path):
  """Without params.yaml, only the variables tell that the model is another one."""
  params = tiny_records.reduced('htc_nuclei', records)
  trainer = {'steps_per_loop': 1, 'summary_interval': 1}
  config = write_config(tmp_path / 'config.yaml', params, train_steps=1, **trainer)
  folder = run(experiment='htc_nuclei', config_file=[config])
  (folder / 'params.yaml').unlink()
  before = files_of(folder)
  for mode in ('train', 'eval'):
    assert_fails(
      run,
      caplog,
      'ckpt-1 has another configuration',
      mode=mode,
      experiment='htc_nuclei',
      config_file=[config],
      params_override='trainer.train_steps=2,task.model.box_head.fc_dims=48',
    )
  assert files_of(folder) == before


@pytest.mark.parametrize(
  'signal_number', [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_an_interruption_saves_a_checkpoint(tmp_path, records, signal_number):
  """The line says where the run continues, and the checkpoint is that of the last step."""
  trainer = {'checkpoint_interval': 100000}
  config = training_runs.write_config(
    tmp_path / 'config.yaml', records, num_steps=100000, overrides={'trainer': trainer}
  )
  last = 0
  for _start in range(2):  # The second start continues from the checkpoint of the first one.
    process = training_runs.start(tmp_path / 'model', config)
    output = [process.stdout.readline()]
    while output[-1] and 's/step' not in output[-1]:
      output.append(process.stdout.readline())
    process.send_signal(signal_number)
    status, rest = training_runs.finish(process)
    assert status == 128 + signal_number, ''.join(output)[-3000:] + rest
    assert 'Traceback' not in rest
    (saved,) = map(int, re.findall(r'interrupted: saved step (\d+) as .*ckpt-\1; the same', rest))
    assert saved > last
    last = saved
  state = training_runs.tensors(str(tmp_path / 'model' / f'ckpt-{last}'))
  assert [int(v) for k, v in state.items() if k.startswith('global_step')] == [last]


def test_an_unknown_mode_is_an_error(run, caplog):
  assert_fails(run, caplog, 'The mode is unknown', mode='trian', experiment='htc_nuclei')


def write_evaluating_config(path, records, interval, **trainer):
  """A configuration of one stage and two steps, with an evaluation at the given interval."""
  params = tiny_records.reduced('htc_nuclei', records)
  params.task.model.cascade.stages = params.task.model.cascade.stages[:1]
  intervals = {'checkpoint_interval': interval, 'validation_interval': interval}
  steps = {'train_steps': 2, 'steps_per_loop': 1, 'summary_interval': 1, 'validation_steps': -1}
  return write_config(path, params, **steps, **intervals, **trainer)


def test_the_command_trains_and_evaluates(run, records, tmp_path):
  config = write_evaluating_config(tmp_path / 'config.yaml', records, interval=2)
  folder = run(mode='train_and_eval', experiment='htc_nuclei', config_file=[config])
  assert tf.train.latest_checkpoint(str(folder)).endswith('ckpt-2')
  saved = yaml.safe_load((folder / 'params.yaml').read_text())
  assert saved['task']['model']['num_classes'] == tiny_records.NUM_CLASSES
  assert saved['trainer']['train_steps'] == 2
  assert DatasetInfo.load(str(folder / 'dataset.json')).num_classes == tiny_records.NUM_CLASSES
  assert isinstance(json.loads((folder / 'results' / 'step-2.json').read_text()), list)
  written = {tag for path in folder.rglob('events*') for tag in _tags(path)}
  assert {
    'loss/total_loss',
    'loss/weight_decay',
    'loss/stage0_mask_loss',
    'loss/semantic_loss',
    'accuracy/stage0_accuracy',
    'rate/learning_rate',
    'speed/images_per_second',
    'memory/process_gb',
    'skipped/skipped_records',
    'box/bbox_AP',
    'mask/segm_AP50',
    'box/bbox_AP@6',
  } <= written
  assert not any('validation_loss' in tag for tag in written)


@pytest.fixture(scope='module')
def best(records, tmp_path_factory):
  """A model directory after two evaluations of a run that keeps the best checkpoint."""
  folder = tmp_path_factory.mktemp('best')
  best = {
    'best_checkpoint_export_subdir': 'best',
    'best_checkpoint_eval_metric': 'segm_AP@6',
  }
  config = write_evaluating_config(folder / 'config.yaml', records, interval=1, **best)
  gin.clear_config()
  values = {'mode': 'train_and_eval', 'model_dir': str(folder / 'model'), 'config_file': [config]}
  with flagsaver.flagsaver(experiment='htc_nuclei', **values):
    assert train.main([]) == 0
  return folder / 'model'


def test_the_folder_of_the_best_checkpoint_is_a_model_directory(best, records, tmp_path):
  for name in ('params.yaml', 'dataset.json'):
    assert (best / 'best' / name).read_bytes() == (best / name).read_bytes()
  image = next(pathlib.Path(records).parents[1].glob('train_images/*.png'))
  arguments = [f'--model={best / "best"}', f'--output={tmp_path / "out"}', str(image)]
  assert predict.main(arguments) == 0
  assert json.loads((tmp_path / 'out' / 'images.json').read_text())['categories']
  assert not list((best / 'best').glob('.*'))


def run_on(best, **values):
  gin.clear_config()
  config = [str(best.parent / 'config.yaml')]
  with flagsaver.flagsaver(experiment='htc_nuclei', config_file=config, **values):
    return train.main([])


def test_the_best_checkpoint_can_be_evaluated_again(best, tmp_path):
  shutil.copytree(best / 'best', tmp_path / 'copy')
  assert run_on(best, mode='eval', model_dir=str(tmp_path / 'copy')) == 0
  kept = json.loads((best / 'best' / 'info.json').read_text())
  (path,) = (tmp_path / 'copy' / 'results').glob('*-metrics.json')
  assert json.loads(path.read_text())['bbox_AP'] == pytest.approx(kept['bbox_AP'], abs=1e-6)


def test_a_continuous_evaluation_ends_after_the_last_step(best, caplog):
  """Otherwise it would wait for an hour."""
  assert run_on(best, mode='continuous_eval', model_dir=str(best)) == 0
  assert 'No new checkpoint within' not in caplog.text
  assert 'Waiting up to' not in caplog.text


def test_a_continuous_evaluation_ends_if_the_training_does_not_go_on(best, caplog):
  overrides = 'trainer.train_steps=9,trainer.continuous_eval_timeout=2'
  status = run_on(best, mode='continuous_eval', model_dir=str(best), params_override=overrides)
  assert status == 0
  assert 'No new checkpoint within 2 seconds' in caplog.text


def test_a_continuous_evaluation_of_a_missing_directory_waits_and_ends(best, caplog, tmp_path):
  status = run_on(
    best,
    mode='continuous_eval',
    model_dir=str(tmp_path / 'modle'),
    params_override='trainer.continuous_eval_timeout=2,'
    'trainer.best_checkpoint_export_subdir="",trainer.best_checkpoint_eval_metric=""',
  )
  assert status == 2
  assert 'modle does not exist yet. Waiting up to 2 seconds' in caplog.text
  assert caplog.records[-1].message.startswith('There is no checkpoint to evaluate in')


@pytest.mark.parametrize('mode', ['eval', 'continuous_eval'])
def test_a_file_in_place_of_the_evaluated_directory_is_an_error(best, caplog, tmp_path, mode):
  (tmp_path / 'model').write_text('mine')
  assert run_on(best, mode=mode, model_dir=str(tmp_path / 'model')) == 2
  assert 'model cannot be used. Expected: the directory of a training run' in caplog.text


def _tags(path):
  return {
    value.tag
    for event in tf.compat.v1.train.summary_iterator(str(path))
    for value in event.summary.value
  }


def test_the_configuration_is_written_completely_or_not_at_all(
  run, caplog, records, tmp_path, monkeypatch
):
  def fail_half_way(params, path):
    del params
    pathlib.Path(path).write_text('task:')
    raise OSError('no space left')

  monkeypatch.setattr(hyperparams, 'save_params_dict_to_yaml', fail_half_way)
  (tmp_path / 'model').mkdir()
  (tmp_path / 'model' / 'params.yaml').write_text('old content')
  config = write_config(
    tmp_path / 'config.yaml', tiny_records.reduced('htc_nuclei', records), train_steps=1
  )
  assert_fails(run, caplog, 'no space left', experiment='htc_nuclei', config_file=[config])
  assert (tmp_path / 'model' / 'params.yaml').read_text() == 'old content'
  assert not list((tmp_path / 'model').glob('.params*'))


def test_the_xla_flag_moves_to_the_task():
  params = exp_factory.get_exp_config('htc_resnet50fpn_1x_coco')
  params.runtime.enable_xla = True
  parsing.move_xla_flag(params)
  assert params.task.jit_compile
  assert not params.runtime.enable_xla


def test_the_script_reports_an_error_without_traceback(tmp_path):
  process = subprocess.run(
    [
      sys.executable,
      str(ROOT / 'train.py'),
      '--experiment=htc_resnet50',
      '--mode=train',
      f'--model_dir={tmp_path}',
    ],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  assert process.returncode == 2
  assert 'The experiment is unknown' in process.stderr
  assert 'Traceback' not in process.stderr


def train_with_a_broken_step(run, records, tmp_path, monkeypatch, overrides=''):
  """Train four steps with a checkpoint after each; a box loss of the third step is NaN."""
  calls = tf.Variable(0)
  build_losses = HTCTask.build_losses

  def with_nan(self, *args):
    losses = build_losses(self, *args)
    is_broken = tf.equal(calls.assign_add(1), 3)
    names = ('stage0_box_loss', 'total_loss')
    return {**losses, **{name: tf.where(is_broken, np.nan, losses[name]) for name in names}}

  monkeypatch.setattr(HTCTask, 'build_losses', with_nan)
  params = tiny_records.reduced('htc_nuclei', records)
  params.task.model.cascade.stages = params.task.model.cascade.stages[:1]
  config = write_config(
    tmp_path / 'config.yaml',
    params,
    train_steps=4,
    steps_per_loop=1,
    summary_interval=1,
    checkpoint_interval=1,
  )
  return run(experiment='htc_nuclei', config_file=[config], params_override=overrides)


def assert_finite_checkpoint(folder, step):
  latest = tf.train.latest_checkpoint(str(folder))
  assert latest.endswith(f'ckpt-{step}')
  reader = tf.train.load_checkpoint(latest)
  names = [name for name in reader.get_variable_to_shape_map() if name.startswith('model')]
  assert names and all(np.isfinite(reader.get_tensor(name)).all() for name in names)


def test_a_step_that_is_not_finite_stops_with_the_last_checkpoint_intact(
  run, records, tmp_path, monkeypatch, caplog
):
  with pytest.raises(SystemExit) as stop:
    train_with_a_broken_step(run, records, tmp_path, monkeypatch)
  assert stop.value.code == 1
  message = caplog.records[-1].message
  assert (
    message.startswith('The loss or a gradient of step 3 is not finite, image ids ')
    and '\n' not in message
  )
  assert 'Got: stage0_box_loss = nan, total_loss = nan' in message
  assert_finite_checkpoint(tmp_path / 'model', 2)


def test_a_step_that_is_not_finite_can_be_skipped(run, records, tmp_path, monkeypatch, caplog):
  folder = train_with_a_broken_step(
    run, records, tmp_path, monkeypatch, 'task.skip_non_finite_steps=true'
  )
  assert (
    'Skipped (1 so far): The loss or a gradient of step 3 is not finite, image ids ' in caplog.text
  )
  assert_finite_checkpoint(folder, 4)
  assert figures(folder, 'skipped/skipped_steps') == {1: 0, 2: 0, 3: 1, 4: 1}
  losses = figures(folder, 'loss/stage0_box_loss')
  assert losses[3] == 0 and all(losses[step] > 0 for step in (1, 2, 4))


def figures(folder, tag):
  """Values of a tag by step."""
  return {
    event.step: float(tf.make_ndarray(value.tensor))
    for path in folder.rglob('events*')
    for event in tf.compat.v1.train.summary_iterator(str(path))
    for value in event.summary.value
    if value.tag == tag
  }


def change_records(path, change):
  """Rewrite a shard after calling `change` with number and features of each example."""
  examples = [
    tf.train.Example.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(path))
  ]
  with tf.io.TFRecordWriter(str(path)) as writer:
    for number, example in enumerate(examples):
      change(number, example.features.feature)
      writer.write(example.SerializeToString())


def damage_some(number, features):
  """Break the image of record 1, and put a NaN into a box of record 0."""
  if number == 1:
    features['image/encoded'].bytes_list.value[0] = b'no image'
  if number == 0:
    features['image/object/bbox/ymin'].float_list.value[0] = np.nan


def test_damaged_data_is_skipped_and_counted_in_training_and_evaluation(run, tmp_path, caplog):
  pattern = tiny_records.write(tmp_path)
  (shard,) = (tmp_path / 'records').glob('*.tfrecord')
  change_records(shard, damage_some)
  shard.with_name('train-cut.tfrecord').write_bytes(shard.read_bytes()[:-10])
  params = tiny_records.reduced('htc_nuclei', pattern)
  params.task.model.cascade.stages = params.task.model.cascade.stages[:1]
  config = write_config(
    tmp_path / 'config.yaml',
    params,
    train_steps=3,
    steps_per_loop=1,
    summary_interval=1,
    checkpoint_interval=3,
    validation_interval=3,
    validation_steps=-1,
  )
  folder = run(
    mode='train_and_eval',
    experiment='htc_nuclei',
    config_file=[config],
    params_override='task.train_data.shuffle_buffer_size=20',
  )
  assert_finite_checkpoint(folder, 3)
  assert 'image id 2: cannot be parsed' in caplog.text
  assert 'train-cut.tfrecord: truncated or damaged after' in caplog.text
  assert 'image id 1: 1 instances. So far 1 instances without a usable box' in caplog.text
  for name, number in (('skipped_shards', 1), ('skipped_records', 1)):
    assert figures(folder / 'train', f'skipped/{name}')[3] == number
    assert figures(folder / 'validation', f'skipped/{name}') == {3: number}
  assert figures(folder / 'train', 'skipped/skipped_instances')[3] == 1


def test_data_without_any_usable_record_is_an_error_before_training(run, tmp_path, caplog):
  pattern = tiny_records.write(tmp_path)
  for path in (tmp_path / 'records').glob('*.tfrecord'):
    path.write_bytes(path.read_bytes()[:100])
  config = write_config(
    tmp_path / 'config.yaml', tiny_records.reduced('htc_nuclei', pattern), train_steps=1
  )
  assert_fails(
    run, caplog, 'The data cannot be used', experiment='htc_nuclei', config_file=[config]
  )
  assert 'truncated or damaged after 0 of 100 bytes' in caplog.records[-1].message
  assert not tf.train.latest_checkpoint(str(tmp_path / 'model'))
