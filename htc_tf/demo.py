"""The whole workflow on the nuclei image: records, training, AP, SavedModel and a drawing."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
from pycocotools import coco as coco_lib

from htc_tf import file_systems, files, progress
from htc_tf.data import coco_to_tfrecord, images, nuclei
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.errors import HTCError, InputError
from htc_tf.evaluation import ground_truth as ground_truth_lib
from htc_tf.evaluation import metrics
from htc_tf.visualization import draw, panels

EXPERIMENT = 'htc_nuclei'
# The trainer exits with the demo, even if the demo is killed: otherwise the next demo would start a
# second trainer in the same model directory. The run record shows `htc-train` as the command.
_TRAINER = """
import sys
from htc_tf import processes
from htc_tf.cli import train
processes.exit_with_parent({parent_id})
sys.argv[0] = 'htc-train'
train.run()
"""
_STEP_LINE = re.compile(r'^epoch .* step\s+(\d+)/\d+  loss')
_LOG_LINES_SHOWN = 15
_SCORE_DRAWN = 0.5
_MARK, _SUMMARY = '.htc-demo', 'summary.json'
_OWN = (
  *('coco', 'records', 'model', 'saved_model'),
  *('train.log', 'eval.log', 'held_out.png', _SUMMARY),
)
_FIGURES = ('bbox_AP', 'bbox_AP50', 'segm_AP', 'segm_AP50')


class DemoError(HTCError):
  """A step of the demo that failed."""


def run(folder: str, params_override: dict | None = None) -> dict[str, object]:
  """Run the whole workflow; after an interruption, the same call continues.

  Args:
    folder: output folder; it is created if missing.
    params_override: overrides of the experiment as nested dicts.

  Returns:
    The content of `summary.json`: bbox_ap, bbox_ap50, segm_ap and segm_ap50 in [0, 1] on the
    held-out columns, the seconds of this run, and the paths `image` and `saved_model`.

  Raises:
    DemoError: training or evaluation failed; the message names the log.
    InputError: the folder is remote, or has files that the demo would replace.
  """
  file_systems.check_local(folder, 'The output folder (--output)')
  file_systems.check_given(folder, 'The output folder (--output)')
  _check_own(folder)
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
  image = _draw_held_out(saved_model, splits['val'], os.path.join(folder, 'held_out.png'))
  summary = {
    'bbox_ap': figures['bbox_AP'],
    'bbox_ap50': figures['bbox_AP50'],
    'segm_ap': figures['segm_AP'],
    'segm_ap50': figures['segm_AP50'],
    'seconds': round(time.monotonic() - start, 1),
    'image': image,
    'saved_model': saved_model,
  }
  files.write_bytes(os.path.join(folder, _SUMMARY), (json.dumps(summary, indent=2) + '\n').encode())
  return summary


def _check_own(folder: str) -> None:
  """Raise InputError if a folder has files of the names of the demo that no demo has written.

  The demo replaces them. It marks its folder before it writes anything else.
  """
  taken = [name for name in _OWN if os.path.lexists(os.path.join(folder, name))]
  # Versions without the mark wrote the summary at the end.
  if taken and not any(os.path.exists(os.path.join(folder, name)) for name in (_MARK, _SUMMARY)):
    raise InputError(
      f'The demo would replace {os.path.join(folder, taken[0])}',
      expected='a new folder, or that of an earlier demo',
      got=f'a folder without {_SUMMARY} or {_MARK} of a demo',
      likely_cause='the folder of other work: name another --output',
    )
  files.write_bytes(os.path.join(folder, _MARK), b'htc-demo replaces its files in this folder.\n')


def shortened(train_steps: int) -> dict[str, object]:
  """Overrides of the experiment for a number of training steps.

  Raises:
    DemoError: the number is not positive.
  """
  if train_steps < 1:
    raise DemoError(
      'The number of training steps is out of range', expected='1 or more', got=str(train_steps)
    )
  interval = min(25, train_steps)
  return {
    'trainer': {
      'train_steps': train_steps,
      'validation_interval': train_steps,
      'steps_per_loop': interval,
      'summary_interval': interval,
      'checkpoint_interval': interval,
    }
  }


def _overrides(folder: str, params_override: dict) -> str:
  """Overrides of the experiment as JSON, with the records of this folder."""
  task = dict(params_override.get('task', {}))
  for key, prefix in (('train_data', 'train'), ('validation_data', 'val')):
    pattern = os.path.join(folder, 'records', f'{prefix}-*.tfrecord')
    task[key] = {**task.get(key, {}), 'input_path': pattern}
  return json.dumps({**params_override, 'task': task})


def _command(mode: str, model_dir: str, overrides: str) -> list[str]:
  return [
    sys.executable,
    '-c',
    _TRAINER.format(parent_id=os.getpid()),
    f'--experiment={EXPERIMENT}',
    f'--mode={mode}',
    f'--model_dir={model_dir}',
    f'--params_override={overrides}',
  ]


def _train(model_dir: str, overrides: str, log_path: str) -> None:
  """Train in another process with a progress bar; the log goes to a file."""
  total = _train_steps(overrides)
  with progress.bar(description='training', unit='step', total=total) as bar:

    def show(line: str) -> None:
      match = _STEP_LINE.match(line)
      if match:
        bar.update(int(match[1]) - bar.n)

    _run('training', _command('train', model_dir, overrides), log_path, show)


def _train_steps(overrides: str) -> int:
  # Writing records does not need Model Garden, so it is imported only here.
  from htc_tf import registry_imports  # noqa: F401
  from htc_tf.configs import parsing

  return parsing.parse(EXPERIMENT, params_override=overrides).params.trainer.train_steps


def _evaluate(model_dir: str, overrides: str, log_path: str) -> dict[str, float]:
  """The figures of the last checkpoint, which the training command evaluates."""
  results = os.path.join(model_dir, 'results')
  shutil.rmtree(results, ignore_errors=True)
  print('evaluating on the held-out columns')
  _run('evaluation', _command('eval', model_dir, overrides), log_path)
  return _read_figures(results, log_path)


def _read_figures(results: str, log_path: str) -> dict[str, float]:
  """The figures that the evaluation wrote into its folder of results."""
  names = sorted(os.listdir(results)) if os.path.isdir(results) else []
  written = [name for name in names if name.endswith('-metrics.json')]
  try:
    with open(os.path.join(results, written[0]), encoding='utf-8') as file:
      figures = json.load(file)
    return {**figures, **{name: figures[name] for name in _FIGURES}}  # All that a summary needs.
  except (IndexError, OSError, ValueError, TypeError, KeyError) as error:
    raise DemoError(
      'The evaluation wrote no figures',
      expected=f'a file step-*-metrics.json in {results} with {", ".join(_FIGURES)}',
      got=f'{written[0]}: {error!r}' if written else f'the files {names}',
      likely_cause=f'an evaluation that ended early, see {log_path}',
    ) from error


def _run(
  name: str,
  command: list[str],
  log_path: str,
  on_line: Callable[[str], None] = lambda line: None,
) -> None:
  """Run a command, append its output to a log, and raise DemoError if it fails."""
  with (
    open(log_path, 'a', encoding='utf-8') as log,
    subprocess.Popen(
      command,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
      errors='replace',
    ) as process,
  ):
    try:
      for line in process.stdout or ():
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
      f'The {name} failed with status {status}', got=f'\n{tail}', likely_cause=f'see {log_path}'
    )


def _export(model_dir: str, export_dir: str) -> str:
  from htc_tf.serving import export, loading

  shutil.rmtree(export_dir, ignore_errors=True)  # From an earlier run of the demo.
  # Warm-up requests need a package that only those who serve models install.
  warmup = importlib.util.find_spec('tensorflow_serving') is not None
  return export.export_saved_model(loading.load_model(model_dir), export_dir, warmup=warmup)


def _draw_held_out(saved_model: str, split: nuclei.CocoSplit, path: str) -> str:
  """Draw the held-out tiles in three columns: image, ground truth, prediction of the SavedModel."""
  from htc_tf.serving import detectors, drawing, predict_files

  detector = detectors.load_detector(saved_model)
  with ground_truth_lib.silence():
    coco = coco_lib.COCO(split.annotation_file)
  columns: list[list[np.ndarray]] = [[], [], []]
  for image_id in sorted(coco.imgs):
    path_of_image = os.path.join(split.image_folder, coco.imgs[image_id]['file_name'])
    pixels = images.read_image(path_of_image).pixels()
    found = predict_files.detect_instances(detector, pixels)
    prediction = drawing.draw_detections(pixels, found, detector.category_names, _SCORE_DRAWN)
    ground_truth = _draw_ground_truth(pixels, coco.imgToAnns[image_id], detector.category_names)
    factor = prediction.shape[0] // pixels.shape[0]
    enlarged = np.kron(pixels, np.ones((factor, factor, 1), np.uint8))
    for column, panel in zip(columns, (enlarged, ground_truth, prediction)):
      column.append(panel)
  titles = ('held-out image', 'ground truth', f'prediction (score >= {_SCORE_DRAWN})')
  panels.write_image(
    path, panels.side_by_side([np.concatenate(column) for column in columns], titles)
  )
  return path


def _draw_ground_truth(
  pixels: np.ndarray, annotations: list[dict], names: Sequence[str]
) -> np.ndarray:
  """The image with its annotations drawn over it; small images are enlarged."""
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
