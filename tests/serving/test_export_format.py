"""Tests of the files that describe the outputs of an export."""

import json

import pytest

from htc_tf.errors import InputError
from htc_tf.serving import export_format as format_lib
from htc_tf.serving.export_format import ExportFormat


def test_a_written_format_is_read_back(tmp_path):
  export_format = ExportFormat('normalized', 'packed', 1000)
  format_lib.write_format(export_format, str(tmp_path))
  assert format_lib.read_format(str(tmp_path)) == export_format


def test_an_export_without_the_file_has_the_default_form(tmp_path):
  assert format_lib.read_format(str(tmp_path)) == ExportFormat('pixels', 'cropped')
  assert format_lib.read_categories(str(tmp_path)) == ([], [])


def test_an_export_for_another_runtime_is_named(tmp_path):
  (tmp_path / 'export.json').write_text(json.dumps({'format': 'onnx', 'frame': {}}))
  with pytest.raises(InputError, match=r'another runtime, which no model server.*the format onnx'):
    format_lib.read_format(str(tmp_path))


def test_categories_are_in_the_order_of_their_classes(tmp_path):
  content = {str(label): {'id': 100 - label, 'name': f'c{label}'} for label in (10, 2, 1)}
  (tmp_path / 'categories.json').write_text(json.dumps(content))
  assert format_lib.read_categories(str(tmp_path)) == (['c1', 'c2', 'c10'], [99, 98, 90])


@pytest.mark.parametrize(
  'bad',
  [{'boxes': 'pixel'}, {'masks': 'cut'}, {'max_pixels': 0}, {'max_pixels': '1'}, {'color': 1}],
)
def test_unknown_values_are_rejected(tmp_path, bad):
  (tmp_path / 'export.json').write_text(json.dumps(bad))
  with pytest.raises(InputError):
    format_lib.read_format(str(tmp_path))


@pytest.mark.parametrize(
  'name, read',
  [('export.json', format_lib.read_format), ('categories.json', format_lib.read_categories)],
)
@pytest.mark.parametrize('content', ['', '[]', '{"1": 2', '{"one": {}}'])
def test_damaged_files_are_named(tmp_path, name, read, content):
  (tmp_path / name).write_text(content)
  with pytest.raises(InputError, match=name):
    read(str(tmp_path))
