"""Tests of conversion and evaluation with changed annotation files, and of the fuzzer itself."""

import pytest

from htc_tf.data import (
  box_checks,
  check_report,
  coco_annotations,
  coco_entries,
  record_example,
  value_reader,
)
from tests.data import annotation_fuzzer


@pytest.mark.parametrize('num_files', [200, pytest.param(5000, marks=pytest.mark.slow)])
def test_changed_annotation_files_are_read_or_refused_and_nothing_is_lost(tmp_path, num_files):
  """The slow case reads as many files as `make fuzz`."""
  lines = []
  report = annotation_fuzzer.run(num_files, 2, tmp_path, lines.append)
  assert report['failures'] == []
  assert report['files'] == report['converted'] + report['refused'] == num_files
  assert report['converted'] > num_files // 2 and report['refused'] > num_files // 100
  assert len(lines) == num_files // 250


# The object and name of a function, a faulty version of it, and words of the failure.
FAULTS = {
  'text is not counted': (
    value_reader.ValueReader,
    '_count_text',
    lambda real: lambda *_: None,
    'and nothing was counted',
  ),
  'annotations of dropped images are not counted': (
    check_report.CheckReport,
    'add_dropped',
    lambda real: lambda *_: None,
    'counted as dropped',
  ),
  'an image is dropped without a count': (
    coco_entries._Sizes,
    'get',
    lambda real: lambda self, entry: real(self, entry) if entry['id'] != 4 else {},
    'images, 3 written',
  ),
  'an exception': (
    value_reader.ValueReader,
    'box',
    lambda real: lambda self, value, name: real(self, value.copy(), name),
    'AttributeError',
  ),
  'boxes are not clipped': (
    box_checks,
    'within',
    lambda real: lambda box, image: box,
    "['boxes'",
  ),
  'records have other classes': (
    record_example,
    'label_instances',
    lambda real: (
      lambda annotations, labels, *rest: real(annotations, dict.fromkeys(labels, 1), *rest)
    ),
    "['classes']",
  ),
  'the evaluation drops annotations': (
    coco_annotations._Cleaner,
    'clean',
    lambda real: (
      lambda self, entry, image: (
        None if self._for_evaluation and entry['id'] == 15 else real(self, entry, image)
      )
    ),
    'annotations in the evaluation',
  ),
}


@pytest.mark.parametrize('name', FAULTS)
def test_faults_of_the_readers_are_noticed(tmp_path, monkeypatch, name):
  owner, attribute, fault, shown = FAULTS[name]
  monkeypatch.setattr(owner, attribute, fault(getattr(owner, attribute)))
  report = annotation_fuzzer.run(1000, 1, tmp_path, until_failure=True)
  (failure,) = report['failures']
  assert shown in failure


def test_the_same_seed_gives_the_same_files(tmp_path, monkeypatch):
  seen = []

  def record(trial, content, *rest):
    seen.append(repr(content))
    return '', True

  monkeypatch.setattr(annotation_fuzzer, 'failure', record)
  for number, seed in enumerate((3, 3, 4)):
    folder = tmp_path / str(number)
    folder.mkdir()
    annotation_fuzzer.run(20, seed, folder)
  assert seen[:20] == seen[20:40] != seen[40:]
