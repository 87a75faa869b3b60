"""Tests of score thresholds by class, which come from an evaluation report."""

import json

import numpy as np
import pytest
from PIL import Image

from htc_tf.cli import predict
from htc_tf.data.images import image_from_pixels
from htc_tf.errors import InputError
from htc_tf.evaluation import ground_truth as ground_truth_lib
from htc_tf.evaluation.analysis import analyze
from htc_tf.reports import class_table, report_files
from htc_tf.serving import detectors, predict_files, score_thresholds
from htc_tf.serving.detected_image import DetectedImage
from htc_tf.serving.instances import Instances
from htc_tf.serving.score_thresholds import ScoreThresholds
from tests.evaluation import cases

_SCORES = (0.9, 0.6, 0.5, 0.2)


def _report(path, **thresholds):
  classes = [{'class': name, 'best_threshold': value} for name, value in thresholds.items()]
  path.write_text(json.dumps({'written_by': 'htc-evaluate', 'classes': classes}))
  return str(path)


def _instances():
  boxes = np.tile(np.array([[0, 0, 3, 3]], np.float32), [4, 1])
  return Instances(boxes, np.array([1, 2, 1, 2]), np.array(_SCORES, np.float32), None)


def _image(names=('cat', 'dog')):
  return DetectedImage(image_from_pixels(np.zeros((4, 6, 3), np.uint8)), _instances(), names)


@pytest.mark.parametrize(
  'min_score, expected',
  [
    ({'cat': 0.55, 'dog': 0.1}, [0.9, 0.6, 0.2]),
    ({'cat': 0.5, 'dog': 0.61}, [0.9, 0.5]),
    ({'dog': 0.6}, [0.9, 0.6, 0.5]),
    ({}, [0.9, 0.6, 0.5, 0.2]),
    (0.5, [0.9, 0.6, 0.5]),
  ],
)
def test_each_class_has_its_own_smallest_score(min_score, expected):
  np.testing.assert_allclose(_image().filtered(min_score).scores, expected)


def test_a_class_that_the_model_lacks_is_refused():
  with pytest.raises(InputError, match=r'cannot be filtered.*cat, dog.*Got: cow'):
    _image().filtered({'cow': 0.5})
  assert len(_image(names=()).filtered({'class 1': 0.55, 'class 3': 0.5})) == 3


def test_a_report_is_read_by_name_and_falls_back(tmp_path):
  found = score_thresholds.read(_report(tmp_path / 'm.json', cat=0.7, dog=None), 0.25)
  assert found.of_classes(['dog', 'cat', 'cow']) == {'dog': 0.25, 'cat': 0.7, 'cow': 0.25}
  text = found.describe(['dog', 'cat', 'cow'])
  assert text.endswith('m.json, or 0.25 without one there (dog, cow)')
  assert score_thresholds.read(None, 0.25).of_classes(['cat']) == 0.25
  zero = score_thresholds.read(_report(tmp_path / 'm.json', cat=0), 0.25)
  assert zero.of_classes(['cat', 'dog']) == {'cat': 0, 'dog': 0.25}


@pytest.mark.parametrize('names', [['horse', 'cow'], ['cat'], []])
def test_a_report_of_other_classes_is_refused_with_their_names(tmp_path, names):
  found = score_thresholds.read(_report(tmp_path / 'm.json', cat=0.7, dog=0.1), 0.3)
  with pytest.raises(InputError, match=r'm\.json are of other classes.*Got: (cat, )?dog'):
    found.of_classes(names)


def test_classes_of_the_annotations_without_detections_do_not_matter(tmp_path):
  found = score_thresholds.read(_report(tmp_path / 'm.json', cat=0.7, cow=None), 0.3)
  assert found.of_classes(['cat', 'dog']) == {'cat': 0.7, 'dog': 0.3}
  with pytest.raises(InputError, match='other classes'):
    found.of_classes(['dog'])


@pytest.mark.parametrize(
  'content',
  ['', '[]', '{}', '{"classes": 3}', '{"classes": [{"class": "a"}]}', '\xff']
  + [
    json.dumps({'classes': [{'class': 'a', 'best_threshold': value}]})
    for value in ('0.5', 50, -1, True, [1])
  ]
  + ['{"classes": [{"class": "a", "best_threshold": NaN}]}']
  + [json.dumps({'classes': [{'class': 'a', 'best_threshold': value} for value in (0.1, 0.2)]})],
)
def test_other_files_are_refused(tmp_path, content):
  (tmp_path / 'm.json').write_bytes(content.encode('latin-1'))
  with pytest.raises(InputError, match=r'm\.json has no score thresholds.*metrics\.json'):
    score_thresholds.read(str(tmp_path / 'm.json'), 0.3)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
  for path in (tmp_path / 'none.json', tmp_path):
    with pytest.raises(InputError, match=str(path)):
      score_thresholds.read(str(path), 0.3)


def test_a_written_report_is_read(tmp_path):
  dataset = cases.dataset(seed=0)
  truth = ground_truth_lib.load_ground_truth(cases.write(tmp_path, dataset), False)
  results = [
    {
      'image_id': entry['image_id'],
      'category_id': entry['category_id'],
      'bbox': list(entry['bbox']),
      'score': 0.5,
    }
    for entry in truth.anns.values()
  ]
  analysis = analyze(truth, results, sorted(truth.cats), False)
  rows = class_table.class_rows(analysis)
  report_files.write_metrics(str(tmp_path / 'metrics.json'), analysis, rows, 'x', {})
  found = score_thresholds.read(str(tmp_path / 'metrics.json'), 0.3)
  assert list(found.by_name) == [row.name for row in rows]
  assert list(found.by_name.values()) == [row.threshold for row in rows]
  assert 0.5 in found.by_name.values()


def _predicted(tmp_path, thresholds):
  Image.new('RGB', (6, 4)).save(tmp_path / 'a.png')
  detector = predict_files.Detector(lambda images: [_instances()], ['cat', 'dog'], [7, 9])
  lines = []
  paths, output = [str(tmp_path / 'a.png')], str(tmp_path / 'out')
  predict_files.predict_files(detector, paths, output, thresholds, save=['csv'], log=lines.append)
  rows = (tmp_path / 'out' / 'measurements.csv').read_text().splitlines()[1:]
  return [row.split(',')[2] for row in rows], lines[0]


def test_outputs_and_summary_follow_the_report_and_predictions_have_all(tmp_path):
  path = _report(tmp_path / 'm.json', cat=0.7)
  found, line = _predicted(tmp_path, score_thresholds.read(path, 0.1))
  assert found == ['cat', 'dog', 'dog']
  assert line.startswith(
    f'1 image, 3 objects with at least the score of their class in {path}, or 0.1 without one '
    'there (dog) (dog 2, cat 1)'
  )
  assert len(json.loads((tmp_path / 'out' / 'predictions.json').read_text())) == 4
  found, line = _predicted(tmp_path, ScoreThresholds(0.6))
  assert found == ['cat', 'dog'] and '2 objects with a score of 0.6 or more' in line


def test_the_command_takes_the_report(tmp_path, monkeypatch, capsys):
  detector = predict_files.Detector(lambda images: [_instances()], ['cat', 'dog'], [7, 9])
  monkeypatch.setattr(detectors, 'load_detector', lambda *_: detector)
  Image.new('RGB', (6, 4)).save(tmp_path / 'a.png')
  arguments = ['--model=none', f'--output={tmp_path}/out', f'{tmp_path}/a.png']
  path = _report(tmp_path / 'm.json', cat=0.7)
  given = [f'--thresholds={path}', '--score_threshold=0.6']
  assert predict.main([*arguments, *given]) == 0
  assert '2 objects with at least the score' in capsys.readouterr().out
  other = _report(tmp_path / 'other.json', horse=0.7)
  assert predict.main([*arguments, f'--thresholds={other}']) == 2
  assert 'Got: horse' in capsys.readouterr().err


@pytest.mark.parametrize(
  'more, expected',
  [
    ({}, ''),
    ({'subject': 'model/ckpt-7'}, ' (the report of model/ckpt-7)'),
    (
      {'subject': 'model/ckpt-7', 'sources': {'overrides': 'task.x=1'}},
      ' (the report of model/ckpt-7 with task.x=1)',
    ),
    ({'subject': 3, 'sources': []}, ''),
  ],
)
def test_the_summary_says_what_the_report_is_of(tmp_path, more, expected):
  """It may be of another model with the same classes, or of other settings."""
  path = tmp_path / 'metrics.json'
  path.write_text(json.dumps({**more, 'classes': [{'class': 'cat', 'best_threshold': 0.4}]}))
  text = score_thresholds.read(str(path), 0.3).describe(['cat'])
  assert text == f'with at least the score of their class in {path}{expected}'
