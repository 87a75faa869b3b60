"""Tests of htc-evaluate on results files and on a model."""

import csv
import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from PIL import Image
from pycocotools import coco as coco_lib
from pycocotools import cocoeval

from htc_tf.checkpoints import model_directory
from htc_tf.cli import evaluate
from htc_tf.evaluation import coco_results
from htc_tf.evaluation import ground_truth as ground_truth_lib
from htc_tf.reports import page as page_lib
from htc_tf.reports import report_files
from htc_tf.tasks.htc import HTCTask
from tests import evaluation_cases, tiny_records
from tests.reports import html_pages

_FILES = ['detections.json', 'detections.segm.json', 'metrics.json', 'per_class.csv', 'report.html']


@pytest.fixture(name='inputs')
def _inputs(tmp_path):
  """A folder with annotations, a results file with masks, and images."""
  case = evaluation_cases.random_case(8, num_images=6, crowds=True)
  (tmp_path / 'images').mkdir()
  for image in case.ground_truth.dataset['images']:
    Image.new('RGB', (200, 200), (90, 120, 90)).save(tmp_path / 'images' / image['file_name'])
  (tmp_path / 'val.json').write_text(json.dumps(case.ground_truth.dataset))
  for result in case.results:
    result['segmentation']['counts'] = result['segmentation']['counts'].decode()
  (tmp_path / 'predictions.json').write_text(json.dumps(case.results))
  return tmp_path


def _run(folder, *flags, output='out'):
  return evaluate.main(
    [
      f'--results={folder}/predictions.json',
      f'--annotations={folder}/val.json',
      f'--output={folder}/{output}',
      *flags,
    ]
  )


def _metrics(folder):
  return json.loads((folder / 'metrics.json').read_text())


def _stats(annotations, results, iou_type):
  with ground_truth_lib.silence():
    ground_truth = coco_lib.COCO(str(annotations))
    evaluation = cocoeval.COCOeval(ground_truth, ground_truth.loadRes(str(results)), iou_type)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
  return evaluation.stats.tolist()


def _figures(metrics, iou_type):
  return [value for name, value in metrics['figures'].items() if name.startswith(iou_type)][:12]


def test_the_figures_of_a_results_file_are_those_of_pycocotools(inputs, capsys):
  assert _run(inputs, f'--image_folder={inputs}/images') == 0
  assert sorted(os.listdir(inputs / 'out')) == _FILES
  metrics = _metrics(inputs / 'out')
  for iou_type, name in (('bbox', 'detections.json'), ('segm', 'detections.segm.json')):
    stats = _stats(inputs / 'val.json', inputs / 'out' / name, iou_type)
    assert _figures(metrics, iou_type) == pytest.approx(stats, abs=1e-12)
  assert f'report: {inputs}/out/report.html' in capsys.readouterr().out
  page = html_pages.check_self_contained((inputs / 'out' / 'report.html').read_text())
  assert any('truth and detections' in image['alt'] for image in page.all('img'))
  with open(inputs / 'out' / 'per_class.csv', encoding='utf-8-sig') as file:
    rows = list(csv.DictReader(file))
  assert [row['class'] for row in rows] == [f'class {number}' for number in range(1, 5)]
  aps = [float(row['mask_AP']) for row in rows if row['mask_AP']]
  assert np.mean(aps) == pytest.approx(metrics['figures']['segm_AP'])


def test_the_detections_of_a_report_give_the_same_report(inputs):
  _run(inputs)
  shutil.copy(inputs / 'out' / 'detections.json', inputs / 'predictions.json')
  _run(inputs, output='again')
  first, second = _metrics(inputs / 'out'), _metrics(inputs / 'again')
  assert {**first, 'sources': None} == {**second, 'sources': None}


def test_a_report_is_replaced_aloud_and_other_files_stay(inputs, capsys):
  _run(inputs)
  (inputs / 'out' / 'notes.txt').write_text('mine')
  (inputs / 'predictions.json').write_text('[]')
  assert _run(inputs) == 0
  assert 'is replaced' in capsys.readouterr().err
  assert _metrics(inputs / 'out')['detections'] == 0
  assert (inputs / 'out' / 'notes.txt').read_text() == 'mine'
  assert not (inputs / 'out' / 'detections.segm.json').exists()


def test_what_is_left_out_is_named_in_the_terminal_and_on_the_page(inputs, capsys):
  results = json.loads((inputs / 'predictions.json').read_text())
  results += [{**results[0], 'image_id': 999}, results[1]]
  (inputs / 'predictions.json').write_text(json.dumps(results))
  assert _run(inputs) == 0
  page = html_pages.ParsedPage((inputs / 'out' / 'report.html').read_text())
  error = capsys.readouterr().err
  for finding in (
    '1 detections in images that the annotations do not have',
    '1 detection is a copy',
  ):
    assert f'note: {finding}' in error
    assert any(text.startswith(finding) for text in page.texts_of('li'))


def test_findings_in_the_annotations_are_logged_once(inputs, caplog):
  annotations = json.loads((inputs / 'val.json').read_text())
  for image in annotations['images']:
    del image['height'], image['width']
  (inputs / 'val.json').write_text(json.dumps(annotations))
  assert _run(inputs, f'--image_folder={inputs}/images') == 0
  assert caplog.text.count('6 image entries without height and width') == 1
  page = html_pages.ParsedPage((inputs / 'out' / 'report.html').read_text())
  assert any('truth and detections' in image['alt'] for image in page.all('img'))


def test_masks_without_annotated_masks_are_evaluated_by_their_boxes(inputs, capsys):
  annotations = json.loads((inputs / 'val.json').read_text())
  for annotation in annotations['annotations']:
    annotation['segmentation'] = []
  (inputs / 'val.json').write_text(json.dumps(annotations))
  assert _run(inputs) == 0
  assert 'note: the annotations have no masks; boxes alone are evaluated' in capsys.readouterr().err
  metrics = _metrics(inputs / 'out')
  stats = _stats(inputs / 'val.json', inputs / 'out' / 'detections.json', 'bbox')
  assert _figures(metrics, 'bbox') == pytest.approx(stats, abs=1e-12)
  assert not _figures(metrics, 'segm')


@pytest.mark.parametrize(
  'where, name, number',
  [
    (report_files, 'write_metrics', 0),
    (coco_results, 'write_results', 0),
    (coco_results, 'write_results', 1),
    (report_files, 'write_classes', 0),
    (page_lib.Page, 'write', 0),
  ],
)
def test_a_report_that_was_interrupted_is_replaced(inputs, monkeypatch, where, name, number):
  original, calls = getattr(where, name), []

  def interrupted(*arguments):
    if len(calls) == number:
      raise KeyboardInterrupt
    calls.append(arguments)
    original(*arguments)

  with monkeypatch.context() as patch:
    patch.setattr(where, name, interrupted)
    assert _run(inputs) != 0
  assert not (inputs / 'out' / 'report.html').exists()
  assert _run(inputs) == 0
  assert sorted(os.listdir(inputs / 'out')) == _FILES


@pytest.mark.parametrize('name', ['report.html', 'metrics.json'])
def test_files_of_others_are_not_replaced(inputs, name, capsys):
  (inputs / 'out').mkdir()
  (inputs / 'out' / name).write_text('{"mine": 1}')
  assert _run(inputs) == 2
  assert name in capsys.readouterr().err
  assert os.listdir(inputs / 'out') == [name]


def test_the_results_of_a_report_are_not_replaced_by_its_next_run(inputs, capsys):
  _run(inputs)
  before = (inputs / 'out' / 'detections.json').read_bytes()
  flags = [f'--results={inputs}/out/detections.json', f'--output={inputs}/images/../out']
  assert _run(inputs, *flags) == 2
  assert 'would replace' in capsys.readouterr().err
  assert (inputs / 'out' / 'detections.json').read_bytes() == before


def test_the_report_is_beside_the_results_by_default(inputs):
  flags = [f'--results={inputs}/predictions.json', f'--annotations={inputs}/val.json']
  assert evaluate.main(flags) == 0
  assert sorted(os.listdir(inputs / 'report')) == _FILES


@pytest.mark.parametrize(
  'flags, message',
  [
    ([], '--model or --results'),
    (['--model=m', '--results={}/predictions.json'], 'one of --model and --results'),
    (['--results={}/predictions.json'], '--annotations beside --results'),
    (['--model=m', '--data={}', '--input_path={}/val.json'], 'one of --data and --input_path'),
    (
      ['--results={}/predictions.json', '--annotations={}/val.json', '--ensemble_level=rois'],
      'beside --results. Got: --ensemble_level',
    ),
    (
      ['--results={}/predictions.json', '--annotations={}/val.json', '--experiment=x'],
      'beside --results',
    ),
    (['--model=m', '--image_folder={}/none'], 'none does not exist'),
    (['--model={}/none'], 'There is no checkpoint'),
    (['--results={}/none', '--annotations={}/val.json'], 'none does not exist'),
  ],
)
def test_arguments_that_do_not_fit_are_refused(inputs, flags, message, capsys):
  before = sorted(os.listdir(inputs))
  assert evaluate.main([flag.format(inputs) for flag in flags]) == 2
  assert message in capsys.readouterr().err
  assert sorted(os.listdir(inputs)) == before


def test_an_export_is_refused_with_the_way_to_evaluate_it(tmp_path, capsys):
  (tmp_path / 'saved_model.pb').touch()
  assert evaluate.main([f'--model={tmp_path}']) == 2
  assert 'htc-predict' in capsys.readouterr().err


@pytest.fixture(scope='module', name='model_dir')
def _model_dir(tmp_path_factory):
  """A model directory with two checkpoints of random weights, whose run names records."""
  folder = tmp_path_factory.mktemp('run')
  records = tiny_records.write(folder, prefix='val')
  params = tiny_records.reduced('htc_nuclei', records)
  params.task.model.cascade.stages = params.task.model.cascade.stages[:1]
  params.task.model.detection_generator.score_threshold = 0.0
  path = folder / 'model'
  model_directory.create(str(path))
  model_directory.save_params(str(path), params)
  tf_keras.utils.set_random_seed(3)
  model = HTCTask(params.task).build_model()
  checkpoint = tf.train.Checkpoint(model=model, **model.checkpoint_items)
  manager = tf.train.CheckpointManager(checkpoint, str(path), max_to_keep=2)
  manager.save(1)
  manager.save(2)
  return path


def test_a_model_is_evaluated_on_the_records_of_its_run(model_dir, capsys):
  assert evaluate.main([f'--model={model_dir}']) == 0
  report = model_dir / 'report'
  metrics = _metrics(report)
  assert metrics['subject'] == str(model_dir / 'ckpt-2') and metrics['images'] == 4
  assert metrics['detections'] > 0
  annotations = metrics['sources']['annotations']
  for iou_type, name in (('bbox', 'detections.json'), ('segm', 'detections.segm.json')):
    stats = _stats(annotations, report / name, iou_type)
    assert _figures(metrics, iou_type) == pytest.approx(stats, abs=1e-9)
  page = html_pages.check_self_contained((report / 'report.html').read_text())
  assert any('truth and detections in 1.png' in image['alt'] for image in page.all('img'))
  assert 'replaced' not in capsys.readouterr().err
  # The same command after another checkpoint, here with the older one.
  flags = [f'--model={model_dir}/ckpt-1', f'--data={model_dir.parent}/records']
  assert evaluate.main(flags) == 0
  assert _metrics(report)['subject'] == str(model_dir / 'ckpt-1')
  assert f'{model_dir}/ckpt-2 in {report} is replaced' in capsys.readouterr().err


def test_a_report_names_its_overrides(model_dir, tmp_path):
  """Otherwise, its figures and thresholds could be taken for those of the model as it is."""
  override = 'task.model.detection_generator.max_detections=3'
  flags = [f'--model={model_dir}', f'--output={tmp_path}', f'--params_override={override}']
  assert evaluate.main(flags) == 0
  assert _metrics(tmp_path)['sources']['overrides'] == override
  assert override in (tmp_path / 'report.html').read_text()


def test_a_model_is_evaluated_with_views(model_dir, tmp_path, capsys):
  plain = evaluate.main([f'--model={model_dir}', f'--output={tmp_path}/plain'])
  flags = [f'--model={model_dir}', f'--output={tmp_path}/views', '--tta=48,64+flip']
  assert (plain, evaluate.main(flags)) == (0, 0)
  figures, with_views = (_metrics(tmp_path / name) for name in ('plain', 'views'))
  assert not {'test-time augmentation', 'overrides'} & set(figures['sources'])
  views = with_views['sources']['test-time augmentation']
  assert views.startswith('short sides 48 (long side up to 48), 64') and 'mirrored' in views
  assert figures['figures'] != with_views['figures']
  assert with_views['images'] == figures['images'] == 4
  assert evaluate.main([*flags[:-1], '--tta=flop']) == 2
  assert 'The views of test-time augmentation cannot be read' in capsys.readouterr().err


@pytest.mark.slow
def test_a_model_is_evaluated_together_with_others(model_dir, tmp_path, capsys):
  """A model together with itself finds what it finds alone, if detections are joined."""
  results = {}
  for name, flags in {
    'alone': [],
    'detections': [f'--ensemble={model_dir}/ckpt-1', '--ensemble_level=detections'],
    'rois': [f'--ensemble={model_dir}/ckpt-1', '--tta=flip'],
  }.items():
    output = tmp_path / name
    assert evaluate.main([f'--model={model_dir}', f'--output={output}', *flags]) == 0
    results[name] = _metrics(output)
  alone, together = results['alone'], results['detections']
  assert together['figures'] == pytest.approx(alone['figures'], abs=1e-6)
  assert together['detections'] == alone['detections']
  assert 'ensemble' not in alone['sources']
  expected = f'joined at the level of detections with {model_dir}/ckpt-1'
  assert together['sources']['ensemble'] == expected
  assert results['rois']['figures'] != alone['figures']
  flags = ['--ensemble=other', '--ensemble_level=boxes', f'--output={tmp_path}/o']
  assert evaluate.main([f'--model={model_dir}', *flags]) == 2
  assert "Expected: one of rois, detections. Got: 'boxes'" in capsys.readouterr().err


def test_the_level_of_an_ensemble_without_models_is_refused(model_dir, tmp_path, capsys):
  flags = [f'--model={model_dir}', '--ensemble_level=detections', f'--output={tmp_path}/o']
  assert evaluate.main(flags) == 2
  assert '--ensemble_level has no effect. Expected: --ensemble=MODEL' in capsys.readouterr().err
  assert not (tmp_path / 'o').exists()


@pytest.mark.parametrize(
  'flag',
  [
    '--tta=flop',
    '--params_override=task.test_time_augmentation.min_sizes=[0]',
    '--params_override=task.model.num_classe=3',
    '--ensemble=',
  ],
)
def test_a_wrong_model_leaves_no_folder(model_dir, tmp_path, flag, capsys):
  assert evaluate.main([f'--model={model_dir}', flag, f'--output={tmp_path}/o']) == 2
  assert 'error: ' in capsys.readouterr().err
  assert not (tmp_path / 'o').exists()


def test_a_folder_without_validation_records_is_refused(model_dir, tmp_path, capsys):
  (tmp_path / 'train.json').touch()
  assert (
    evaluate.main([f'--model={model_dir}', f'--data={tmp_path}', f'--output={tmp_path}/o']) == 2
  )
  assert '--val_fraction' in capsys.readouterr().err
