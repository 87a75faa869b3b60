"""Tests of the table of a training."""

import csv
import uuid

import pytest

from htc_tf import file_systems, files
from htc_tf.training.results_table import TABLE_FILE, ResultsTable


def read(model_dir):
  content = file_systems.read_bytes(f'{model_dir}/{TABLE_FILE}').decode()
  return list(csv.DictReader(content.splitlines()))


@pytest.fixture(params=['local', 'remote'])
def model_dir(request, tmp_path):
  return str(tmp_path) if request.param == 'local' else f'ram://{uuid.uuid4()}/model'


def test_a_report_and_an_evaluation_of_a_step_share_a_row(model_dir):
  table = ResultsTable(model_dir, 0)
  table.add(10, {'epoch': 1.0, 'total_loss': 5.25})
  table.add(10, {'epoch': 1.0, 'segm_AP': 0.125})
  table.add(20, {'epoch': 2.0, 'total_loss': 4.0})
  assert read(model_dir) == [
    {'step': '10', 'epoch': '1', 'total_loss': '5.25', 'segm_AP': '0.125'},
    {'step': '20', 'epoch': '2', 'total_loss': '4', 'segm_AP': ''},
  ]
  assert table.values('segm_AP') == [(10, 0.125)]


def test_steps_that_are_repeated_after_a_restart_replace_the_old_ones(model_dir):
  first = ResultsTable(model_dir, 0)
  for step in (10, 20, 30):
    first.add(step, {'total_loss': float(step), 'segm_AP': step / 100})
  again = ResultsTable(model_dir, 10)
  assert again.values('segm_AP') == [(10, 0.1)]
  assert len(read(model_dir)) == 3  # Nothing is written before there is something new.
  again.add(20, {'total_loss': 7.0})
  assert [(row['step'], row['total_loss']) for row in read(model_dir)] == [
    ('10', '10'),
    ('20', '7'),
  ]


def test_rows_are_in_the_order_of_steps(model_dir):
  table = ResultsTable(model_dir, 0)
  for step in (100, 9, 20):
    table.add(step, {'a': 1.0})
  assert [row['step'] for row in read(model_dir)] == ['9', '20', '100']


def test_steps_keep_all_their_digits(model_dir):
  ResultsTable(model_dir, 0).add(123456789, {'a': 1.0 / 3.0})
  assert read(model_dir) == [{'step': '123456789', 'a': '0.3333333'}]
  assert ResultsTable(model_dir, 10**9).values('a') == [(123456789, 0.3333333)]


@pytest.mark.parametrize(
  'content', [b'step,loss\n1,abc\n', b'loss\n1\n', b'\xff\xfe', b'step\nx\n', b'step,a\n1,2,3\n']
)
def test_a_damaged_table_is_set_aside(model_dir, content, caplog):
  files.write_bytes(f'{model_dir}/{TABLE_FILE}', content)
  table = ResultsTable(model_dir, 10)
  assert table.rows == []
  assert 'renamed to results.csv.damaged' in caplog.text
  assert file_systems.read_bytes(f'{model_dir}/{TABLE_FILE}.damaged') == content
  table.add(11, {'a': 1.0})
  assert len(read(model_dir)) == 1


def test_an_interrupted_write_keeps_the_old_table(tmp_path, monkeypatch):
  table = ResultsTable(str(tmp_path), 0)
  table.add(1, {'a': 1.0})
  before = (tmp_path / TABLE_FILE).read_bytes()

  def fail(*_):
    raise OSError('no space left')

  monkeypatch.setattr(file_systems, 'replace', fail)
  with pytest.raises(OSError, match='no space left'):
    table.add(2, {'a': 2.0})
  assert (tmp_path / TABLE_FILE).read_bytes() == before
  assert [path.name for path in tmp_path.iterdir()] == [TABLE_FILE]
