"""The registered task: model, inputs, training step and evaluation."""

import contextlib
import functools
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf
import tf_keras
from absl import logging
from official.core import base_task, task_factory

from htc_tf import files, worker_exchange
from htc_tf.checkpoints import model_directory
from htc_tf.configs import model_validation
from htc_tf.configs import task as task_config
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.data.skipped import KINDS, RECORDS, SHARDS, SkipCounter
from htc_tf.errors import DataError
from htc_tf.evaluation.coco_evaluator import COCOEvaluator
from htc_tf.losses import htc_loss
from htc_tf.modeling.ensemble import Joining
from htc_tf.modeling.factory import build_htc
from htc_tf.modeling.htc_model import HTCModel
from htc_tf.modeling.outputs import TrainingOutputs
from htc_tf.ops import image_padding
from htc_tf.ops.without_autograph import without_autograph
from htc_tf.tasks import detection_views, finite_loss, initialization
from htc_tf.tasks import inputs as inputs_lib
from htc_tf.tasks.compiled_step import run_compiled
from htc_tf.tasks.finite_loss import NonFiniteLoss
from htc_tf.tasks.host_count import HostCount
from htc_tf.tasks.running_statistics import RunningStatistics
from htc_tf.tasks.weight_decay import left_to

_SKIPPED_STEPS = 'skipped_steps'
_GROUND_TRUTH = ('gt_boxes', 'gt_classes', 'gt_masks')


def model_inputs(images: tf.Tensor, labels: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
  """The input dict of `HTCModel.call` for a batch of `Parser`."""
  inputs = {'images': images, 'image_shape': labels['image_info'][:, 1]}
  inputs.update({key: labels[key] for key in _GROUND_TRUTH if key in labels})
  return inputs


@task_factory.register_task_cls(task_config.HTCTask)
class HTCTask(base_task.Task):
  """Hybrid Task Cascade as a Model Garden task.

  Args:
    params: configuration of the task.
    logging_dir: model directory; evaluation writes its results below it. None for no files.
    name: name of the task.

  Raises:
    ConfigError: the model of the configuration cannot be built.
  """

  def __init__(
    self, params: task_config.HTCTask, logging_dir: str | None = None, name: str | None = None
  ):
    super().__init__(params, logging_dir, name)
    model_validation.validate_model(params.model)
    self._non_finite_loss = NonFiniteLoss(params.skip_non_finite_steps)
    self._skipped = {is_training: SkipCounter() for is_training in (True, False)}

  def build_model(self) -> HTCModel:
    """The model with all its variables."""
    return build_htc(self.task_config.model, self.task_config.freeze_backbone)

  def initialize(self, model: HTCModel) -> None:
    """Load `init_checkpoint`; the trainer calls this if the run has no checkpoint yet.

    Raises:
      CheckpointError: the checkpoint is missing or has another configuration.
      ConfigError: `init_checkpoint_modules` names an unknown part.
    """
    config = self.task_config
    classes = None
    # An evaluation of the initial weights needs no training records.
    with contextlib.suppress(DataError):
      classes = initialization.classes_of(DatasetInfo.find(config.train_data.input_path))
    initialization.initialize(
      model,
      config.init_checkpoint,
      config.init_checkpoint_modules,
      classes,
      config.model.backbone,
    )

  def build_inputs(
    self, params: task_config.DataConfig, input_context: tf.distribute.InputContext | None = None
  ) -> tf.data.Dataset:
    """Batches of (images, labels) of `data.parser.Parser`; a batch has images of one size.

    Those of an evaluation hold every scale of the task's `test_time_augmentation`.
    """
    scales = () if params.is_training else detection_views.scales(self.task_config)
    return inputs_lib.build_batches(
      params, self.task_config.model, self._skipped[params.is_training], input_context, scales
    )

  def build_losses(
    self, outputs: TrainingOutputs, labels: Mapping[str, tf.Tensor], variables: list[tf.Variable]
  ) -> dict[str, tf.Tensor]:
    """All weighted loss terms by name, their sum `total_loss`, and beside it `weight_decay`.

    The decay is not part of `total_loss`, as in the paper's code, and is only logged; `train_step`
    adds its gradient.

    Args:
      outputs: outputs of the model for the batch.
      labels: labels of the batch.
      variables: variables that weight decay acts on.
    """
    losses = self.task_config.losses
    model = self.task_config.model
    image_sizes = image_padding.padded_alone(labels['image_info'][:, 1], model.size_divisor)
    terms = htc_loss.weighted_terms(
      outputs, labels.get('gt_semantic'), losses, model.cascade.stages, image_sizes
    )
    return {
      **terms,
      'total_loss': htc_loss.total(terms),
      'weight_decay': htc_loss.weight_decay(variables, losses),
    }

  def build_metrics(self, training: bool = True) -> list[tf_keras.metrics.Metric]:
    """Means of losses and accuracies, and counts of skipped data and steps; none in evaluation."""
    if not training:
      return []
    model = self.task_config.model
    num_stages = len(model.cascade.stages)
    terms = htc_loss.term_names(
      num_stages,
      model.include_mask,
      model.semantic_head.enabled,
      model.global_context.enabled,
      model.cascade.shared_mask,
    )
    terms = htc_loss.with_assistant(terms) if model.has_assistant else terms
    names = ['total_loss', 'weight_decay', *terms]
    names += [f'stage{stage}_accuracy' for stage in range(num_stages)]
    counts: dict[str, Callable[[], int]] = {
      kind: functools.partial(self._skipped[True].count, kind) for kind in KINDS
    }
    counts[_SKIPPED_STEPS] = lambda: self._non_finite_loss.num_skipped
    return [tf_keras.metrics.Mean(name, dtype=tf.float32) for name in names] + [
      HostCount(name, count) for name, count in counts.items()
    ]

  @without_autograph
  def train_step(
    self,
    inputs: tuple[Any, Any],
    model: HTCModel,
    optimizer: tf_keras.optimizers.Optimizer,
    metrics: list[tf_keras.metrics.Metric] | None = None,
  ) -> dict[str, tf.Tensor]:
    """Update the model with one replica's batch.

    Losses are normalized per replica, as the paper's code does per GPU, and averaged over replicas.
    If the loss or a gradient is not finite, no weight changes, and the run stops or skips the step,
    according to the task's `skip_non_finite_steps`. With the task's `jit_compile` the forward and
    backward pass are one XLA program.

    Args:
      inputs: images [batch, height, width, channels], normalized and padded, and labels of
        `data.parser.Parser`.
      model: model whose weights and running statistics are updated.
      optimizer: optimizer, which is updated as well.
      metrics: metrics of `build_metrics`, which are updated; None for no metrics.

    Returns:
      The loss before the update, without weight decay, a scalar under `self.loss`; 0 for a skipped
      step.

    Raises:
      tf.errors.OpError: (when run) the loss or a gradient is not finite; the message is that of a
        `TrainingError`.
    """
    variables = model.trainable_variables
    finite_loss.create_state(optimizer, variables)
    step = optimizer.iterations + 1
    statistics = RunningStatistics(model)

    def run_passes(batch: tuple[Any, Any]) -> tuple[Any, ...]:
      return self._forward_and_backward(batch, model, optimizer)

    if self.task_config.jit_compile:
      padding = inputs_lib.build_padding_rule(
        self.task_config.train_data.parser, self.task_config.model
      )
      # The rest of the step communicates with other replicas, which XLA cannot compile.
      losses, accuracies, gradients = run_compiled(run_passes, inputs, padding.buckets)
    else:
      losses, accuracies, gradients = run_passes(inputs)
    # With loss scaling, LossScaleOptimizer already skips such steps, so the gradient norm is not
    # checked.
    norm = {} if _scales_losses(optimizer) else {'gradient_norm': tf.linalg.global_norm(gradients)}
    terms = {**losses, **norm}
    finite = finite_loss.finite_everywhere(terms)
    finite_loss.apply_if(finite, optimizer, gradients, variables)
    statistics.restore_unless(finite)
    values = {**losses, **accuracies}
    for metric in metrics or []:
      if metric.name in values:
        metric.update_state(
          tf.where(finite, values[metric.name], 0.0), sample_weight=tf.cast(finite, tf.float32)
        )
    self._non_finite_loss.react(terms, inputs[1]['source_id'], step)
    return {self.loss: tf.where(finite, losses['total_loss'], 0.0)}

  def _forward_and_backward(
    self, inputs: tuple[Any, Any], model: HTCModel, optimizer: tf_keras.optimizers.Optimizer
  ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor], list[tf.Tensor]]:
    """Loss terms, accuracies and this replica's share of the gradients."""
    images, labels = inputs
    share = 1.0 / tf.distribute.get_strategy().num_replicas_in_sync
    variables = model.trainable_variables
    with tf.GradientTape() as tape:
      outputs = model(model_inputs(images, labels), training=True)
      losses = self.build_losses(outputs, labels, variables)
      loss = share * losses['total_loss']
      if _scales_losses(optimizer):
        loss = optimizer.get_scaled_loss(loss)
    gradients = tape.gradient(loss, variables)
    if _scales_losses(optimizer):
      gradients = optimizer.get_unscaled_gradients(gradients)
    if not left_to(optimizer, self.task_config.losses):
      gradients = htc_loss.add_weight_decay(gradients, variables, self.task_config.losses, share)
    return losses, htc_loss.accuracies(outputs), gradients

  @without_autograph
  def validation_step(
    self, inputs: tuple[Any, Any], model: HTCModel, metrics: list[Any] | None = None
  ) -> dict[str, Any]:
    """Detections in one replica's batch, for the evaluator; there is no validation loss."""
    images, labels = inputs
    member = detection_views.member(self.task_config, model)
    predictions = detection_views.detect_batch(
      images, labels, [member], Joining(), self.task_config.model.size_divisor
    )
    return {'predictions': predictions}

  def aggregate_logs(
    self, state: COCOEvaluator | None, step_outputs: Mapping[str, Any]
  ) -> COCOEvaluator:
    """The evaluator, updated with the detections of one step of all replicas.

    Args:
      state: return value for the previous step; None for the first step.
      step_outputs: outputs of `validation_step`; with several replicas, each entry is a tuple with
        one value per replica.
    """
    if state is None:
      state = self.build_evaluator()
    for predictions in _replicas(step_outputs['predictions']):
      state.update(predictions)
    return state

  def reduce_aggregated_logs(
    self,
    aggregated_logs: COCOEvaluator,
    global_step: int | tf.Tensor | tf.Variable | None = None,
  ) -> dict[str, float]:
    """AP over the images of all workers, and the numbers of skipped records and shards.

    The figures and the detections are also written as JSON to `results/` in the model directory.
    """
    skipped = SkipCounter()
    for collected, counts in worker_exchange.gather(
      [aggregated_logs.collected(), self._skipped[False].counts()]
    ):
      aggregated_logs.merge(collected)
      skipped.merge(counts)
    num_skipped = {kind: float(skipped.count(kind)) for kind in (SHARDS, RECORDS)}
    figures = {**aggregated_logs.result(), **num_skipped}
    if any(num_skipped.values()):
      logging.warning(
        'The AP covers only the data that could be read: %d records were skipped, and %d shards '
        'were read only in part.',
        num_skipped[RECORDS],
        num_skipped[SHARDS],
      )
    if self.logging_dir:
      step = 0 if global_step is None else int(tf.convert_to_tensor(global_step))
      stem = os.path.join(self.logging_dir, 'results', f'step-{step}')
      aggregated_logs.save_results(f'{stem}.json')
      files.write_bytes(f'{stem}-metrics.json', json.dumps(figures, indent=2).encode())
    return figures

  def build_evaluator(self) -> COCOEvaluator:
    """An evaluator for the categories of the model, matched by id and name.

    Raises:
      DataError: the metadata of the records is missing, the annotations cannot be read, or they
        have other categories than the model.
    """
    path = self.task_config.validation_data.input_path
    info = DatasetInfo.find(path if isinstance(path, str) else ','.join(path))
    annotations = self.task_config.annotation_file or info.annotation_path
    logging.debug('Evaluating against %s', annotations)
    classes = self._known_classes() or info
    if classes.num_classes != self.task_config.model.num_classes:
      raise DataError(
        'The categories of the data do not fit the model',
        expected=f'{self.task_config.model.num_classes - 1} categories',
        got=f'{len(classes.categories)}: {", ".join(classes.category_names)}',
        likely_cause='a model directory without dataset.json, so that the categories of the '
        'records are taken; or another task.model.num_classes than that of the model',
      )
    evaluator = COCOEvaluator(
      annotations,
      classes.category_ids,
      include_mask=self.task_config.model.include_mask,
      per_category=self.task_config.per_category_metrics,
      max_detections=self.task_config.model.detection_generator.max_detections,
      names=classes.category_names,
      records_annotations=info.annotation_path,
    )
    evaluator.mask_threshold = self.task_config.model.detection_generator.mask_threshold
    return evaluator

  def _known_classes(self) -> DatasetInfo | None:
    """The classes of the model: as its directory records them, else of the training records."""
    recorded = model_directory.load_dataset_info(self.logging_dir) if self.logging_dir else None
    if recorded is not None:
      return recorded
    try:
      return DatasetInfo.find(self.task_config.train_data.input_path)
    except DataError:
      return None  # An evaluation alone needs no training records.


def _scales_losses(optimizer: tf_keras.optimizers.Optimizer) -> bool:
  """Whether the optimizer scales losses, as for float16."""
  return isinstance(optimizer, tf_keras.mixed_precision.LossScaleOptimizer)


def _replicas(predictions: Mapping[str, Any]) -> list[dict[str, Any]]:
  """One dict of arrays per replica; with several replicas, `predictions` has tuples of tensors."""
  first = next(iter(predictions.values()))
  if not isinstance(first, (tuple, list)):
    return [{key: value.numpy() for key, value in predictions.items()}]
  return [
    {key: values[i].numpy() for key, values in predictions.items()} for i in range(len(first))
  ]
