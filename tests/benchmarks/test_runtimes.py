"""Tests of the comparison of runtimes: turns, medians and ratios, and models in 8 bits."""

import os
import types

import numpy as np
import pytest

from benchmarks import runtimes
from htc_tf.serving.runtimes import registry


def test_runtimes_take_turns_after_a_run_that_is_not_counted():
  order = []

  def run(name, number):
    return lambda: order.append(name) or number

  rows = runtimes.measure({'a': run('a', 3), 'b': run('b', 5)}, 2)
  assert order == ['a', 'b'] * 3
  assert [(row.name, row.num_detections) for row in rows] == [('a', 3), ('b', 5)]
  assert all(row.seconds >= 0 and row.cpu_seconds >= 0 for row in rows)


def test_ratios_are_those_to_the_first_row():
  rows = [runtimes.Row('tensorflow', 2.0, 3.0, 7), runtimes.Row('onnx', 5.0, 4.5, 7)]
  lines = [line.split() for line in runtimes.table(rows).splitlines()]
  assert lines[0][0] == 'runtime' and len(lines) == 3
  assert lines[1] == ['tensorflow', '2.000', '1.00', '3.000', '1.00', '7']
  assert lines[2] == ['onnx', '5.000', '2.50', '4.500', '1.50', '7']


def _fake_runtime(convert_to_int8):
  """A runtime whose models are text files; its detections are as many as a file has characters."""
  return types.SimpleNamespace(
    title='Fake',
    model_file='model',
    convert=lambda graph, folder: _write(folder, 'float'),
    convert_to_int8=convert_to_int8,
    load=lambda path: lambda inputs: {'num_detections': [os.path.getsize(path)]},
  )


def _write(folder, text):
  with open(f'{folder}/model', 'w', encoding='ascii') as file:
    file.write(text)


def test_a_name_with_int8_stands_for_a_model_in_8_bits(tmp_path, monkeypatch):
  seen = []

  def convert(graph, folder, frames):
    seen.extend(frames)
    _write(folder, 'int8')

  monkeypatch.setattr(registry, 'find', {'onnx': _fake_runtime(convert)}.__getitem__)
  inputs = {'images': np.zeros([1, 2, 2, 3], np.uint8)}
  numbers = [
    runtimes._exported(None, name, inputs, str(tmp_path))() for name in ('onnx', 'onnx_int8')
  ]
  assert numbers == [len('float'), len('int8')] and seen == [inputs]


def test_a_runtime_without_8_bits_is_named(tmp_path, monkeypatch):
  monkeypatch.setattr(registry, 'find', {'tflite': _fake_runtime(None)}.__getitem__)
  with pytest.raises(SystemExit, match='Fake has no 8 bits; onnx has'):
    runtimes._exported(None, 'tflite_int8', {}, str(tmp_path))
