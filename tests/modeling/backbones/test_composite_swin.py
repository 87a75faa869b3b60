"""Tests of the composite of two transformers."""

import numpy as np
import pytest
import tensorflow as tf

from tests.modeling.backbones import tiny_swin


@pytest.mark.parametrize('height,width', [(32, 64), (37, 50)])
def test_a_stage_gets_the_features_of_its_level_and_of_deeper_ones(height, width):
  model = tiny_swin.randomized(composite=True)
  embedding = model.shared_embed(tiny_swin.images(height, width))
  assisting, lead = model.trunks
  maps = assisting(embedding)
  added = []
  for level in range(4):
    own = maps[str(level + 2)].numpy()
    total = own.copy()
    for index, link in enumerate(model.links[level]):
      deeper = maps[str(level + index + 3)].numpy()
      mixed = deeper @ link.kernel.numpy()[0, 0] + link.bias.numpy()
      rows, columns = (
        np.arange(own.shape[axis]) * deeper.shape[axis] // own.shape[axis] for axis in (1, 2)
      )
      total += mixed[:, rows][:, :, columns]
    added.append(total)
  expected = lead(embedding, added)
  found = model(tiny_swin.images(height, width))
  for level, value in expected.items():
    np.testing.assert_allclose(found[level], value, rtol=1e-3, atol=1e-3)
    assert found[level].shape[-1] == model.output_specs[level][-1]


def test_both_give_their_features():
  model, batch = tiny_swin.randomized(composite=True), tiny_swin.images()
  assisting, lead = model.maps_of_both(batch)
  for level, value in model(batch).items():
    np.testing.assert_array_equal(lead[level], value)
    assert assisting[level].shape == value.shape and np.any(assisting[level] != value)


def test_new_links_add_nothing():
  links = tiny_swin.build(composite=True).links
  assert [len(layers) for layers in links] == [3, 2, 1, 0]
  assert not any(np.any(v) for layers in links for link in layers for v in link.variables)


def test_gradients_reach_every_variable():
  model = tiny_swin.randomized(composite=True)
  gradients = tiny_swin.gradients_of(model, tiny_swin.images())
  for variable, gradient in zip(model.trainable_variables, gradients):
    assert np.any(gradient), variable.name


def test_mixed_precision_is_that_of_the_policy():
  model = tiny_swin.build('mixed_bfloat16', composite=True)
  assert {x.dtype for x in model(tiny_swin.images()).values()} == {tf.bfloat16}
