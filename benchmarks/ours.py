"""The benchmark rows of htc_tf: one function per group, which makes the rows for a size."""

import json
import pathlib
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from official.core import exp_factory

from benchmarks import gmac, images, scene
from benchmarks.measuring import Measure
from htc_tf import (
  processes,
  registry_imports,  # noqa: F401
)
from htc_tf.configs import task as task_config
from htc_tf.convert.checkpoint_file import Checkpoint
from htc_tf.convert.conversion import convert_checkpoint
from htc_tf.data import coco_to_tfrecord
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.evaluation import coco_results, mask_paste
from htc_tf.evaluation.coco_evaluator import COCOEvaluator
from htc_tf.modeling import factory
from htc_tf.modeling.htc_model import HTCModel
from htc_tf.modeling.outputs import Proposals
from htc_tf.modeling.precision import BFLOAT16_FEATURES, computing_in
from htc_tf.tasks.htc import HTCTask

_EXPERIMENT = 'htc_resnet50fpn_1x_coco'
_PRECISIONS = ('bfloat16', BFLOAT16_FEATURES)
_NUM_DETECTIONS = 100
_NUM_EVALUATED = 50
_NUM_EVALUATED_BY_PROCESSES = 300
_NUM_READ = 64
_MULTIPLE = 32
_GROWING_ROIS = (125, 250, 500, 1000)
_GROWING_DETECTIONS = (25, 50, 100)
_GROWING_INSTANCES = (10, 100, 500)
_GROWING_SIDES = (0.5, 0.7, 1.0)  # factors on the sides of the network input


def convolution(sizes: scene.SceneSizes) -> dict[str, Measure]:
  """A plain 3x3 convolution on a map of the size of P2, to which other rows are compared."""
  height, width = (side // scene.STRIDES[0] for side in sizes.padded)
  rng = np.random.default_rng(0)
  maps = rng.standard_normal((1, height, width, scene.CHANNELS), np.float32)
  kernel = rng.standard_normal((3, 3, scene.CHANNELS, scene.CHANNELS), np.float32)
  run, _ = _compiled(
    lambda maps, kernel: tf.nn.conv2d(maps, kernel, 1, 'SAME'),
    tf.constant(maps),
    tf.constant(kernel),
  )
  return {'convolution': Measure(run, gmac=gmac.convolution(height, width, scene.CHANNELS))}


def inference(sizes: scene.SceneSizes) -> dict[str, Measure]:
  """Inference from the network input to masks of the size of the original image."""
  return {'inference': _inference(sizes, 'float32')}


def precisions(sizes: scene.SceneSizes) -> dict[str, Measure]:
  """Inference in 16 bits, and partly in 16 bits; rows are named 'inference_<precision>'."""
  return {f'inference_{precision}': _inference(sizes, precision) for precision in _PRECISIONS}


def parts(sizes: scene.SceneSizes) -> dict[str, Measure]:
  """The parts of inference, each a separate graph on the outputs of the previous parts."""
  model, inputs = _model(_task()), _inputs(sizes)
  decoder, semantic_head = model.decoder, model.semantic_head
  assert decoder is not None and semantic_head is not None
  runs: dict[str, Callable[[], Any]] = {}

  def part(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    runs[name], value = _compiled(function, *arguments)
    return value

  maps = part('backbone', lambda images: model.backbone(images, training=False), inputs['images'])
  part('fpn', lambda maps: decoder(maps, training=False), maps)
  features, _ = model.extract(inputs, training=False)
  proposals = part('rpn', _propose(model), features)
  part('semantic', lambda pyramid: semantic_head(pyramid)[1], features.pyramid)
  logits, boxes = part('box_stages', model.cascade.classify, features, proposals)
  found = part('nms', model.detection_generator, logits, boxes, proposals.valid)
  masks = part('mask_stages', model.cascade.segment, features, found.boxes, found.classes)
  _log(
    f'{tf.reduce_sum(tf.cast(proposals.valid, tf.int32))} proposals, '
    f'{found.num_detections[0]} detections'
  )
  masks, boxes = masks[0].numpy(), found.boxes[0].numpy()
  runs['paste'] = lambda: _paste(sizes, masks, boxes)
  counts = _gmac(sizes)
  return {name: Measure(run, gmac=counts.get(name)) for name, run in runs.items()}


def training(sizes: scene.SceneSizes) -> dict[str, Measure]:
  """A step of SGD with momentum on one image with eight objects."""
  return {'training_step': Measure(_training_step(sizes, 8))}


def roi_align(sizes: scene.SceneSizes) -> dict[str, Measure]:
  """RoIAlign of 1000 RoIs into 7x7 bins on random maps: forward, and forward with backward."""
  align = factory.build_roi_aligner(_task().task_config.model.roi_aligner, 7)
  maps = {
    str(level): tf.constant(values) for level, values in enumerate(scene.pyramid(sizes), start=2)
  }
  rois = tf.constant(scene.boxes(sizes, scene.NUM_ROIS)[np.newaxis])
  forward, pooled = _compiled(align, maps, rois)
  upstream = tf.random.stateless_normal(pooled.shape, [0, 1])

  def gradient(maps, rois, upstream):
    with tf.GradientTape() as tape:
      tape.watch(maps)
      pooled = align(maps, rois)
    return pooled, tape.gradient(pooled, maps, upstream)

  backward, _ = _compiled(gradient, maps, rois, upstream)
  return {'roi_align': Measure(forward), 'roi_align_gradient': Measure(backward)}


def evaluation(sizes: scene.SceneSizes) -> dict[str, Measure]:
  """Run-length encoding of the masks of an image on one core, and evaluation of detections."""
  found = scene.detections(sizes, 0)
  boxes = coco_results.boxes_to_original(found.boxes, _image_info(sizes))
  return {
    'paste_and_encode': Measure(
      lambda: mask_paste.encode_masks(found.masks, boxes, sizes.original)
    ),
    'evaluation': _evaluation(sizes, _NUM_EVALUATED),
  }


def _evaluation(
  sizes: scene.SceneSizes, num_images: int, num_workers: int | None = None
) -> Measure:
  """Evaluation from detections to AP.

  Args:
    sizes: sizes of the images.
    num_images: number of images.
    num_workers: number of processes; 1 for this process alone, None for the default in training.
  """
  predictions = [_predictions(sizes, image) for image in range(_NUM_EVALUATED)]
  batches = [
    {**predictions[image % _NUM_EVALUATED], 'source_id': np.array([image])}
    for image in range(1, num_images + 1)
  ]
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / 'annotations.json'
    path.write_text(json.dumps(scene.annotations(sizes, num_images)), encoding='utf-8')
    evaluator = COCOEvaluator(
      path, range(1, scene.NUM_CLASSES + 1), include_mask=True, num_workers=num_workers
    )

  def evaluate():
    evaluator.reset()
    for batch in batches:
      evaluator.update(batch)
    return evaluator.result()

  return Measure(evaluate, num_images)


def input_pipeline(sizes: scene.SceneSizes) -> dict[str, Measure]:
  """Training batches of one image from records, including the start of the pipeline."""
  written = images.write(sizes, _NUM_READ)
  records = written.images.parent / 'records'
  coco_to_tfrecord.convert(
    ConversionOptions(
      str(written.annotations),
      str(written.images),
      str(records),
      num_shards=4,
      semantic='stuff_maps',
      stuff_folder=str(written.stuff),
    ),
    log=_log,
  )
  task = _task()
  task.task_config.model.input_size = [*sizes.padded, 3]
  parser = task_config.Parser(min_sizes=[sizes.image[0]], max_size=sizes.image[1])
  params = task_config.DataConfig(
    is_training=True,
    input_path=f'{records}/train-*.tfrecord',
    global_batch_size=1,
    shuffle_buffer_size=8,
    parser=parser,
  )

  def run():
    for _ in task.build_inputs(params).take(_NUM_READ):
      pass

  return {'input_pipeline': Measure(run, _NUM_READ)}


def growth(sizes: scene.SceneSizes) -> dict[str, Measure]:
  """Inference by pixels, box stages by RoIs, mask stages by detections, evaluation by processes.

  Rows are named '<unit>:<amount>'.
  """
  model = _model(_task())
  runs: dict[str, Callable[[], None]] = {}
  for factor in _GROWING_SIDES:
    height, width = (round(side * factor / _MULTIPLE) * _MULTIPLE for side in sizes.padded)
    inputs = _inputs(scene.SceneSizes.parse(f'{height}x{width}'))
    runs[f'pixels:{height * width}'], _ = _compiled(model.detect, inputs)
  features, _ = model.extract(_inputs(sizes), training=False)
  proposals = _propose(model)(features)
  for num in _GROWING_ROIS:
    first = Proposals(*(values[:, :num] for values in proposals))
    runs[f'RoIs:{num}'], _ = _compiled(model.cascade.classify, features, first)
  boxes = tf.constant(scene.boxes(sizes, _NUM_DETECTIONS)[np.newaxis])
  classes = tf.ones([1, _NUM_DETECTIONS], tf.int32)
  for num in _GROWING_DETECTIONS:
    runs[f'detections:{num}'], _ = _compiled(
      model.cascade.segment, features, boxes[:, :num], classes[:, :num]
    )
  evaluations = {
    f'processes:{num}': _evaluation(sizes, _NUM_EVALUATED_BY_PROCESSES, num)
    for num in sorted({1, processes.usable_cores()})
  }
  return {**{name: Measure(run) for name, run in runs.items()}, **evaluations}


def growth_training(sizes: scene.SceneSizes) -> dict[str, Measure]:
  """The training step by number of objects in the image."""
  return {f'instances:{num}': Measure(_training_step(sizes, num)) for num in _GROWING_INSTANCES}


GROUPS = {
  group.__name__: group
  for group in (
    convolution,
    inference,
    precisions,
    parts,
    training,
    roi_align,
    input_pipeline,
    evaluation,
    growth,
    growth_training,
  )
}


def _inference(sizes: scene.SceneSizes, precision: str) -> Measure:
  """Inference in a precision, as for `modeling.precision.computing_in`."""
  with computing_in(precision):
    model = _model(_task())
  detect = tf.function(model.detect, autograph=False)
  inputs = _inputs(sizes)

  def run():
    found = {key: value[0].numpy() for key, value in detect(inputs).to_dict().items()}
    num = found['num_detections']
    return _paste(sizes, found['detection_masks'][:num], found['detection_boxes'][:num])

  return Measure(run, gmac=sum(_gmac(sizes).values()))


def _task() -> HTCTask:
  return HTCTask(exp_factory.get_exp_config(_EXPERIMENT).task)


def _model(task: HTCTask) -> HTCModel:
  """The model with the weights that the peer has too."""
  model = task.build_model()
  convert_checkpoint(Checkpoint(scene.Weights(), 'torch', f'{scene.CONFIG}.pth', ''), model)
  return model


def _gmac(sizes: scene.SceneSizes) -> dict[str, float]:
  return gmac.by_part(scene.Weights().shapes, sizes.padded, scene.NUM_ROIS, _NUM_DETECTIONS)


def _inputs(sizes: scene.SceneSizes) -> dict[str, tf.Tensor]:
  return {
    'images': tf.constant(scene.network_input(sizes)[np.newaxis]),
    'image_shape': tf.constant([sizes.image], tf.float32),
  }


def _compiled(function: Callable[..., Any], *arguments: Any) -> tuple[Callable[[], None], Any]:
  """A function that runs the graph of `function` on the arguments to its end, and its result."""
  graph = tf.function(function, autograph=False)
  value = graph(*arguments)

  def run():
    graph(*arguments)
    tf.test.experimental.sync_devices()

  return run, value


def _propose(model: HTCModel) -> Callable[..., Proposals]:
  """A function from features to proposals: convolutions, decoding and NMS of the RPN."""
  return lambda features: model.propose(features, training=False).proposals


def _image_info(sizes: scene.SceneSizes) -> np.ndarray:
  scale = np.divide(sizes.image, sizes.original)
  return np.array([sizes.original, sizes.image, scale, (0, 0)], np.float32)


def _paste(sizes: scene.SceneSizes, masks: np.ndarray, boxes: np.ndarray) -> np.ndarray:
  boxes = coco_results.boxes_to_original(boxes, _image_info(sizes))
  return mask_paste.paste_masks(masks, boxes, sizes.original)


def _predictions(sizes: scene.SceneSizes, image: int) -> dict[str, np.ndarray]:
  """Detections of one image as a batch for the evaluator."""
  found = scene.detections(sizes, image)
  return {
    'source_id': np.array([image]),
    'image_info': _image_info(sizes)[np.newaxis],
    'num_detections': np.array([len(found.boxes)]),
    'detection_boxes': found.boxes[np.newaxis],
    'detection_scores': found.scores[np.newaxis],
    'detection_classes': found.labels[np.newaxis] + 1,
    'detection_masks': found.masks[np.newaxis],
  }


def _training_step(sizes: scene.SceneSizes, num_instances: int) -> Callable[[], float]:
  task = _task()
  model = _model(task)
  ground_truth = scene.ground_truth(sizes, num_instances)
  labels = {
    'gt_boxes': ground_truth.boxes,
    'gt_classes': ground_truth.labels.astype(np.int32) + 1,
    'gt_masks': np.packbits(ground_truth.masks, axis=-1),
    'gt_semantic': ground_truth.semantic,
    'image_info': _image_info(sizes),
    'source_id': np.int64(1),
  }
  labels = {key: tf.constant(np.asarray(value)[np.newaxis]) for key, value in labels.items()}
  images = tf.constant(scene.network_input(sizes)[np.newaxis])
  params = exp_factory.get_exp_config(_EXPERIMENT)
  optimizer = task.create_optimizer(params.trainer.optimizer_config, params.runtime)
  step = tf.function(
    lambda images, labels: task.train_step((images, labels), model, optimizer), autograph=False
  )
  return lambda: float(step(images, labels)[task.loss])


def _log(text: str) -> None:
  print(text, file=sys.stderr, flush=True)
