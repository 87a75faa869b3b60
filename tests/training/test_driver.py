"""Tests of the driver: workers train, evaluate and save together, and continue after a kill."""

import contextlib
import json
import logging
import pathlib
import re
import signal

import numpy as np
import orbit
import pytest
import tensorflow as tf
import tf_keras
from official.core import exp_factory

from benchmarks import local_workers
from htc_tf.checkpoints import readability
from htc_tf.configs.model import published_stages
from htc_tf.training import cluster, controller, driver, run_record
from htc_tf.training.early_stopping import EarlyStopping
from tests import evaluable_run, tiny_records, training_runs, worker_processes

STRATEGY = {'runtime': {'distribution_strategy': cluster.STRATEGY}}
MOMENTUM = 0.9


class Workers:
  """Two processes of the training command, with their logs and temporary folder."""

  def __init__(self, folder, config, model_dir, mode, overrides=''):
    self._log_paths = [folder / f'worker{index}.log' for index in range(2)]
    self._temporary = folder / 'temporary'
    self._temporary.mkdir(parents=True)
    with contextlib.ExitStack() as stack:
      self.processes = [
        training_runs.start(
          model_dir,
          config,
          overrides,
          mode,
          stdout=stack.enter_context(path.open('w')),
          flags=['--verbosity=1'],  # All workers show their figures.
          env={**environment, 'TMPDIR': str(self._temporary)},
        )
        for environment, path in zip(local_workers.environments(), self._log_paths)
      ]

  def logs(self):
    return [path.read_text() for path in self._log_paths]

  def finish(self):
    """Wait until both have ended without error, and return their logs."""
    statuses = worker_processes.wait(self.processes)
    assert statuses == [0, 0], '\n'.join(log[-5000:] for log in self.logs())
    assert not list(self._temporary.iterdir())
    return self.logs()


def logged_figures(log):
  """Losses by ('train', step) and AP by ('eval', step), as texts from a log."""
  found = re.findall(r'\] (evaluation at )?step (\d+): (\{.*?\})', log)
  return {('eval' if kind else 'train', int(step)): values for kind, step, values in found}


def local_means(norm):
  """The running mean of each replica."""
  return [float(value.numpy()[0]) for value in norm.moving_mean.values]


class StatisticsEvaluator(orbit.AbstractEvaluator):
  """An evaluator that only keeps the running mean of each replica, in `seen`."""

  def __init__(self, model):
    self.model = model

  def evaluate(self, num_steps):
    self.seen = local_means(self.model)


def test_evaluation_uses_the_mean_of_the_replicas_statistics(two_replicas, tmp_path):
  with two_replicas.scope():
    norm = tf_keras.layers.BatchNormalization(momentum=0.0)
    norm.build([None, 1])
    step = tf.Variable(0, dtype=tf.int64)
  images = two_replicas.experimental_distribute_values_from_function(
    lambda context: tf.fill([4, 1], 2.0 + 4.0 * context.replica_id_in_sync_group)
  )
  two_replicas.run(lambda x: norm(x, training=True), args=(images,))
  assert local_means(norm) == [2.0, 6.0]
  evaluator = StatisticsEvaluator(norm)
  loop = controller.Controller(
    evaluator=evaluator, strategy=two_replicas, global_step=step, eval_summary_dir=str(tmp_path)
  )
  with two_replicas.scope():
    loop.evaluate()
  assert evaluator.seen == [4.0, 4.0]


@pytest.mark.parametrize(
  'experiment,advice',
  [
    ('htc_nuclei', 'raise trainer.train_steps to go on'),
    ('htc_nano', '--weights=old/model with a new --model_dir'),  # Its learning rate has become 0.
  ],
)
def test_a_finished_run_says_how_to_train_its_weights_further(experiment, advice, caplog):
  caplog.set_level(logging.INFO, logger='absl')
  params = exp_factory.get_exp_config(experiment)
  steps, stopping = params.trainer.train_steps, EarlyStopping('segm_AP', 0)
  assert driver._is_finished('train', 'old/model', params, steps, stopping)
  (message,) = caplog.messages
  assert message.startswith(f'{steps} of {steps} steps done; ') and advice in message
  assert not driver._is_finished('train', 'old/model', params, steps - 1, stopping)


def test_two_workers_evaluate_like_one_device(tmp_path):
  """One worker has two of three images; both report figures of all three, each counted once."""
  run = evaluable_run.make(tmp_path, **STRATEGY)
  logs = Workers(tmp_path, run.config, run.model_dir, 'eval').finish()
  stem = run.model_dir / 'results' / f'step-{evaluable_run.STEP}'
  figures = json.loads(pathlib.Path(f'{stem}-metrics.json').read_text())
  assert figures == pytest.approx(run.figures, abs=1e-6)
  for log in logs:
    for name in ('bbox_AP', 'segm_AP'):
      assert f"'{name}': {figures[name]}" in log
    assert 'Evaluation of 3 images' in log
    assert 'annotated images were not predicted' not in log


def optimizer_state(model_dir, step):
  """(number of updates, momentum by variable) in a checkpoint."""
  saved = training_runs.tensors(str(model_dir / f'ckpt-{step}'))
  momenta = {key: value for key, value in saved.items() if '.OPTIMIZER_SLOT' in key}
  (updates,) = (int(value) for key, value in saved.items() if 'optimizer/iter' in key)
  assert any(np.any(value) for value in momenta.values()), sorted(saved)
  return updates, momenta


def write_config(path, records, zero_from=100000):
  """A configuration of one stage without masks that saves every step and evaluates at the end.

  It keeps the best checkpoint, which all workers save together. The learning rate is 0 from the
  step `zero_from` on.
  """
  model = {
    'include_mask': False,
    'semantic_head': {'enabled': False},
    'cascade': {'stages': [published_stages()[0].as_dict()]},
  }
  return training_runs.write_config(
    path,
    records,
    100000,
    {
      **STRATEGY,
      'task': {'seed': 5, 'model': model},
      'trainer': {
        'best_checkpoint_export_subdir': 'best',
        'optimizer_config': {
          'learning_rate': {'stepwise': {'values': [0.01, 0.0], 'boundaries': [zero_from]}},
          'warmup': {'type': None},
        },
      },
    },
  )


def train_until(model_dir, step, folder, config, kill):
  """Train until a checkpoint is saved, call `kill`, and return the last saved step."""
  workers = Workers(folder, config, model_dir, 'train_and_eval')
  saved = model_dir / f'ckpt-{step}.index'
  statuses = worker_processes.wait(workers.processes, until=saved.exists)
  assert statuses == [None, None], workers.logs()[0][-5000:]
  kill(workers)
  steps = [int(index.stem.rpartition('-')[2]) for index in model_dir.glob('ckpt-*.index')]
  return max(step for step in steps if readability.is_readable(str(model_dir / f'ckpt-{step}')))


def kill_both(workers):
  assert worker_processes.kill(workers.processes) == [-signal.SIGKILL] * 2


def assert_complete(model_dir, num_starts):
  """Fail if a file is incomplete, or was written by a worker other than the chief."""
  for index in model_dir.glob('ckpt-*.index'):
    assert readability.is_readable(str(index.with_suffix('')))
  for path in model_dir.rglob('*.json'):
    json.loads(path.read_text())
  names = {
    re.sub(r'\d+', 'N', path.name)
    for path in model_dir.iterdir()
    if not path.name.startswith('damaged-')
  }
  assert names == {
    'best',
    'checkpoint',
    'ckpt-N.index',
    'ckpt-N.data-N-of-N',
    'dataset.json',
    'model_card.md',
    'operative_config.train_and_eval.gin',
    'params.yaml',
    'results',
    'results.csv',
    'results.png',
    'run.json',
    'train',
    'validation',
  }
  assert len(list((model_dir / 'train').iterdir())) == num_starts
  assert len(list((model_dir / 'validation').iterdir())) == 1


def assert_continues(tmp_path, records, reached):
  """Fail unless a run continues from the last step reached, with its momentum.

  The learning rate of the two further steps is 0, so that they only decay the momentum.
  """
  model_dir, end, num_starts = tmp_path / 'model', reached[-1] + 2, len(reached)
  config = write_config(tmp_path / 'zero_rate.yaml', records, zero_from=reached[-1])
  _, before = optimizer_state(model_dir, reached[-1])
  logs = Workers(
    tmp_path / 'last', config, model_dir, 'train_and_eval', f'trainer.train_steps={end}'
  ).finish()
  assert ', 2 replicas, float32' in logs[0]
  updates, after = optimizer_state(model_dir, end)
  assert updates == end
  for name, value in before.items():
    np.testing.assert_allclose(
      after[name], MOMENTUM**2 * value, rtol=1e-5, atol=1e-30, err_msg=name
    )
  assert [start['step'] for start in run_record.read_starts(str(model_dir))] == [0, *reached]
  chief, other = map(logged_figures, logs)
  assert set(chief) == {*(('train', step) for step in (end - 1, end)), ('eval', end)}
  assert other == chief
  assert_complete(model_dir, num_starts + 1)
  training_runs.assert_same(
    training_runs.tensors(str(model_dir / 'best' / f'best_ckpt-{end}')),
    training_runs.tensors(str(model_dir / f'ckpt-{end}')),
  )
  assert_same_evaluation(config, tmp_path, model_dir / 'results', end)


def assert_same_evaluation(config, tmp_path, results, step):
  """Fail unless one device detects with the chief's checkpoint what the workers detected."""
  alone = evaluable_run.evaluate(
    tf.distribute.OneDeviceStrategy('CPU:0'), config, tmp_path / 'model', tmp_path
  )

  def order(row):
    return (row['image_id'], -row['score'])

  detected = sorted(json.loads((results / f'step-{step}.json').read_text()), key=order)
  expected = sorted(alone.results, key=order)
  assert {row['image_id'] for row in detected} == {1, 2, 3}
  assert [row['image_id'] for row in detected] == [row['image_id'] for row in expected]
  for row, expected_row in zip(detected, expected):
    assert row['score'] == pytest.approx(expected_row['score'], abs=1e-5)
    assert row['bbox'] == pytest.approx(expected_row['bbox'], abs=1e-2)
  figures = json.loads((results / f'step-{step}-metrics.json').read_text())
  assert figures == pytest.approx(alone.figures, abs=1e-6)


def test_two_workers_continue_after_both_were_killed(tmp_path):
  records = tiny_records.write(tmp_path, num_images=3)
  config = write_config(tmp_path / 'config.yaml', records)
  reached = train_until(tmp_path / 'model', 2, tmp_path / 'first', config, kill_both)
  assert_continues(tmp_path, records, [reached])


def kill_one(index):
  """A function that kills one worker; the other one must end by itself and log the reason."""

  def kill(workers):
    worker_processes.kill([workers.processes[index]])
    other = 1 - index
    assert worker_processes.wait([workers.processes[other]])[0] > 0
    assert 'Another worker ended or cannot be reached' in workers.logs()[other]

  return kill


@pytest.mark.slow
@pytest.mark.parametrize('index', [0, 1])
def test_a_worker_ends_by_sigterm(tmp_path, index):
  """TensorFlow's own handler of SIGTERM for workers would only take note of it."""
  records = tiny_records.write(tmp_path, num_images=3)
  config = write_config(tmp_path / 'config.yaml', records)

  def terminate(workers):
    workers.processes[index].terminate()
    statuses = worker_processes.wait(workers.processes)
    assert statuses[index] == 128 + signal.SIGTERM and statuses[1 - index] > 0
    assert 'interrupted' in workers.logs()[index].lower()

  assert train_until(tmp_path / 'model', 1, tmp_path / 'ended', config, terminate) >= 1


@pytest.mark.slow
def test_two_workers_continue_after_one_was_killed(tmp_path):
  records = tiny_records.write(tmp_path, num_images=3)
  config = write_config(tmp_path / 'config.yaml', records)
  reached = []
  for index in (1, 0):
    step = reached[-1] + 1 if reached else 1
    reached.append(
      train_until(tmp_path / 'model', step, tmp_path / f'killed{index}', config, kill_one(index))
    )
  assert_continues(tmp_path, records, reached)
