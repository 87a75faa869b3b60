"""What the fields of Model Garden's classes do in this package, in its own words.

Model Garden declares these fields; some of them have no effect here, or are refused.
"""

from official.core import config_definitions as cfg
from official.modeling.hyperparams import base_config
from official.modeling.optimization.configs import learning_rate_config as rate_config
from official.modeling.optimization.configs import optimization_config, optimizer_config
from official.vision.configs import common, maskrcnn

IGNORED = '**No effect here**'
REFUSED = '**Refused**'
_TPU = f'{IGNORED}: an option for TPUs, which are refused.'
_TFDS = f'{IGNORED}: data come from `input_path`.'
_SERVICE = 'tf.data service: '
_OFFSET = 'number of steps that the schedule waits before it begins; -1 begins one step earlier'
_NAME = 'name of the TensorFlow object'

NOTES: dict[type[base_config.Config], dict[str, str]] = {
  cfg.TaskConfig: {
    'name': 'name of the task object',
    'allow_image_summary': f'{IGNORED}: `trainer.num_pictures` writes pictures.',
    'differential_privacy_config': 'noise on gradients; null for none. Deprecated in Model Garden, '
    'and not tested here',
  },
  cfg.DataConfig: {
    'tfds_name': f'{REFUSED} beside `input_path`, which is needed.',
    'tfds_split': _TFDS,
    'tfds_data_dir': _TFDS,
    'tfds_as_supervised': _TFDS,
    'tfds_skip_decoding_feature': _TFDS,
    'cache': 'whether Model Garden keeps the records in memory; they are augmented anew in each '
    'epoch',
    'cycle_length': 'number of files that are read in turn; null: chosen by tf.data',
    'block_length': 'number of records that are read from a file before the next file has its turn',
    'ram_budget': 'memory of the pipeline in GB; null: half of what is free',
    'deterministic': 'whether the order of records is fixed; `task.seed` sets it',
    'sharding': 'whether each worker of several reads its own share of the files',
    'enable_tf_data_service': f'{_SERVICE}whether it is used. Damaged records then end a run',
    'tf_data_service_address': f'{_SERVICE}its address; also the flag `--tf_data_service`',
    'tf_data_service_job_name': f'{_SERVICE}name of the job',
    'enable_shared_tf_data_service_between_parallel_trainers': f'{_SERVICE}whether several '
    'trainings share it; not tested here',
    'apply_tf_data_service_before_batching': f'{_SERVICE}whether batches are made after it; not '
    'tested here',
    'trainer_id': f'{_SERVICE}name of this training among those that share it',
    'seed': 'seed of the order and of the augmentations; `task.seed` sets it',
    'prefetch_buffer_size': 'number of batches that are prepared ahead; null: chosen by tf.data',
    'autotune_algorithm': "name of tf.data's rule for buffers and threads; null: its own choice",
  },
  cfg.TrainerConfig: {
    'train_tf_while_loop': 'whether the steps between two reports are one TensorFlow loop. The '
    'experiments have false: a loop in Python, which can be interrupted after any step, or with '
    'several replicas after at most ten',
    'train_tf_function': 'whether a training step is a graph; false is slow and for debugging',
    'eval_tf_function': 'the same for evaluation',
    'eval_tf_while_loop': 'whether the steps of an evaluation are one TensorFlow loop; not tested '
    'here',
    'allow_tpu_summary': _TPU,
    'steps_per_loop': 'number of steps between two reports',
    'summary_interval': 'number of steps between two entries for TensorBoard; a multiple of '
    '`steps_per_loop`',
    'checkpoint_interval': 'number of steps between two checkpoints',
    'max_to_keep': 'number of checkpoints that are kept, the newest ones',
    'continuous_eval_timeout': 'seconds that `--mode=continuous_eval` waits for a checkpoint',
    'train_steps': 'number of training steps',
    'validation_steps': 'number of batches of an evaluation; -1 for all images',
    'validation_interval': 'number of steps between two evaluations',
    'best_checkpoint_export_subdir': 'folder in the model directory for the best checkpoint, such '
    'as `best`; empty: it is not kept',
    'best_checkpoint_eval_metric': 'figure that decides which checkpoint is best, such as '
    '`segm_AP`; empty: mask AP, or box AP without masks',
    'best_checkpoint_metric_comp': 'whether a higher or a lower figure is better',
    'loss_upper_bound': 'total loss above which a run stops',
    'recovery_begin_steps': 'step from which on `loss_upper_bound` counts',
    'recovery_max_trials': 'number of times that a run goes back to its last checkpoint instead of '
    'stopping. Not together with averaged weights; `task.skip_non_finite_steps` is the way here',
    'validation_summary_subdir': 'folder in the model directory for the entries of evaluations',
    'preemption_on_demand_checkpoint': f'{IGNORED}: the driver sets false with several workers, '
    'and one process saves a checkpoint in any case.',
  },
  cfg.RuntimeConfig: {
    'distribution_strategy': '`one_device`, `mirrored` (GPUs of one machine), '
    '`multi_worker_mirrored` (several machines) or `off`; `tpu` and `parameter_server` are refused',
    'enable_xla': 'whether XLA compiles the forward and backward pass, on any device; moved to '
    '`task.jit_compile`',
    'gpu_thread_mode': f'{IGNORED}.',
    'dataset_num_private_threads': f'{IGNORED}.',
    'per_gpu_thread_count': f'{IGNORED}.',
    'tpu': f'{REFUSED}: TPUs are not supported.',
    'num_gpus': 'number of GPUs; 0 for the CPU',
    'worker_hosts': f'{IGNORED}: `TF_CONFIG` names the workers.',
    'task_index': f'{IGNORED}: `TF_CONFIG` names the worker.',
    'all_reduce_alg': 'how GPUs sum gradients; null: chosen by TensorFlow',
    'num_packs': f'{IGNORED}.',
    'mixed_precision_dtype': '`float32`, `bfloat16`, `float16` or `bfloat16_features`; null as '
    '`float32`',
    'loss_scale': 'factor on the loss with `float16`; null is `dynamic`; refused with other types',
    'run_eagerly': f'{IGNORED}: `trainer.train_tf_function=false` does it.',
    'batchnorm_spatial_persistent': f'{IGNORED}.',
    'tpu_enable_xla_dynamic_padder': _TPU,
    'num_cores_per_replica': _TPU,
    'default_shard_dim': _TPU,
    'use_tpu_mp_strategy': _TPU,
  },
  common.NormActivation: {
    'activation': "activation of Model Garden's parts",
    'use_sync_bn': 'whether batch norm counts the images of all replicas',
    'norm_momentum': 'share of the old running statistics that a step keeps',
    'norm_epsilon': 'number that is added to the variance',
  },
  maskrcnn.RPNHead: {
    'num_convs': 'number of 3x3 convolutions',
    'num_filters': 'number of channels',
    'use_separable_conv': 'whether the convolutions are separable',
  },
  maskrcnn.ROIGenerator: {
    'pre_nms_top_k': 'number of anchors per level that enter NMS in training',
    'pre_nms_score_threshold': 'smallest score of an anchor in training',
    'pre_nms_min_size_threshold': 'smallest side of a box in training',
    'nms_iou_threshold': 'IoU from which on NMS suppresses, in training',
    'num_proposals': 'number of proposals per image in training',
    'test_pre_nms_top_k': 'number of anchors per level that enter NMS at inference',
    'test_pre_nms_score_threshold': 'smallest score of an anchor at inference',
    'test_pre_nms_min_size_threshold': 'smallest side of a box at inference',
    'test_nms_iou_threshold': 'IoU from which on NMS suppresses, at inference',
    'test_num_proposals': 'number of proposals per image at inference',
    'use_batched_nms': "whether TensorFlow's combined NMS is used",
  },
  optimization_config.OptimizationConfig: {
    'ema': 'averages of the weights, which evaluation, checkpoints, prediction and export then '
    'use; null for none. Not with `float16`',
  },
  optimizer_config.BaseOptimizerConfig: {
    'clipnorm': 'largest norm of the gradient of a variable; null for no limit',
    'clipvalue': 'largest absolute value of a gradient; null for no limit',
    'global_clipnorm': 'largest norm of all gradients together; null for no limit',
    'name': _NAME,
    'momentum': 'factor on the velocity of the step before',
    'nesterov': 'whether the momentum looks ahead',
    'weight_decay': 'decoupled weight decay of the optimizer, beside that of `task.losses`',
    'weight_decay_rate': 'weight decay of the optimizer, beside that of `task.losses`',
    'jit_compile': 'whether XLA compiles the update',
    'epsilon': 'number that is added to the denominator',
    'beta_1': 'decay of the mean of gradients',
    'beta_2': 'decay of the mean of squared gradients',
  },
  optimizer_config.EMAConfig: {
    'name': _NAME,
    'trainable_weights_only': 'whether only trained weights are averaged',
    'average_decay': 'share of the old average that a step keeps',
    'start_step': 'step at which the averages begin',
    'dynamic_decay': 'whether the decay is smaller in the first steps',
  },
  rate_config.ConstantLrConfig: {'learning_rate': 'the learning rate'},
  rate_config.StepwiseLrConfig: {
    'boundaries': 'steps at which the learning rate changes, rising',
    'values': 'learning rates: one before the first boundary, and one after each',
    'offset': _OFFSET,
  },
  rate_config.CosineLrConfig: {
    'initial_learning_rate': 'learning rate at the start',
    'decay_steps': 'number of steps to the end of the half cosine',
    'alpha': 'last learning rate, as a share of the first',
    'offset': _OFFSET,
  },
  rate_config.ExponentialLrConfig: {
    'initial_learning_rate': 'learning rate at the start',
    'decay_steps': 'number of steps in which it is multiplied by `decay_rate`',
    'decay_rate': 'the factor',
    'staircase': 'whether it falls in steps',
    'offset': _OFFSET,
  },
  rate_config.PolynomialLrConfig: {
    'initial_learning_rate': 'learning rate at the start',
    'decay_steps': 'number of steps to the end of the decay',
    'end_learning_rate': 'last learning rate',
    'power': 'power of the polynomial; 1 for a line',
    'cycle': 'whether it starts again at the end',
    'offset': _OFFSET,
  },
  rate_config.LinearWarmupConfig: {
    'warmup_learning_rate': 'learning rate of the first step',
    'warmup_steps': 'number of steps until the schedule is reached',
  },
  rate_config.PolynomialWarmupConfig: {
    'power': 'power of the polynomial',
    'warmup_steps': 'number of steps until the schedule is reached',
  },
}


def note_of(config_class: type, field: str) -> str:
  """What a field of a Model Garden class does here; '' if nothing is noted."""
  for base in config_class.__mro__:
    note = NOTES.get(base, {}).get(field)
    if note is not None:
      return note
  return _NAME if field == 'name' else ''
