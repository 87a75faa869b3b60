"""Tests of the record of starts."""

import json
from importlib import metadata

import htc_tf
from htc_tf.training import run_record
from tests import tiny_records


def test_each_start_is_appended(tmp_path):
  records = tiny_records.write(tmp_path, num_images=2)
  params = tiny_records.reduced('htc_nuclei', records)
  model_dir = tmp_path / 'model'
  run_record.append_start(str(model_dir), params, ['train.py', '--mode=train'], 0)
  params.task.train_data.global_batch_size = 1
  run_record.append_start(str(model_dir), params, ['train.py'], 7)
  first, second = run_record.read_starts(str(model_dir))
  assert first['command'] == ['train.py', '--mode=train'] and second['command'] == ['train.py']
  assert (first['step'], second['step']) == (0, 7)
  assert first['packages']['tensorflow'] == metadata.version('tensorflow')
  assert first['packages']['htc_tf'] == htc_tf.__version__
  assert first['data'] == second['data']
  assert first['data']['train_data']['num_records'] == 2
  sizes = [
    start['configuration']['task']['train_data']['global_batch_size'] for start in (first, second)
  ]
  assert sizes == [2, 1]
  assert [path.name for path in model_dir.iterdir()] == ['run.json']


def test_an_unreadable_record_is_renamed(tmp_path):
  (tmp_path / 'run.json').write_text('{"starts": [')
  assert not run_record.read_starts(str(tmp_path))
  assert (tmp_path / 'run.json.damaged').read_text() == '{"starts": ['
  params = tiny_records.reduced('htc_nuclei', '')
  params.task.validation_data.input_path = ''
  run_record.append_start(str(tmp_path), params, [], 0)
  content = json.loads((tmp_path / 'run.json').read_text())
  assert content['version'] == 1 and len(content['starts']) == 1
  assert content['starts'][0]['data'] == {'train_data': None, 'validation_data': None}
