"""Tests of the command that converts a COCO data set: exit status, messages, a fast --help."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from htc_tf.cli import create_coco_records


@pytest.fixture
def arguments(tmp_path):
  (tmp_path / 'images').mkdir()
  Image.fromarray(np.zeros([8, 10, 3], np.uint8)).save(tmp_path / 'images' / 'a.png')
  content = {
    'images': [{'id': 1, 'file_name': 'a.png', 'height': 8, 'width': 10}],
    'annotations': [
      {
        'id': 1,
        'image_id': 1,
        'category_id': 1,
        'bbox': [1, 1, 4, 4],
        'segmentation': [[1, 1, 5, 1, 5, 5, 1, 5]],
      }
    ],
    'categories': [{'id': 1, 'name': 'cell'}],
  }
  (tmp_path / 'a.json').write_text(json.dumps(content), encoding='utf-8')
  return [
    f'--annotations={tmp_path}/a.json',
    f'--image_folder={tmp_path}/images',
    f'--output_folder={tmp_path}/records',
    '--num_processes=1',
  ]


def test_the_command_writes_records(arguments, tmp_path, capsys):
  assert create_coco_records.main([*arguments, '--prefix=val', '--semantic=instances']) == 0
  assert 'val: 1 images, 1 instances, 1 shards' in capsys.readouterr().out
  assert (tmp_path / 'records' / 'val-00000-of-00001.tfrecord').exists()
  assert (tmp_path / 'records' / 'val.json').exists()


@pytest.mark.parametrize('split, prefix', [('val', 'val'), ('train2017', 'train'), ('', 'train')])
def test_the_records_of_a_split_for_validation_do_not_replace_those_of_train(
  arguments, tmp_path, split, prefix
):
  (tmp_path / 'a.json').rename(tmp_path / f'a_{split}.json')
  arguments[0] = f'--annotations={tmp_path}/a_{split}.json'
  assert create_coco_records.main([*arguments, f'--split={split}']) == 0
  assert [path.name for path in (tmp_path / 'records').glob('*_annotations.json')] == [
    f'{prefix}_annotations.json'
  ]


def test_an_error_is_one_message_and_status_2(arguments, tmp_path, capsys):
  (tmp_path / 'images' / 'a.png').unlink()
  assert create_coco_records.main(arguments) == 2
  lines = capsys.readouterr().err.splitlines()
  assert len(lines) == 1 and lines[0].startswith('error: 1 of 1 files named by')


def test_an_output_folder_that_cannot_be_created_is_an_error(arguments, tmp_path, capsys):
  (tmp_path / 'records').write_text('a file', encoding='utf-8')
  assert create_coco_records.main(arguments) == 2
  assert capsys.readouterr().err.startswith('error: ')


def test_an_interrupted_command_prints_how_to_continue(arguments, capsys, monkeypatch):
  from htc_tf.data import coco_to_tfrecord

  def interrupt(_):
    raise KeyboardInterrupt

  monkeypatch.setattr(coco_to_tfrecord, 'convert', interrupt)
  assert create_coco_records.main(arguments) == 130
  assert 'the same command continues' in capsys.readouterr().err


def test_a_misspelled_flag_is_an_error(arguments, capsys):
  with pytest.raises(SystemExit) as error:
    create_coco_records.main([*arguments, '--shards=3'])
  assert error.value.code == 2
  assert 'unrecognized arguments: --shards=3' in capsys.readouterr().err


def test_help_is_fast_and_needs_no_tensorflow():
  code = (
    'import sys\nfrom htc_tf.cli import create_coco_records\n'
    'try:\n  create_coco_records.main(["--help"])\n'
    'except SystemExit:\n  sys.exit("tensorflow" in sys.modules)\n'
  )
  start = time.monotonic()
  result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)
  assert result.returncode == 0 and '--skip_missing_images' in result.stdout
  assert time.monotonic() - start < 5  # It takes a fraction of a second on an idle machine.


def test_stuff_maps_are_checked_without_a_conversion(arguments, tmp_path, capsys):
  (tmp_path / 'maps').mkdir()
  maps = ['--check_stuff_maps', '--semantic=stuff_maps', f'--stuff_folder={tmp_path}/maps']
  Image.fromarray(np.full([8, 10], 4, np.uint8)).save(tmp_path / 'maps' / 'a.png')
  assert create_coco_records.main([*arguments, *maps]) == 0
  assert '1 stuff maps, 0.0% of the pixels ignored' in capsys.readouterr().out
  assert not (tmp_path / 'records').exists()
  (tmp_path / 'maps' / 'a.png').unlink()
  assert create_coco_records.main([*arguments, *maps]) == 1
  assert 'images without a map: e.g. a.png' in capsys.readouterr().out
  assert create_coco_records.main([*arguments, '--check_stuff_maps']) == 2


@pytest.mark.parametrize(
  'flag, shown',
  [
    ('--rename=a:b,c', "expected old:new,old:new; got 'a:b,c'"),
    ('--classes=a,,b', 'an empty name'),
  ],
)
def test_a_malformed_list_of_classes_is_an_error(arguments, capsys, flag, shown):
  with pytest.raises(SystemExit):
    create_coco_records.main([*arguments, flag])
  assert shown in capsys.readouterr().err


def test_classes_are_renamed_and_the_image_folder_is_found(arguments, tmp_path, capsys):
  without_folder = [item for item in arguments if not item.startswith('--image_folder')]
  assert create_coco_records.main([*without_folder, '--rename=cell:nucleus']) == 0
  assert f'images: {tmp_path}/images' in capsys.readouterr().out
  metadata = json.loads((tmp_path / 'records' / 'train.json').read_text(encoding='utf-8'))
  assert metadata['categories'] == [{'id': 1, 'name': 'nucleus', 'label': 1}]
