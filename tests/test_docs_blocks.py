"""Tests of the code blocks on the pages: each one runs in a test, or says why it cannot."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from official.modeling import hyperparams

from htc_tf.data.augmentation import registry
from tests.docs_blocks import examples, run, wrong_marks
from tests.test_docs_references import IDS, PAGES


def test_a_wrong_mark_is_found():
  block = '```\nhtc-show data\n```\n'
  assert wrong_marks(block) == ['']
  assert len(wrong_marks(f'<!-- tested by tests/missing.py -->\n{block}')) == 1
  assert len(wrong_marks(f'<!-- run by tests/test_newcomer.py -->\n{block}')) == 1
  assert wrong_marks(f'<!-- tested by tests/test_newcomer.py -->\n{block}') == []
  assert wrong_marks(f'<!-- not run: needs a GPU -->\n{block}') == []


@pytest.mark.parametrize('path', PAGES, ids=IDS)
def test_every_block_runs_in_a_test_or_says_why_not(path):
  assert wrong_marks(path.read_text(encoding='utf-8')) == []


def test_the_example_of_an_augmentation(monkeypatch):
  registry.build_augmentations({})  # Those of the package register in the real table.
  monkeypatch.setattr(registry, '_CLASSES', dict(registry._CLASSES))
  module, config = examples('docs/extending.md', __file__)
  run(module, __name__='example')
  values = run(config, dataclasses=dataclasses, hyperparams=hyperparams, __name__='example')
  default = values['Lightness']().as_dict()
  (unchanged,) = registry.build_augmentations({'lightness': default})
  (changed,) = registry.build_augmentations({'lightness': {'max_delta': 32.0}})
  image = tf.fill([4, 4, 3], 128.0)
  np.testing.assert_array_equal(unchanged.change_pixels(image, [1, 2]), image)
  assert 0 < np.abs(changed.change_pixels(image, [1, 2]) - image).max() <= 32
