"""Tests of each family of published models: export, lowering, and plain operations.

docs/families.md is the table of what these tests and those in tests/modeling/test_families.py show.
"""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.compiler.tf2xla.python import xla

from htc_tf.serving import export, lowering
from htc_tf.serving.frame_graph import FrameGraph
from tests import families
from tests.serving import frame_models

fewer_blocks = families.fewer_blocks
pytestmark = [pytest.mark.usefixtures('fewer_blocks'), pytest.mark.slow]


@pytest.fixture(name='predictor', params=families.FAMILIES)
def _predictor(request, fewer_blocks):
  """A family's predictor for frames of 64x96 pixels."""
  return frame_models.predictor_of(families.params_of_few_stages(request.param).task.model)


def test_an_export_of_a_family_detects_what_the_model_does(predictor, tmp_path):
  folder = export.export_saved_model(predictor, str(tmp_path / '1'), warmup=False)
  serve = tf.saved_model.load(folder).signatures['serving_default']
  images = np.stack([frame_models.image(40, 60)] * 2)
  expected = predictor.predict(images, verbose=0)
  assert expected['num_detections'].min() > 0
  outputs = serve(inputs=tf.constant(images))
  for key, value in expected.items():
    np.testing.assert_allclose(outputs[key], value, atol=1e-4, err_msg=key)


def test_the_program_of_a_family_computes_its_detections(predictor):
  model = predictor.model
  lowered = lowering.lower_detection(model, (64, 96))
  images = np.random.default_rng(0).normal(size=[1, 64, 96, 3]).astype(np.float32)
  shape = np.array([[60, 90]], np.float32)
  expected = model.detect({'images': images, 'image_shape': shape}).to_dict()
  assert expected['num_detections'][0] > 0
  arguments = [images, shape, *(value for _, value in lowered.arguments[2:])]
  run = tf.function(
    lambda *values: xla.call_module(
      values,
      version=5,
      module=lowered.program,
      Tout=[expected[name].dtype for name in lowered.results],
      Sout=[expected[name].shape for name in lowered.results],
    ),
    autograph=False,
    jit_compile=True,
  )
  for name, actual in zip(lowered.results, run(*map(tf.constant, arguments))):
    np.testing.assert_allclose(actual, expected[name], atol=1e-3, err_msg=name)


def test_the_graph_of_plain_operations_of_a_family_detects_what_the_model_does(predictor):
  graph = FrameGraph(predictor, frame_models.HEIGHT, frame_models.WIDTH)

  def run(inputs):
    return graph.detect(**{name: tf.constant(value) for name, value in inputs.items()})

  assert frame_models.check_equal(run, predictor, graph.rule, frame_models.image(64, 96)) > 0
