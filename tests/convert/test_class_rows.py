"""Tests of the transfer of weights by the names of classes."""

import numpy as np
import pytest

from htc_tf.convert import class_rows
from htc_tf.convert.class_rows import Transfer

# Old labels: 1 cat, 2 dog, 3 bird; new labels: 1 dog, 2 fox, 3 Cat.
OLD, NEW = ('cat', 'dog', 'bird'), ('dog', 'fox', ' Cat')
KEPT = ((1, 2), (3, 1))


def test_classes_match_by_name():
  assert class_rows.match_names(OLD, NEW) == Transfer(KEPT, ('fox',))
  assert class_rows.match_names(OLD, ()) == Transfer((), ())
  assert class_rows.match_names(('a', 'a'), ('a', 'a')).kept == ((1, 1), (2, 1))


@pytest.mark.parametrize(
  'path,axis',
  [
    ('cascade/stages/2/box_head/logits/kernel', -1),
    ('cascade/stages/0/box_head/logits/bias', -1),
    ('cascade/stages/1/mask_predictor/conv_logits/kernel', 0),
    ('cascade/stages/0/box_head/class_deltas/kernel', -1),
    ('semantic_head/logits/kernel', -1),
  ],
)
def test_layers_with_an_entry_per_class(path, axis):
  assert class_rows.class_axis(path).axis == axis


@pytest.mark.parametrize(
  'path',
  [
    'cascade/stages/0/box_head/deltas/kernel',
    'cascade/stages/0/mask_predictor/upsample/kernel',
    'backbone/conv1/kernel',
    'rpn_head/logits/kernel',
  ],
)
def test_other_layers_have_none(path):
  assert class_rows.class_axis(path) is None


def transferred(path, initial, old, same_semantic=False):
  transfer = Transfer(KEPT, ('fox',))
  return class_rows.transferred(path, np.array(initial), np.array(old), transfer, same_semantic)


def test_a_classifier_keeps_the_background_and_the_classes_of_the_same_name():
  path = 'cascade/stages/0/box_head/logits/'
  # Entries: background, then the classes; old values are 1x, initial ones 0.
  value = transferred(path + 'kernel', [[0, 0, 0, 0]], [[10, 11, 12, 13]])
  np.testing.assert_array_equal(value, [[10, 12, 0, 11]])
  np.testing.assert_array_equal(
    transferred(path + 'bias', [0] * 4, [10, 11, 12, 13]), [10, 12, 0, 11]
  )


def test_a_mask_predictor_has_no_background():
  path = 'cascade/stages/0/mask_predictor/conv_logits/'
  value = transferred(path + 'kernel', [[0], [1], [2]], [[11], [12], [13]])
  np.testing.assert_array_equal(value, [[12], [1], [11]])


def test_deltas_by_class_are_transferred_by_fours():
  path = 'cascade/stages/0/box_head/class_deltas/bias'
  value = transferred(path, [0] * 12, range(10, 22))
  np.testing.assert_array_equal(value, [14, 15, 16, 17, 0, 0, 0, 0, 10, 11, 12, 13])


def test_the_semantic_branch_is_transferred_if_its_classes_are_the_instances():
  path = 'semantic_head/logits/bias'
  value = transferred(path, [0, 0, 0, 0], [10, 11, 12, 13], same_semantic=True)
  np.testing.assert_array_equal(value, [10, 12, 0, 11])
  assert transferred(path, [0, 0, 0, 0], [10, 11, 12, 13]) is None


def test_the_text_has_both_lists():
  text = class_rows.describe(OLD, NEW, class_rows.match_names(OLD, NEW))
  assert '3 classes: cat, dog, bird' in text
  assert 'has 3: dog, fox,  Cat' in text
  assert 'are kept: dog,  Cat; those of other classes start anew: fox' in text
