"""Tests of the lowered program against its model."""

import json

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.compiler.tf2xla.python import xla

from htc_tf.errors import InputError
from htc_tf.serving import lowering
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


def test_an_existing_folder_is_not_overwritten(folder):
  program = lowering.LoweredProgram(b'', [], [])
  with pytest.raises(InputError, match='new folder'):
    lowering.write_program(program, str(folder))
