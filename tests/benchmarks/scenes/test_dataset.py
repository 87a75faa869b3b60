"""Tests of the files of the generated benchmark."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from benchmarks.scenes import __main__ as command
from benchmarks.scenes import dataset, painting
from htc_tf.data import coco_to_tfrecord, segmentation
from htc_tf.errors import InputError

NUMBERS = {'train': 3, 'val': 2, 'test': 1}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  path = tmp_path_factory.mktemp('scenes')
  dataset.write(str(path), 4, NUMBERS)
  return path


def contents(folder):
  return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob('*') if p.is_file()}


def test_an_interruption_says_how_to_go_on(monkeypatch, tmp_path, capsys):
  def interrupt(*_):
    raise KeyboardInterrupt

  monkeypatch.setattr(dataset, '_coco_content', interrupt)  # Pictures are there by then.
  monkeypatch.setattr(dataset, 'SPLITS', {'train': 1})
  assert command.main([f'--output={tmp_path}']) == 130
  assert list((tmp_path / 'train').iterdir())
  assert 'the same command writes all files again' in capsys.readouterr().err


def test_the_whole_benchmark_has_400_100_and_100_pictures(monkeypatch, tmp_path):
  calls = []
  monkeypatch.setattr(dataset, 'write', lambda *args: calls.append(args))
  assert command.main([f'--output={tmp_path}', '--seed=3']) == 0
  assert calls == [(str(tmp_path), 3)]
  assert dataset.SPLITS == {'train': 400, 'val': 100, 'test': 100}


def test_one_seed_gives_the_same_bytes(folder, tmp_path):
  dataset.write(str(tmp_path), 4, {'val': 2, 'test': 1})
  expected = contents(folder)
  again = contents(tmp_path)
  assert len(again) == 2 + 2 * 3
  assert all(expected[name] == content for name, content in again.items())
  dataset.write(str(tmp_path), 5, {'test': 1})
  assert contents(tmp_path)['test/0000.png'] != expected['test/0000.png']


def test_wrong_seeds_and_splits_are_refused(tmp_path, capsys):
  assert command.main([f'--output={tmp_path / "scenes"}', '--seed=-1']) == 2
  assert 'The seed is out of range. Expected: 0 or more. Got: -1.' in capsys.readouterr().err
  with pytest.raises(InputError, match=r"A split is unknown.*Got: 'dev'"):
    dataset.write(str(tmp_path / 'scenes'), numbers={'dev': 1})
  assert not (tmp_path / 'scenes').exists()


def test_splits_and_pictures_differ(folder):
  pictures = [content for name, content in contents(folder).items() if '_stuff' not in name]
  assert len(set(pictures)) == len(pictures) == 6 + 3


@pytest.mark.parametrize('split', NUMBERS)
def test_pycocotools_reads_it(folder, split):
  coco = COCO(str(folder / f'{split}.json'))
  assert [c['name'] for c in coco.loadCats(coco.getCatIds())] == list(painting.CLASSES)
  assert len(coco.imgs) == NUMBERS[split]
  for image in coco.imgs.values():
    with Image.open(folder / f'{split}_stuff' / image['file_name']) as opened:
      labels = np.asarray(opened)
    assert labels.max() < len(dataset.SEMANTIC_CLASSES)
    covered = np.zeros(labels.shape, bool)
    for entry in coco.imgToAnns[image['id']]:
      mask = segmentation.to_bitmap(entry['segmentation'], *labels.shape).astype(bool)
      rows, columns = np.nonzero(mask)
      low = columns.min(), rows.min()
      assert entry['bbox'] == [*low, columns.max() + 1 - low[0], rows.max() + 1 - low[1]]
      assert entry['area'] == mask.sum() and not (mask & covered).any()
      assert (labels[mask] == entry['category_id'] - 1).all()
      covered |= mask
    assert (labels[~covered] >= len(painting.CLASSES)).all()


def test_records_are_made_of_it(folder, tmp_path):
  info = coco_to_tfrecord.convert(
    coco_to_tfrecord.ConversionOptions(
      annotation_file=str(folder / 'train.json'),
      image_folder=str(folder / 'train'),
      output_folder=str(tmp_path),
      num_shards=1,
      semantic='stuff_maps',
      stuff_folder=str(folder / 'train_stuff'),
      num_semantic_classes=len(dataset.SEMANTIC_CLASSES),
    ),
    log=lambda _: None,
  )
  entries = json.loads((folder / 'train.json').read_text('ascii'))['annotations']
  assert (info.num_images, info.num_instances) == (3, len(entries))
  assert info.semantic.num_classes == 11
