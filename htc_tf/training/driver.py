"""Runs of an experiment with Model Garden's loop, in one process or in the workers of `TF_CONFIG`.

Model Garden's driver is unsuited to several workers: all of them write to the model directory, and
all except the first one, the chief, look for checkpoints in an empty folder. After a restart they
therefore begin at step 0 with new weights, while the chief continues. Here only the chief writes to
the model directory, and all workers continue from its checkpoint.
"""

import contextlib
import os
import random
import signal
import tempfile
import threading
from collections.abc import Callable
from typing import Any

import gin
import tensorflow as tf
from absl import flags, logging
from official.common import distribute_utils
from official.core import base_task, task_factory, train_utils
from official.core import config_definitions as cfg

from htc_tf import file_systems, worker_exchange
from htc_tf.checkpoints import last_good
from htc_tf.configs.trainer import best_metric
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.errors import CheckpointError
from htc_tf.modeling import precision
from htc_tf.training import cluster, console, run_card, run_start, runners, seeding, summary
from htc_tf.training.early_stopping import EarlyStopping
from htc_tf.training.results_table import ResultsTable
from htc_tf.training.run_log import RunLog


def run(flags_obj: flags.FlagValues, params: cfg.ExperimentConfig, command: list[str]) -> None:
  """Train or evaluate, in the only process or as one of the workers.

  Args:
    flags_obj: Model Garden's flags; `mode`, `model_dir`, `enable_async_checkpointing` and the flags
      of gin are used.
    params: the experiment; values that must be equal on all workers are set in it.
    command: the command line.

  Raises:
    ConfigError: `TF_CONFIG` is missing or wrong, or names workers that the strategy leaves out; or
      the workers cannot run with the mode or a batch size.
    HTCError: the run cannot start; with several workers, all of them raise the chief's error.
    CheckpointError: this worker does not see the chief's checkpoint.
  """
  runtime = params.runtime
  has_workers = runtime.distribution_strategy == cluster.STRATEGY
  cluster.check_devices(runtime)
  if has_workers:
    cluster.check_workers(params, flags_obj.mode)
    # With this option, Model Garden saves a checkpoint after SIGTERM instead of ending.
    params.trainer.preemption_on_demand_checkpoint = False
  else:
    cluster.check_alone(runtime, flags_obj.mode)
  gin.parse_config_files_and_bindings(flags_obj.gin_file, flags_obj.gin_params)
  # TensorFlow can connect to the other workers only before it has run an operation.
  strategy = distribute_utils.get_distribution_strategy(
    runtime.distribution_strategy,
    num_gpus=runtime.num_gpus,
    all_reduce_alg=runtime.all_reduce_alg,
    tpu_address=runtime.tpu,
  )
  _keep_sigterm()
  cluster.check_batches(params, flags_obj.mode, strategy.num_replicas_in_sync)
  cluster.check_compiled_norms(params, flags_obj.mode, strategy.num_replicas_in_sync)
  if runtime.mixed_precision_dtype:
    precision.choose(runtime.mixed_precision_dtype)
  try:
    with contextlib.ExitStack() as held:
      _run_in(strategy, flags_obj, params, command, held)
    if has_workers:
      logging.info(
        'This run is complete. Messages of TensorFlow after this line, about tasks that crashed or '
        'cannot be reached, are about workers that have ended.'
      )
  except tf.errors.UnavailableError:
    if has_workers:
      logging.error(
        'Another worker ended or cannot be reached, so this one ends too. The log of the first '
        'worker that ended has the reason. Start all workers again: they continue from the last '
        'checkpoint.'
      )
    raise


def _keep_sigterm() -> None:
  """Give SIGTERM back to Python's handler.

  When workers connect, TensorFlow installs a handler of its own, which only takes note of the
  signal, so that the process would go on for ever.
  """
  if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))


def _run_in(
  strategy: tf.distribute.Strategy,
  flags_obj: flags.FlagValues,
  params: cfg.ExperimentConfig,
  command: list[str],
  held: contextlib.ExitStack,
) -> None:
  """Run with a strategy.

  Args:
    strategy: the strategy.
    flags_obj: see `run`.
    params: the experiment.
    command: the command line.
    held: receives what the chief reserves until the end.
  """
  mode, model_dir = flags_obj.mode, flags_obj.model_dir
  with strategy.scope():
    prefix = _start_together(mode, model_dir, params, held)
  step = last_good.step_of(prefix)
  stopping = None
  if 'train' in mode:
    with strategy.scope():
      stopping = _evaluations_so_far(mode, model_dir, params, step)
    if _is_finished(mode, model_dir, params, step, stopping):
      if 'eval' not in mode:
        return
      mode, stopping = 'eval', None

  def record_start() -> None:
    if 'train' in mode:
      run_start.record(model_dir, params, command, step)

  arguments = {'distribution_strategy': strategy, 'mode': mode, 'params': params}
  is_chief = strategy.extended.should_checkpoint
  if stopping is not None:
    data = params.task.train_data
    info = DatasetInfo.find(data.input_path)
    num_images = info.num_training_images(data.published_selection)
    arguments['run_log'] = RunLog(
      params, num_images, step, stopping, model_dir if is_chief else None
    )
  if is_chief:
    _run_chief(strategy, flags_obj, prefix, record_start, arguments)
  else:
    _run_follower(strategy, prefix, record_start, arguments)


def _evaluations_so_far(
  mode: str, model_dir: str, params: cfg.ExperimentConfig, step: int
) -> EarlyStopping:
  """The evaluations of earlier starts up to a step, which the chief knows from the table."""
  trainer = params.trainer
  metric = best_metric(trainer, params.task.model.include_mask)
  history = worker_exchange.from_chief(lambda: ResultsTable(model_dir, step).values(metric))
  # Only this mode evaluates during the training.
  patience = trainer.patience if mode == 'train_and_eval' else 0
  return EarlyStopping(metric, patience, trainer.best_checkpoint_metric_comp, history)


def _is_finished(
  mode: str, model_dir: str, params: cfg.ExperimentConfig, step: int, stopping: EarlyStopping
) -> bool:
  """Whether nothing is left to do, which is then logged with what to do to go on."""
  num_steps = params.trainer.train_steps
  if step == num_steps and mode == 'train_and_eval' and stopping.last_step != step:
    return False  # The run ended in the last evaluation, which may be that of the best checkpoint.
  if step >= num_steps:
    logging.info('%d of %d steps done; %s', step, num_steps, _how_to_go_on(params, model_dir))
    return True
  if stopping.stops:
    logging.info(
      'This run stopped early, at step %d of %d: %s', step, num_steps, stopping.describe()
    )
    return True
  return False


def _how_to_go_on(params: cfg.ExperimentConfig, model_dir: str) -> str:
  """What to do to train a finished run further."""
  if params.trainer.optimizer_config.learning_rate.type == 'stepwise':
    return 'raise trainer.train_steps to go on'
  # A cosine, for example, has fallen to 0.
  return (
    'the learning rate is at its end, so that more steps would change nothing. To train these '
    f'weights further, start a new run from them: --weights={model_dir} with a new --model_dir'
  )


def _start_together(
  mode: str, model_dir: str, params: cfg.ExperimentConfig, held: contextlib.ExitStack
) -> str | None:
  """Prefix of the checkpoint that all workers continue from, if any.

  The chief checks and prepares the model directory.
  """

  def prepare() -> str | None:
    prefix = run_start.prepare(mode, model_dir, params, held)
    return prefix and os.path.basename(prefix)

  name = worker_exchange.from_chief(prepare)
  if 'train' in mode:
    data = params.task.train_data
    labels = worker_exchange.from_chief(lambda: [data.label_map, data.semantic_label_map])
    data.label_map, data.semantic_label_map = labels
  prefix = name and os.path.join(model_dir, name)
  if 'train' in mode:
    if params.runtime.distribution_strategy == cluster.STRATEGY:
      _share_data_order(params)
    step = last_good.step_of(prefix)
    seeding.fix_seeds(params, step)
    seeding.continue_permutations(params, model_dir, step)
  return prefix


def _share_data_order(params: cfg.ExperimentConfig) -> None:
  """Set one seed for the order of files on all workers; otherwise their shares would overlap."""
  if params.task.train_data.seed is None and params.task.seed is None:
    params.task.train_data.seed = worker_exchange.from_chief(
      lambda: random.randrange(seeding.SEED_LIMIT)
    )


def _run_chief(
  strategy: tf.distribute.Strategy,
  flags_obj: flags.FlagValues,
  prefix: str | None,
  record_start: Callable[[], None],
  arguments: dict[str, Any],
) -> None:
  """Run the experiment as the chief or the only process.

  The start is recorded after the model was built and restored, so that a run that cannot start
  leaves the model directory as it is.
  """
  params, model_dir = arguments['params'], flags_obj.model_dir
  runner = runners.Runner(
    prefix,
    task=_build_task(strategy, params, model_dir),
    model_dir=model_dir,
    enable_async_checkpointing=flags_obj.enable_async_checkpointing,
    **arguments,
  )
  with strategy.scope():
    worker_exchange.from_chief(record_start)
  run_log = arguments.get('run_log')
  if run_log is not None:
    summary.log_start(
      flags_obj.experiment,
      params,
      runner.trainer.model,
      model_dir,
      strategy.num_replicas_in_sync,
    )
  runner.run()
  if run_log is not None:
    run_log.finish()
    step = int(runner.trainer.global_step.numpy())
    run_card.write(model_dir, flags_obj.experiment, params, step, runner.best)
    summary.log_end(step, params, run_log, model_dir, runner.best)
  train_utils.save_gin_config(arguments['mode'], model_dir)


def _run_follower(
  strategy: tf.distribute.Strategy,
  prefix: str | None,
  record_start: Callable[[], None],
  arguments: dict[str, Any],
) -> None:
  """Run the experiment as a worker that is not the chief, in a temporary folder.

  If the process is killed, the folder `htc-worker-*` stays in the system's temporary folder.
  """
  if prefix and not file_systems.exists(f'{prefix}.index'):
    raise CheckpointError(
      'The checkpoint that the chief continues from is not visible to this worker',
      expected=prefix,
      got='no such file',
      likely_cause='a model directory that is not on storage that all workers share',
    )
  logging.info('This worker follows the chief, which reports; here only warnings are shown')
  console.show_only_warnings()
  with tempfile.TemporaryDirectory(prefix='htc-worker-') as folder:
    task = _build_task(strategy, arguments['params'], None)
    runner = runners.FollowerRunner(prefix, task=task, model_dir=folder, **arguments)
    with strategy.scope():
      worker_exchange.from_chief(record_start)
    runner.run()


def _build_task(
  strategy: tf.distribute.Strategy, params: cfg.ExperimentConfig, logging_dir: str | None
) -> base_task.Task:
  with strategy.scope():
    return task_factory.get_task(params.task, logging_dir=logging_dir)
