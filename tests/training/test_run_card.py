"""Tests of the cards that a training writes."""

import json

import pytest
import tensorflow as tf

from htc_tf.checkpoints import model_card
from htc_tf.training import results_table, run_card, run_record
from htc_tf.training.best_checkpoint import BestCheckpoint
from tests import tiny_records


@pytest.fixture(scope='module')
def params(tmp_path_factory):
  records = tiny_records.write(tmp_path_factory.mktemp('records'))
  return tiny_records.reduced('htc_nano', records, records)


@pytest.fixture
def run(tmp_path, params):
  """A model directory with evaluations of two steps, of which the first was the better one."""
  model_dir = str(tmp_path)
  run_record.append_start(model_dir, params, ['htc-train', '--size=nano', '--x=a b'], 0)
  table = results_table.ResultsTable(model_dir, 0)
  saved = tf.train.Checkpoint(value=tf.Variable(1.0))
  best = BestCheckpoint(model_dir, 'best', 'segm_AP')
  for step, value in ((10, 0.5), (20, 0.25)):
    figures = {'bbox_AP': value / 2, 'segm_AP': value, 'bbox_APs': -1.0}
    table.add(step, {'total_loss': 3.0, **figures})
    best.maybe_export_checkpoint(saved, figures, step)
  tf.train.CheckpointManager(saved, model_dir, 1, checkpoint_name='ckpt').save(checkpoint_number=20)
  return tmp_path, best


def read(folder):
  return (folder / model_card.CARD_FILE).read_text(encoding='utf-8')


def test_each_checkpoint_has_the_figures_of_its_step(run, params):
  folder, best = run
  run_card.write(str(folder), 'htc_nano', params, 20, best)
  last, kept = read(folder), read(folder / 'best')
  assert '- step: 20\n- bbox_AP: 12.5\n- segm_AP: 25.0\n' in last and '`ckpt-20.index`' in last
  assert '- step: 10\n- bbox_AP: 25.0\n- segm_AP: 50.0\n' in kept and 'best_ckpt-10.index' in kept
  assert 'APs' not in last


def test_the_run_is_described(run, params):
  folder, best = run
  run_card.write(str(folder), 'htc_nano', params, 20, best)
  text = read(folder)
  start = run_record.read_starts(str(folder))[0]
  assert "- command: `htc-train --size=nano '--x=a b'`\n" in text
  assert '- started from: random weights\n' in text
  assert f'- hash of the records: {start["data"]["train_data"]["sha256"]}\n' in text
  assert '## Data of the evaluation' in text


def test_a_run_from_published_weights_names_the_file(run, params, tmp_path_factory):
  folder, best = run
  converted = tmp_path_factory.mktemp('converted')
  source = {'file': 'htc-01234567.pth', 'sha256': '01234567' + 56 * '0'}
  (converted / 'conversion.json').write_text(json.dumps({'source': source}))
  params.task.init_checkpoint = str(converted)
  run_card.write(str(folder), 'htc_nano', params, 20, best)
  params.task.init_checkpoint = None
  assert f'converted from htc-01234567.pth (SHA-256 {source["sha256"]})\n' in read(folder)


def test_a_run_without_evaluation_and_record_has_a_card(tmp_path, params):
  tf.train.Checkpoint(value=tf.Variable(1.0)).save(str(tmp_path / 'ckpt'))
  params.task.validation_data.input_path, path = '', params.task.validation_data.input_path
  run_card.write(str(tmp_path), 'htc_nano', params, 5, None)
  params.task.validation_data.input_path = path
  text = read(tmp_path)
  assert '- AP: not evaluated at this step\n' in text and '- command' not in text
  assert '## Data of the evaluation' not in text
