"""The main job on the embedded images: records, training, AP, SavedModel, picture."""

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import tqdm
from pycocotools import coco as coco_lib

from htc_tf import files
from htc_tf.data import coco_to_tfrecord, images, nuclei
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.errors import HTCError
from htc_tf.evaluation import ground_truth as ground_truth_lib
from htc_tf.evaluation import metrics
from htc_tf.visualization import draw, panels

EXPERIMENT = 'htc_nuclei'
_TRAIN_SCRIPT = os.path.join(
  os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'train.py'
)
_STEP_LINE = re.compile(r'^train \| step:\s+(\d+) \| steps/sec')
_LOG_LINES_SHOWN = 15
_SCORE_DRAWN = 0.5
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class DemoError(HTCError):
  """A step of the demo that failed."""


def run(folder: str, params_override: dict | None = None) -> dict[str, object]:
  """Runs the whole job; a killed run continues where it was.

  Args:
    folder: gets everything; made if missing.
    params_override: overrides of the experiment, nested dicts.

  Returns:
    What `summary.json` holds: bbox_ap, bbox_ap50, segm_ap, segm_ap50 in [0, 1] as evaluated on the
    held-out columns, seconds of this run, and the paths picture and saved_model.

  Raises:
    DemoError: training or evaluation failed; names the log.
  """
  start = time.monotonic()
  splits = nuclei.write_nuclei_coco(os.path.join(folder, 'coco'))
  for prefix, split in splits.items():
    coco_to_tfrecord.convert(
      ConversionOptions(
        annotation_file=split.annotation_file,
        image_folder=split.image_folder,
        output_folder=os.path.join(folder, 'records'),
        prefix=prefix,
        name=f'nuclei {prefix}',
        num_shards=2,
        semantic='instances',
      )
    )
  model_dir = os.path.join(folder, 'model')
  overrides = _overrides(folder, params_override or {})
  _train(model_dir, overrides, os.path.join(folder, 'train.log'))
  figures = _evaluate(model_dir, overrides, os.path.join(folder, 'eval.log'))
  print(metrics.format_table(figures))
  saved_model = _export(model_dir, os.path.join(folder, 'saved_model'))
  picture = _draw_held_out(saved_model, splits['val'], os.path.join(folder, 'held_out.png'))
  summary = {
    'bbox_ap': figures['bbox_AP'],
    'bbox_ap50': figures['bbox_AP50'],
    'segm_ap': figures['segm_AP'],
    'segm_ap50': figures['segm_AP50'],
    'seconds': round(time.monotonic() - start, 1),
    'picture': picture,
    'saved_model': saved_model,
  }
  files.write_bytes(
    os.path.join(folder, 'summary.json'), (json.dumps(summary, indent=2) + '\n').encode()
  )
  return summary


def _overrides(folder: str, params_override: dict) -> str:
  """The experiment's overrides as JSON, with the records of this folder."""
  task = dict(params_override.get('task', {}))
  for key, prefix in (('train_data', 'train'), ('validation_data', 'val')):
    pattern = os.path.join(folder, 'records', f'{prefix}-*.tfrecord')
    task[key] = {**task.get(key, {}), 'input_path': pattern}
  return json.dumps({**params_override, 'task': task})


def _command(mode: str, model_dir: str, overrides: str) -> list[str]:
  return [
    sys.executable,
    _TRAIN_SCRIPT,
    f'--experiment={EXPERIMENT}',
    f'--mode={mode}',
    f'--model_dir={model_dir}',
    f'--params_override={overrides}',
  ]


def _train(model_dir: str, overrides: str, log_path: str) -> None:
  """Trains in a process of its own under a progress bar; its log goes to a file."""
  total = _train_steps(overrides)
  with tqdm.tqdm(total=total, desc='training', unit='step', smoothing=0.1) as bar:

    def show(line: str) -> None:
      match = _STEP_LINE.match(line)
      if match:
        bar.update(int(match[1]) - bar.n)

    _run(_command('train', model_dir, overrides), log_path, show)


def _train_steps(overrides: str) -> int:
  # Model Garden is imported only once the records are made, which needs no TensorFlow.
  from official.core import exp_factory
  from official.modeling import hyperparams

  from htc_tf import registry_imports  # noqa: F401

  params = exp_factory.get_exp_config(EXPERIMENT)
  return hyperparams.override_params_dict(params, overrides, is_strict=True).trainer.train_steps


def _evaluate(model_dir: str, overrides: str, log_path: str) -> dict[str, float]:
  """Evaluates the last checkpoint by the training command; the figures it wrote."""
  results = os.path.join(model_dir, 'results')
  shutil.rmtree(results, ignore_errors=True)
  print('evaluating on the held-out columns')
  _run(_command('eval', model_dir, overrides), log_path)
  written = [name for name in os.listdir(results) if name.endswith('-metrics.json')]
  with open(os.path.join(results, written[0]), encoding='utf-8') as file:
    return json.load(file)


def _run(command: list[str], log_path: str, on_line=lambda line: None) -> None:
  """Runs a command with its output in a log; raises DemoError if it fails."""
  with (
    open(log_path, 'a', encoding='utf-8') as log,
    subprocess.Popen(
      command,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
      errors='replace',
      preexec_fn=_die_with_parent,
    ) as process,
  ):
    try:
      for line in process.stdout:
        log.write(line)
        log.flush()
        on_line(line)
    finally:
      if process.poll() is None and sys.exc_info()[0] is not None:
        process.terminate()
    status = process.wait()
  if status:
    with open(log_path, encoding='utf-8') as log:
      tail = ''.join(log.readlines()[-_LOG_LINES_SHOWN:])
    raise DemoError(
      f'{command[1]} failed with status {status}', got=f'\n{tail}', likely_cause=f'see {log_path}'
    )


def _die_with_parent() -> None:
  """Two trainers on one folder would spoil it: a killed demo takes its trainer along (Linux)."""
  if sys.platform == 'linux':
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _export(model_dir: str, export_dir: str) -> str:
  from htc_tf.serving import export, loading

  shutil.rmtree(export_dir, ignore_errors=True)  # Of an earlier run of the demo.
  return export.export_saved_model(loading.load_model(model_dir), export_dir)


def _draw_held_out(saved_model: str, split: nuclei.CocoSplit, path: str) -> str:
  """Image, truth and the SavedModel's prediction of the held-out tiles, each column top down."""
  from htc_tf.serving import detectors, predict_files

  detector = detectors.load_detector(saved_model)
  with ground_truth_lib.silence():
    coco = coco_lib.COCO(split.annotation_file)
  columns = [[], [], []]
  for image_id in sorted(coco.imgs):
    path_of_image = os.path.join(split.image_folder, coco.imgs[image_id]['file_name'])
    pixels = images.read_image(path_of_image).pixels()
    found = predict_files.detect_instances(detector, pixels)
    prediction = predict_files.draw_detections(pixels, found, detector.category_names, _SCORE_DRAWN)
    ground_truth = _draw_ground_truth(pixels, coco.imgToAnns[image_id], detector.category_names)
    factor = prediction.shape[0] // pixels.shape[0]
    enlarged = np.kron(pixels, np.ones((factor, factor, 1), np.uint8))
    for column, panel in zip(columns, (enlarged, ground_truth, prediction)):
      column.append(panel)
  titles = ('held-out image', 'truth', f'prediction (score >= {_SCORE_DRAWN})')
  panels.write_image(
    path, panels.side_by_side([np.concatenate(column) for column in columns], titles)
  )
  return path


def _draw_ground_truth(pixels: np.ndarray, annotations: list[dict], names: list[str]) -> np.ndarray:
  """The image, enlarged if small, with its annotations drawn over it."""
  boxes = np.array(
    [[y, x, y + h, x + w] for x, y, w, h in (a['bbox'] for a in annotations)], np.float32
  ).reshape(-1, 4)
  return draw.draw_instances(
    pixels,
    boxes,
    [a['segmentation'] for a in annotations],
    np.ones(len(annotations), np.int32),
    None,
    names,
    enlarge=draw.legible_enlargement(pixels.shape[:2]),
  )
