"""Tests of the Python examples about prediction and serving in the docs."""

import contextlib
import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import htc_tf
from htc_tf.serving import client
from tests.docs_blocks import examples, run


@pytest.fixture(name='folder')
def _folder(tmp_path, monkeypatch):
  """A working folder with the pictures that the examples name."""
  pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
  (tmp_path / 'photos').mkdir()
  for name in ('photos/a.jpg', 'street.jpg', 'small.png'):
    Image.fromarray(pixels).save(tmp_path / name)
  monkeypatch.chdir(tmp_path)
  return tmp_path


@pytest.mark.parametrize('page', ['README.md', 'docs/prediction.md'])
def test_prediction(page, predictor, folder, monkeypatch):
  monkeypatch.setattr(htc_tf, 'load_model', lambda path: predictor)
  first, *others = examples(page, __file__)
  names = run(first.replace('score_threshold=0.5', 'score_threshold=0.0'))
  assert names['image'].path.endswith('a.jpg') and sum(names['image'].counts.values()) > 0
  for code in others:
    names = run(code, model=predictor, images=np.zeros([2, 48, 64, 3], np.uint8))
    assert names['outputs']['detection_boxes'].shape == (2, 10, 4)


def test_serving(saved_model, folder, monkeypatch):
  (folder / 'export').mkdir()
  os.symlink(saved_model, folder / 'export' / '1')
  by_server, by_tensorflow = examples('docs/serving.md', __file__)
  names = run(by_tensorflow)
  assert names['outputs']['detection_boxes'].shape == (1, 10, 4)

  @contextlib.contextmanager
  def connect(target):
    assert target.model == 'htc'
    signature = names['model'].signatures['image_bytes']
    yield lambda encoded: signature(inputs=tf.constant(encoded))

  monkeypatch.setattr(client, 'connect', connect)
  assert run(by_server)['outputs']['num_detections'].shape == (2,)
