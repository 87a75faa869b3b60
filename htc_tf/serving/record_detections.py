"""Detection of a trained model on validation records, by the pipeline of the training."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf
from pycocotools import coco

from htc_tf import file_systems, progress
from htc_tf.checkpoints import model_directory, restoration
from htc_tf.configs import task as task_config
from htc_tf.configs import validation
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.data.skipped import RECORDS, SHARDS, SkipCounter
from htc_tf.errors import InputError
from htc_tf.evaluation import ground_truth as ground_truth_lib
from htc_tf.evaluation.coco_evaluator import COCOEvaluator
from htc_tf.modeling.precision import computing_in
from htc_tf.serving import members
from htc_tf.serving.members import Ensemble, LoadedModel
from htc_tf.tasks import detection_views
from htc_tf.tasks import inputs as inputs_lib
from htc_tf.tasks.htc import HTCTask

_ALONE = Ensemble()


class RecordDetections(NamedTuple):
  """Detections on validation records, with what they are to be compared with.

  Attributes:
    checkpoint: prefix of the checkpoint.
    input_path: pattern of the records.
    annotation_file: path of the annotations.
    ground_truth: the annotations.
    category_ids: ids of the evaluated categories.
    results: COCO results.
    has_masks: whether results have masks.
    max_detections: largest number of detections per image.
    notes: descriptions of what was left out, with counts.
    views: the views of test-time augmentation in words; '' without it.
    ensemble: the further models that detected in words; '' without any.
  """

  checkpoint: str
  input_path: str
  annotation_file: str
  ground_truth: coco.COCO
  category_ids: list[int]
  results: list[dict[str, Any]]
  has_masks: bool
  max_detections: int
  notes: list[str]
  views: str = ''
  ensemble: str = ''


class Records(NamedTuple):
  """Records in the place of those that the run names.

  Attributes:
    input_path: pattern of the records; None for those of the run.
    annotation_file: path of COCO annotations; None for those of the run, or those beside
      `input_path`.
  """

  input_path: str | None = None
  annotation_file: str | None = None


def check_model(path: str) -> str:
  """The prefix of the checkpoint that a model path names.

  Raises:
    CheckpointError: there is no checkpoint.
    InputError: the path is an exported model, or TensorFlow cannot use its file system.
  """
  file_systems.check_usable(path, 'The model path (--model)')
  if file_systems.exists(f'{file_systems.without_final_slash(path)}/saved_model.pb'):
    raise InputError(
      f'{path} cannot be evaluated on records',
      expected='a model directory or a checkpoint prefix such as model/ckpt-1000',
      got='an exported model (SavedModel), which does not name its records',
      likely_cause='the export instead of the model; to evaluate the export itself, predict with '
      f'htc-predict --model={path} --annotations=val.json --output=predictions images, and then '
      'use htc-evaluate --results=predictions/predictions.json --annotations=val.json '
      '--image_folder=images',
    )
  return restoration.resolve(path)


def detect(
  checkpoint: str,
  records: Records,
  experiment: str | None = None,
  params_override: str | list[str] = '',
  ensemble: Ensemble = _ALONE,
) -> RecordDetections:
  """The detections of a checkpoint on validation records; a bar shows the progress.

  The model, its input and the annotations are those of an evaluation by the training command.

  Args:
    checkpoint: prefix of the checkpoint; its directory describes the model.
    records: records in the place of those of the run.
    experiment: experiment of a checkpoint without a configuration beside it.
    params_override: overrides of the configuration.
    ensemble: models that detect together with it.

  Raises:
    CheckpointError: the weights do not fit the configuration.
    ConfigError: the configuration cannot be built.
    DataError: the records or annotations cannot be used.
    InputError: the run names no records, or a model of the ensemble does not fit the first one.
  """
  folder = file_systems.dirname(checkpoint) or '.'
  params = model_directory.load_experiment(folder, experiment, params_override)
  config = params.task
  _apply(records, config)
  validation.validate_detection(config)
  path = _joined(config.validation_data.input_path)
  info = _find_records(path)
  task = HTCTask(config, logging_dir=folder)
  evaluator = task.build_evaluator()
  with computing_in(params.runtime.mixed_precision_dtype):
    model = task.build_model()
    restoration.restore(checkpoint, {'model': model})
    first = LoadedModel(checkpoint, config, model, model_directory.load_dataset_info(folder))
    others = members.load_others(first, ensemble, params_override)
    counter = SkipCounter()
    _update(evaluator, [first, *others], ensemble, counter, info.num_images)
  collected = evaluator.collected()
  evaluator.reset()  # It ends the processes.
  ground_truth_lib.adopt_sizes(evaluator.ground_truth, collected['results'])
  return RecordDetections(
    checkpoint,
    path,
    config.annotation_file or info.annotation_path,
    evaluator.ground_truth,
    evaluator.evaluated_ids,
    collected['results'],
    config.model.include_mask,
    config.model.detection_generator.max_detections,
    _notes(evaluator.ground_truth, len(collected['images']), counter),
    detection_views.describe(config),
    ensemble.describe(),
  )


def _apply(records: Records, config: task_config.HTCTask) -> None:
  """Put the given records in the place of those of the run."""
  if records.input_path is not None:
    config.validation_data.input_path = records.input_path
    config.annotation_file = ''  # It belongs to the records of the run.
  if records.annotation_file is not None:
    config.annotation_file = records.annotation_file


def _joined(input_path: Any) -> str:
  return input_path if isinstance(input_path, str) else ','.join(input_path or ())


def _find_records(path: str) -> DatasetInfo:
  """The metadata of the records; raises InputError if the run names none."""
  if not path:
    raise InputError(
      'There are no records to evaluate on',
      expected='records that params.yaml of the run names, or --data or --input_path',
      got='no path in task.validation_data.input_path',
      likely_cause='a model that was converted, or trained without validation records',
    )
  return DatasetInfo.find(path)


def _update(
  evaluator: COCOEvaluator,
  loaded: Sequence[LoadedModel],
  ensemble: Ensemble,
  counter: SkipCounter,
  num_images: int,
) -> None:
  """Add the detections of the models on all validation records to the evaluator."""
  config, is_alone = loaded[0].config, len(loaded) == 1
  own_scales = detection_views.scales(config, is_alone)
  scales = [*own_scales, *(scale for each in loaded[1:] for scale in each.scales(is_alone))]
  batches = inputs_lib.build_batches(config.validation_data, config.model, counter, scales=scales)
  detecting = [each.member for each in loaded]
  divisor = max(each.config.model.size_divisor for each in loaded)

  @tf.function(input_signature=batches.element_spec, autograph=False)
  def step(images: tf.Tensor, labels: Any) -> Any:
    return detection_views.detect_batch(images, labels, detecting, ensemble.joining, divisor)

  with progress.bar(description='detecting', unit='image', total=num_images) as bar:
    for batch in batches:
      predictions = {key: value.numpy() for key, value in step(*batch).items()}
      evaluator.update(predictions)
      bar.update(len(predictions['source_id']))


def _notes(ground_truth: coco.COCO, num_detected: int, counter: SkipCounter) -> list[str]:
  """What the figures do not cover."""
  notes = []
  missing = len(ground_truth.imgs) - num_detected
  if missing:
    notes.append(
      f'{missing:,} of {len(ground_truth.imgs):,} annotated images have no usable record; their '
      'objects count as not found'
    )
  if counter.count(RECORDS) or counter.count(SHARDS):
    notes.append(
      f'{counter.count(RECORDS)} records were skipped because they cannot be used, and '
      f'{counter.count(SHARDS)} shards were read only in part'
    )
  return notes
