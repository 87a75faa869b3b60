"""Tests of the training command on model directories with a run, and of its interruption."""

import json
import logging
import pathlib
import re
import shutil
import signal

import pytest
import tensorflow as tf
import yaml
from official.modeling import hyperparams

from tests import tiny_records, training_runs
from tests.cli import small_trainings


def test_a_second_run_continues_is_finished_or_is_refused_without_a_trace(
  run, caplog, records, tmp_path
):
  """One directory: a training, the same command again, a longer one, then others that differ."""
  params = tiny_records.reduced('htc_nuclei', records)
  trainer = {'steps_per_loop': 1, 'summary_interval': 1, 'validation_steps': 1}
  config = small_trainings.write_config(tmp_path / 'config.yaml', params, train_steps=1, **trainer)
  caplog.set_level(logging.INFO, logger='absl')

  def start(mode='train', override='trainer.max_to_keep=3'):
    return run(mode=mode, experiment='htc_nuclei', config_file=[config], params_override=override)

  folder = start()
  assert '1 steps of 2 images = 1.0 epochs of 2 training images' in caplog.text
  before = small_trainings.files_of(folder)
  start()
  assert '1 of 1 steps done; raise trainer.train_steps to go on' in caplog.text
  assert small_trainings.files_of(folder) == before
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
  before = small_trainings.files_of(folder)
  for override, message in (
    ('task.train_data.global_batch_size=1', 'global_batch_size: 2 before, 1 now'),
    ('task.model.cascade.stages=[{iou_threshold: 0.5}]', 'stages (number): 3 before, 1 now'),
    ('trainer.optimizer_config.optimizer.sgd.momentum=0.5', 'momentum: 0.9 before, 0.5 now'),
  ):
    small_trainings.assert_fails(
      run,
      caplog,
      message,
      experiment='htc_nuclei',
      config_file=[config],
      params_override=f'{override},trainer.train_steps=9',
    )
  assert small_trainings.files_of(folder) == before


@pytest.mark.slow
def test_records_of_some_of_the_categories_continue_a_run(run, caplog, records, tmp_path):
  """They get the labels of the model, whose categories stay those of the directory."""
  caplog.set_level(logging.INFO, logger='absl')
  config = small_trainings.write_config(
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
  config = small_trainings.write_config(tmp_path / 'config.yaml', params, train_steps=1, **trainer)
  folder = run(experiment='htc_nuclei', config_file=[config])
  (folder / 'params.yaml').unlink()
  before = small_trainings.files_of(folder)
  for mode in ('train', 'eval'):
    small_trainings.assert_fails(
      run,
      caplog,
      'ckpt-1 has another configuration',
      mode=mode,
      experiment='htc_nuclei',
      config_file=[config],
      params_override='trainer.train_steps=2,task.model.box_head.fc_dims=48',
    )
  assert small_trainings.files_of(folder) == before


@pytest.mark.parametrize(
  'signal_number', [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_an_interruption_saves_a_checkpoint(tmp_path, records, signal_number):
  """The line says where the run continues, and the checkpoint is that of the last step."""
  trainer = {'checkpoint_interval': 100000}
  config = training_runs.write_config(
    tmp_path / 'config.yaml', records, num_steps=100000, overrides={'trainer': trainer}
  )
  last, lock = 0, tmp_path / 'model' / '.training.lock'
  for _start in range(2):  # The second start continues from the checkpoint of the first one.
    process = training_runs.start(tmp_path / 'model', config)
    output = [process.stdout.readline()]
    while output[-1] and 's/step' not in output[-1]:
      output.append(process.stdout.readline())
    assert lock.exists()
    process.send_signal(signal_number)
    status, rest = training_runs.finish(process)
    assert not lock.exists()
    assert status == 128 + signal_number, ''.join(output)[-3000:] + rest
    assert 'Traceback' not in rest
    (saved,) = map(int, re.findall(r'interrupted: saved step (\d+) as .*ckpt-\1; the same', rest))
    assert saved > last
    last = saved
  state = training_runs.tensors(str(tmp_path / 'model' / f'ckpt-{last}'))
  assert [int(v) for k, v in state.items() if k.startswith('global_step')] == [last]


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
  config = small_trainings.write_config(
    tmp_path / 'config.yaml', tiny_records.reduced('htc_nuclei', records), train_steps=1
  )
  small_trainings.assert_fails(
    run, caplog, 'no space left', experiment='htc_nuclei', config_file=[config]
  )
  assert (tmp_path / 'model' / 'params.yaml').read_text() == 'old content'
  assert not list((tmp_path / 'model').glob('.params*'))
