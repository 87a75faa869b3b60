"""Tests of the lowered program against its model."""

import json
import types

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.compiler.tf2xla.python import xla

from htc_tf.cli import lower as command
from htc_tf.configs import parsing
from htc_tf.errors import InputError
from htc_tf.modeling.ensemble import Member
from htc_tf.serving import loading, lowering
from tests import tiny


@pytest.fixture(scope='module', name='model')
def _model():
  return tiny.build(tiny.model(num_stages=1))


@pytest.fixture(scope='module', name='folder')
def _folder(model, tmp_path_factory):
  folder = tmp_path_factory.mktemp('lowered') / 'program'
  lowering.write_program(lowering.lower_detection(model, (64, 96)), str(folder))
  return folder


def test_the_program_computes_the_detections_of_the_model(model, folder):
  description = json.loads((folder / 'program.json').read_text())
  with np.load(folder / 'arguments.npz') as arrays:
    arguments = [arrays[f'a{index}'] for index in range(len(description['arguments']))]
  images = np.random.default_rng(0).normal(size=[1, 64, 96, 3]).astype(np.float32)
  arguments[:2] = images, np.array([[60, 90]], np.float32)
  expected = model.detect({'images': images, 'image_shape': arguments[1]}).to_dict()
  shapes = [expected[name].shape for name in description['results']]
  types = [expected[name].dtype for name in description['results']]
  # Version 5 of XlaCallModule accepts a module without a list of platforms.
  run = tf.function(
    lambda *values: xla.call_module(
      values, version=5, module=(folder / 'program.stablehlo').read_bytes(), Tout=types, Sout=shapes
    ),
    autograph=False,
    jit_compile=True,
  )
  for name, actual in zip(description['results'], run(*map(tf.constant, arguments))):
    np.testing.assert_allclose(actual, expected[name], atol=1e-3, err_msg=name)


def test_arguments_are_described_in_order(folder):
  described = json.loads((folder / 'program.json').read_text())['arguments']
  assert [entry['name'] for entry in described[:2]] == ['images', 'image_shape']
  with np.load(folder / 'arguments.npz') as arrays:
    shapes = [list(arrays[f'a{index}'].shape) for index in range(len(arrays.files))]
  assert shapes == [entry['shape'] for entry in described]


@pytest.mark.parametrize('padded_hw, batch_size', [((64, 100), 1), ((64, 96), 0), ((0, 96), 1)])
def test_sizes_that_cannot_be_lowered_are_rejected(model, padded_hw, batch_size):
  with pytest.raises(InputError, match='multiples of 32'):
    lowering.lower_detection(model, padded_hw, batch_size)


@pytest.fixture(scope='module', name='coarse')
def _coarse():
  """A model whose coarsest map has stride 128, without rounding: it needs multiples of 128."""
  config = tiny.model(
    1,
    decoder={'type': 'fpn', 'fpn': {'num_filters': tiny.CHANNELS}},
    min_level=3,
    max_level=7,
    input_size=[128, 128, 3],
    roi_aligner={'published': {'min_level': 3, 'max_level': 5}},
  )
  return tiny.build(config)


def test_sides_are_multiples_of_the_models_own_divisor(coarse):
  for size in ((64, 128), (128, 96), (800, 1344)):
    with pytest.raises(
      InputError, match=rf'multiples of 128. Got: 1 images of {size[0]}x{size[1]}'
    ):
      lowering.lower_detection(coarse, size)
  assert lowering.default_hw(coarse, (800, 1333)) == (896, 1408)
  assert lowering.default_hw(coarse, (129, 256)) == (256, 256)
  lowered = lowering.lower_detection(coarse, (128, 256))
  assert dict(lowered.arguments)['images'].shape == (1, 128, 256, 3)


def test_the_published_decoder_rounds_up_so_that_multiples_of_32_suffice(model):
  assert (model.size_divisor, lowering.default_hw(model, (800, 1333))) == (32, (800, 1344))


def test_a_model_of_one_size_is_lowered_for_this_size_only():
  model = tiny.build(tiny.model(1, roi_aligner={'type': 'model_garden'}))
  assert lowering.default_hw(model, (800, 1333)) == (64, 64)
  with pytest.raises(InputError, match=r'images of 64x64, task.model.input_size.*64x96'):
    lowering.lower_detection(model, (64, 96))


def test_the_command_takes_the_sizes_of_the_model_by_default(monkeypatch, coarse, tmp_path):
  sizes = []

  def lower(model, padded_hw, batch_size):
    sizes.append((padded_hw, batch_size))
    return lowering.LoweredProgram(b'program', [], [])

  monkeypatch.setattr(
    loading,
    'load_model',
    lambda *args: types.SimpleNamespace(
      members=[Member(coarse)], input_rules=[types.SimpleNamespace(min_size=300, max_size=500)]
    ),
  )
  monkeypatch.setattr(lowering, 'lower_detection', lower)
  arguments = ['--model=model', f'--output={tmp_path}']
  for index, more in enumerate(([], ['--height=128', '--batch_size=2'], ['--width=0'])):
    assert command.main([*arguments[:1], f'{arguments[1]}/{index}', *more]) == 0
  assert sizes == [((384, 512), 1), ((128, 512), 2), ((384, 0), 1)]


@pytest.mark.parametrize('views', [{'num_scales': 2}, {'mirrors': True}])
def test_several_views_of_an_image_are_refused(monkeypatch, coarse, tmp_path, views, capsys):
  """They would be left out without a word."""
  loaded = types.SimpleNamespace(members=[Member(coarse, **views)])
  monkeypatch.setattr(loading, 'load_model', lambda *args: loaded)
  assert command.main(['--model=model', f'--output={tmp_path}/program']) == 2
  error = capsys.readouterr().err
  assert 'task.test_time_augmentation' in error
  hint = error.split('--params_override=')[1].split()[0].rstrip('.')
  several = 'task.test_time_augmentation={min_sizes: [800, 900], horizontal_flip: true}'
  params = parsing.parse('htc_resnet50fpn_1x_coco', params_override=[several, hint]).params
  found = params.task.test_time_augmentation
  assert not found.min_sizes and not found.horizontal_flip


def test_an_existing_folder_is_not_overwritten(folder):
  program = lowering.LoweredProgram(b'', [], [])
  with pytest.raises(InputError, match='new folder'):
    lowering.write_program(program, str(folder))
