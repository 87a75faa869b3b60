"""Tests of the demo: its parts, and as a slow test the whole workflow with a tiny model."""

import json
import os
import sys

import numpy as np
import pytest
from PIL import Image

from htc_tf import demo
from htc_tf.data import nuclei
from htc_tf.errors import InputError

_TINY = {
  'task': {
    'model': {
      'input_size': [64, 64, 3],
      'backbone': {'published_resnet': {'width_multiplier': 0.125}},
      'decoder': {'published_fpn': {'num_filters': 8}},
      'rpn_head': {'published': {'num_filters': 8}},
      'mask_head': {'num_convs': 1, 'num_filters': 8},
      'semantic_head': {'num_convs': 1, 'num_filters': 8},
    },
    'train_data': {'parser': {'min_sizes': [64], 'max_size': 64}},
    'validation_data': {'parser': {'min_sizes': [64], 'max_size': 64}},
  },
  'trainer': {'steps_per_loop': 1, 'summary_interval': 1, 'checkpoint_interval': 1},
}


def _with_steps(steps):
  trainer = {**_TINY['trainer'], 'train_steps': steps, 'validation_interval': steps}
  return {**_TINY, 'trainer': trainer}


def test_progress_is_read_from_the_log_of_the_trainer():
  line = 'epoch 19.4/60.0  step 175/540  loss  1.902  rpn  0.1  rate 2.0e-02  1.1 s/step\n'
  assert demo._STEP_LINE.match(line)[1] == '175'
  for line in ('step 175 evaluated in 0:07: segm_AP 31.4, the best so far', 'schedule  540 steps'):
    assert not demo._STEP_LINE.match(line)


def test_given_overrides_are_kept_and_the_records_are_added():
  overrides = json.loads(demo._overrides('out', _with_steps(3)))
  assert overrides['trainer']['train_steps'] == 3
  data = overrides['task']['train_data']
  assert data['parser']['min_sizes'] == [64]
  assert data['input_path'] == os.path.join('out', 'records', 'train-*.tfrecord')


def test_a_number_of_steps_must_be_positive():
  trainer = demo.shortened(10)['trainer']
  assert set(trainer.values()) == {10}
  longer = {**dict.fromkeys(trainer, 25), 'train_steps': 60, 'validation_interval': 60}
  assert demo.shortened(60)['trainer'] == longer
  with pytest.raises(demo.DemoError, match=r'1 or more. Got: 0'):
    demo.shortened(0)


@pytest.mark.parametrize(
  'files, got',
  [
    (None, r'the files \[\]'),
    ({'step-3.json': '[]'}, r"the files \['step-3.json'\]"),
    ({'step-3-metrics.json': ''}, 'step-3-metrics.json: JSONDecodeError'),
    ({'step-3-metrics.json': '[1]'}, 'step-3-metrics.json: TypeError'),
    ({'step-3-metrics.json': '{"bbox_AP": 0.5}'}, "step-3-metrics.json: KeyError.'bbox_AP50'"),
  ],
)
def test_an_evaluation_without_figures_is_one_clear_error(tmp_path, monkeypatch, files, got):
  def evaluate(name, command, log_path):
    if files is not None:
      (tmp_path / 'results').mkdir()
      for file, content in files.items():
        (tmp_path / 'results' / file).write_text(content)

  monkeypatch.setattr(demo, '_run', evaluate)
  with pytest.raises(demo.DemoError, match=rf'wrote no figures.*{got}.*see eval.log'):
    demo._evaluate(str(tmp_path), '{}', 'eval.log')


def test_the_figures_of_the_evaluation_are_read(tmp_path, monkeypatch):
  figures = {'bbox_AP': 0.5, 'bbox_AP50': 0.6, 'segm_AP': 0.7, 'segm_AP50': 0.8, 'more': 1.0}

  def evaluate(name, command, log_path):
    (tmp_path / 'results').mkdir()
    (tmp_path / 'results' / 'step-3-metrics.json').write_text(json.dumps(figures))

  monkeypatch.setattr(demo, '_run', evaluate)
  assert demo._evaluate(str(tmp_path), '{}', 'eval.log') == figures


@pytest.mark.parametrize('name', ['coco', 'saved_model', 'train.log'])
def test_a_folder_with_files_of_others_is_refused(tmp_path, name):
  (tmp_path / name).mkdir()
  with pytest.raises(InputError, match=f'The demo would replace {tmp_path}/{name}'):
    demo.run(str(tmp_path))
  assert os.listdir(tmp_path) == [name] and not os.listdir(tmp_path / name)


@pytest.mark.parametrize('earlier', [[], ['other.txt'], ['.htc-demo', 'coco'], ['summary.json']])
def test_a_folder_of_its_own_and_a_new_one_are_used(tmp_path, earlier):
  for name in earlier:
    (tmp_path / 'demo').mkdir(exist_ok=True)
    (tmp_path / 'demo' / name).touch()
  demo._check_own(str(tmp_path / 'demo'))
  assert sorted(os.listdir(tmp_path / 'demo')) == sorted({*earlier, '.htc-demo'})


def test_a_failed_command_shows_the_end_of_its_log(tmp_path):
  script = 'import sys; print("the reason"); sys.exit(3)'
  with pytest.raises(demo.DemoError, match=r'training failed with status 3(.|\n)*the reason'):
    demo._run('training', [sys.executable, '-c', script], str(tmp_path / 'log'))


def test_every_line_of_a_command_reaches_the_callback_and_the_log(tmp_path):
  lines = []
  command = [sys.executable, '-c', 'print("a"); print("b")']
  demo._run('training', command, str(tmp_path / 'log'), lines.append)
  assert lines == ['a\n', 'b\n']
  assert (tmp_path / 'log').read_text() == 'a\nb\n'


def test_the_ground_truth_panel_shows_every_annotation(tmp_path):
  split = nuclei.write_nuclei_coco(str(tmp_path))['val']
  with open(split.annotation_file, encoding='utf-8') as file:
    annotations = json.load(file)['annotations']
  first = [a for a in annotations if a['image_id'] == annotations[0]['image_id']]
  image = np.zeros([128, 128, 3], np.uint8)
  panel = demo._draw_ground_truth(image, first, ['nucleus'])
  enlarge = panel.shape[0] // 128
  for annotation in first:
    x, y, width, height = annotation['bbox']
    inside = panel[
      int(y) * enlarge : int(y + height) * enlarge, int(x) * enlarge : int(x + width) * enlarge
    ]
    assert inside.any()


@pytest.mark.slow
def test_the_whole_workflow_and_its_continuation(tmp_path):
  folder = str(tmp_path / 'demo')
  demo.run(folder, _with_steps(1))
  summary = demo.run(folder, _with_steps(3))
  with open(os.path.join(folder, 'train.log'), encoding='utf-8') as file:
    steps = [match[1] for match in map(demo._STEP_LINE.match, file) if match]
  assert steps == ['1', '2', '3']  # The second run continued from the checkpoint of the first.
  with open(os.path.join(folder, 'summary.json'), encoding='utf-8') as file:
    assert json.load(file) == summary
  with open(
    os.path.join(folder, 'model', 'results', 'step-3-metrics.json'), encoding='utf-8'
  ) as file:
    figures = json.load(file)
  assert summary['segm_ap50'] == figures['segm_AP50']
  assert summary['bbox_ap'] == figures['bbox_AP']
  with Image.open(summary['image']) as image:
    assert image.width > 1000
  assert os.path.exists(os.path.join(summary['saved_model'], 'saved_model.pb'))
