"""The way of a newcomer, from annotated pictures to a served model, by the commands alone.

Every command but the first is the one that the command before it printed as the next one.
"""

import json
import os
import pathlib
import shlex
import subprocess
import sys

import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from benchmarks import still_lifes
from htc_tf.data.dataset_info import DatasetInfo

pytestmark = pytest.mark.slow

_ROOT = pathlib.Path(__file__).parents[1]
_SCRIPTS = pathlib.Path(sys.executable).parent


def _run(folder: pathlib.Path, command: str) -> str:
  """Run a command line in a folder; returns its output, of which the last line is the next one."""
  words = shlex.split(command)
  environment = {**os.environ, 'PYTHONPATH': str(_ROOT), 'TF_CPP_MIN_LOG_LEVEL': '3'}
  done = subprocess.run(
    [str(_SCRIPTS / words[0]), *words[1:]],
    cwd=folder,
    env=environment,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
    check=False,
  )
  assert done.returncode == 0, f'{command}\n{done.stdout[-4000:]}'
  return done.stdout


def _next(output: str, name: str) -> str:
  """The command that an output names as the next one."""
  last = output.strip().splitlines()[-1]
  assert last.startswith(f'next: {name} '), last
  return last.removeprefix('next: ')


def _walk(folder: pathlib.Path, first: str, epochs: int, pictures: str) -> list[str]:
  """Run the six commands and the prediction with the served model; returns their outputs."""
  outputs = [_run(folder, first)]
  names = ('htc-show', 'htc-train', 'htc-evaluate', 'htc-predict', 'htc-export', 'htc-predict')
  for name in names:
    command = _next(outputs[-1], name)
    command = command.replace('--epochs=100', f'--epochs={epochs}')
    command = command.replace('--size=small', '--size=nano')  # With a GPU, a larger size is named.
    outputs.append(_run(folder, command.replace('IMAGE_OR_FOLDER', shlex.quote(pictures))))
  return outputs


def _mask_ap(annotations: str, results: pathlib.Path) -> float:
  coco = COCO(annotations)
  evaluation = COCOeval(coco, coco.loadRes(str(results)), 'segm')
  evaluation.evaluate()
  evaluation.accumulate()
  evaluation.summarize()
  return float(evaluation.stats[0])


def test_from_a_coco_file_without_a_split_to_a_served_model(tmp_path):
  still_lifes.write(str(tmp_path))
  outputs = _walk(
    tmp_path,
    'htc-create-coco-records --annotations=all.json --image_folder=images --output_folder=data'
    ' --val_fraction',
    epochs=60,
    pictures='images',
  )
  assert 'divided by class: 14 images for training, 4 for validation' in outputs[0]
  assert (tmp_path / 'data' / 'show' / 'index.html').exists()
  model = tmp_path / 'model'
  assert (model / 'results.csv').exists() and (model / 'results.png').exists()
  report = model / 'best' / 'report'
  assert (report / 'report.html').exists()
  info = DatasetInfo.load(str(tmp_path / 'data' / 'val.json'))
  figures = json.loads((report / 'metrics.json').read_text(encoding='utf-8'))
  mask_ap = _mask_ap(info.annotation_path, report / 'detections.segm.json')
  assert mask_ap >= 0.65
  assert figures['figures']['segm_AP'] == pytest.approx(mask_ap, abs=1e-6)
  for name in ('predictions', 'served'):
    assert len(list((tmp_path / name).glob('*.png'))) == 18
  by_model, by_export = (
    json.loads((tmp_path / name / 'predictions.json').read_text(encoding='utf-8'))
    for name in ('predictions', 'served')
  )
  assert len(by_model) == len(by_export) > 0


def test_from_a_folder_of_labelme_to_a_served_model(tmp_path):
  still_lifes.write(str(tmp_path), 10, labelme=True)
  outputs = _walk(
    tmp_path,
    'htc-create-coco-records --annotations=images --output_folder=data --val_fraction',
    epochs=3,
    pictures='images/picture_01.jpg',
  )
  assert 'labelme' in outputs[0].lower()
  assert (tmp_path / 'model' / 'best' / 'report' / 'report.html').exists()
  assert (tmp_path / 'export' / '1' / 'saved_model.pb').exists()
