"""Tests of the conversion of files that tools write in another form than COCO's."""

import copy
import json
import pathlib

import pytest

from htc_tf.data import coco_annotations, coco_to_tfrecord
from tests.annotation_forms import ENCODINGS, FORMS

_BENIGN = {'images_without_instances': 1, 'crowd_regions': 1, 'category_ids_mapped': 2}


@pytest.fixture(scope='module')
def expected():
  """The shards of the file in the form of COCO; filled by the first test."""
  return {}


def shards(coco, expected):
  """The shards of the unchanged file."""
  if not expected:
    content = copy.deepcopy(coco.content)
    coco.convert(semantic='instances')
    expected.update(coco.shard_bytes())
    coco.content = content
  return expected


@pytest.mark.parametrize('name', FORMS)
def test_the_records_are_those_of_the_repaired_file_and_the_form_is_counted(coco, expected, name):
  change, checks = FORMS[name]
  expected = shards(coco, expected)
  change(coco.content)
  info, summary = coco.convert(semantic='instances')
  assert coco.shard_bytes() == expected
  checks = {{'size': 'size_read_from_image'}.get(key, key): value for key, value in checks.items()}
  assert info.checks == {**_BENIGN, **checks}
  for count in checks.values():
    assert f'{count:8d} ' in summary
  written = coco_annotations.read_annotations(info.annotation_path)
  assert written.report.to_json() == {'category_ids_mapped': 2}


@pytest.mark.parametrize('encoding', ENCODINGS)
def test_another_encoding_of_the_file_is_read_and_counted(coco, expected, encoding):
  expected = shards(coco, expected)
  text = json.dumps(coco.content, ensure_ascii=False)
  pathlib.Path(coco.annotation_file).write_text(text, encoding=encoding)
  lines = []
  info = coco_to_tfrecord.convert(coco.options(semantic='instances'), lines.append)
  assert coco.shard_bytes() == expected
  assert info.checks == {**_BENIGN, 'text_encoding': 1}
  assert f'byte-order mark (read): e.g. {encoding[:6]}' in lines[0]
