"""Test of a small HRNet and HRFPN against values and gradients of the paper's code."""

import zlib

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.convert import transforms
from htc_tf.convert.mmdet_names import MMDET
from htc_tf.convert.variables import named_variables
from htc_tf.modeling.backbones.published_hrnet import HRNetSize, PublishedHRNet
from htc_tf.modeling.decoders.published_hrfpn import PublishedHRFPN
from parity.pack import EXTRACT
from tests.published_weights import channels_last, load

# mmdetection 3.3.0 in training mode, with the weights of `weight`.
REFERENCE = load(EXTRACT / 'mmdet_hrnet_tiny.npz')


class Network:
  """The parts of a model that the reference has."""

  def __init__(self):
    self.backbone = PublishedHRNet(HRNetSize(2, (1, 2, 1), 1))
    self.decoder = PublishedHRFPN(self.backbone.output_specs, num_filters=8)
    self.rpn_head = self.semantic_head = self.cascade = None
    self.decoder(self.backbone(tf.zeros([1, 32, 32, 3])))
    for path, variable in named_variables(self).items():
      row, name = MMDET.find_source(path)
      shape = transforms.revert(row.steps, variable.numpy()).shape
      variable.assign(transforms.apply(row.steps, weight(name, shape)))


def weight(name, shape):
  """The array of a published name, in the published layout."""
  rng = np.random.default_rng(zlib.crc32(name.encode()))
  if name.endswith(('running_mean', '.bias')):
    return rng.normal(0, 0.1, shape).astype(np.float32)
  if name.endswith('running_var'):
    return rng.uniform(0.5, 1.5, shape).astype(np.float32)
  if len(shape) == 1:
    return rng.uniform(0.25, 0.75, shape).astype(np.float32)
  return (rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)


@pytest.fixture(scope='module', name='results')
def _results():
  """Maps by the name of the reference, and {published name: gradient in the published layout}."""
  network = Network()
  images = channels_last(np.random.default_rng(0).normal(size=[1, 3, 64, 96]).astype(np.float32))
  with tf.GradientTape() as tape:
    backbone = network.backbone(images, training=True)
    pyramid = network.decoder(backbone)
    loss = tf.add_n([tf.reduce_mean(x**2) for x in pyramid.values()])
  variables = {path: v for path, v in named_variables(network).items() if v.trainable}
  gradients = {}
  for path, gradient in tape.gradient(loss, variables).items():
    row, name = MMDET.find_source(path)
    gradients[name] = transforms.revert(row.steps, np.asarray(gradient))
  maps = {f'C{level}': x for level, x in backbone.items()}
  maps |= {f'P{level}': x for level, x in pyramid.items()}
  return {'loss': loss, **maps}, gradients


@pytest.mark.parametrize('name', ['C2', 'C3', 'C4', 'C5', 'P2', 'P3', 'P4', 'P5', 'P6'])
def test_maps_equal_the_reference(results, name):
  actual = results[0][name][0]
  actual = actual[::2, ::2] if name == 'P2' else actual
  expected = channels_last(REFERENCE[name])
  np.testing.assert_allclose(actual, expected, rtol=0, atol=5e-5 * np.abs(expected).max())


def test_gradients_equal_the_reference(results):
  outputs, gradients = results
  np.testing.assert_allclose(outputs['loss'], REFERENCE['loss'], rtol=1e-5)
  norms = dict(zip(REFERENCE['names'], REFERENCE['gradient_norms']))
  assert gradients.keys() == norms.keys()
  for name, norm in norms.items():
    np.testing.assert_allclose(np.linalg.norm(gradients[name]), norm, rtol=1e-3, err_msg=name)
  kernels = [key for key in REFERENCE if key.startswith('gradient/')]
  assert len(kernels) == 3
  for key in kernels:
    expected = REFERENCE[key]
    actual, limit = gradients[key.removeprefix('gradient/')], 1e-4 * np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=limit, err_msg=key)
