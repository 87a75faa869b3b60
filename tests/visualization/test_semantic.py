"""Tests of drawing semantic maps and their legends."""

import numpy as np

from htc_tf.visualization import palette, semantic


def test_labels_have_their_colors_and_the_structure_of_the_image():
  labels = np.zeros([20, 30], np.uint8)
  labels[:, 10:20] = 1
  labels[:, 20:] = 2
  white = semantic.draw_semantic(np.full([20, 30, 3], 255, np.uint8), labels)
  black = semantic.draw_semantic(np.zeros([20, 30, 3], np.uint8), labels)
  for label, column in ((0, 5), (1, 15), (2, 25)):
    np.testing.assert_array_equal(white[3, column], semantic.semantic_color(label))
    assert (black[3, column] < white[3, column]).all()
  assert semantic.semantic_color(1) == palette.instance_color(0)


def test_ignored_pixels_are_striped_whatever_the_image():
  labels = np.full([40, 40], 255, np.uint8)
  for value in (0, 255):
    drawn = semantic.draw_semantic(np.full([40, 40, 3], value, np.uint8), labels)
    colors = np.unique(drawn.reshape(-1, 3), axis=0)
    assert len(colors) == 2 and colors.min() > 150


def test_a_legend_names_every_label_with_its_share():
  labels = np.zeros([10, 100], np.uint8)
  labels[:, 60:90] = 2
  labels[:, 90:99] = 255
  labels[0, 99] = 7
  entries = semantic.legend_entries(labels, {0: 'background', 2: 'cat'})
  assert [text for _, text in entries] == ['background 61%', 'cat 30%', 'ignored 9%', 'label 7 <1%']
  assert [color for color, _ in entries][1] == semantic.semantic_color(2)


def test_a_legend_has_a_square_and_a_text_for_each_entry_and_wraps():
  entries = [((200, 0, 0), 'red'), ((0, 200, 0), 'green'), ((0, 0, 200), 'blue')]
  wide, narrow = (semantic.draw_legend(entries, width) for width in (400, 90))
  assert wide.shape[1] == 400 and narrow.shape[0] >= 2 * wide.shape[0]
  for drawn in (wide, narrow):
    for color, _ in entries:
      assert (drawn == color).all(axis=-1).sum() > 50
    assert (drawn < 60).all(axis=-1).sum() > 20  # the texts


def test_a_legend_of_many_long_names_keeps_its_width():
  entries = [((9, 9, 200), 'a very long name ' * 20)] * 300
  assert semantic.draw_legend(entries, 200).shape[1] == 200
  assert semantic.draw_legend([], 200).shape == (1, 200, 3)
