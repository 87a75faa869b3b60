"""Tests of the texts of labels."""

import numpy as np
import pytest

from htc_tf.reports import labeled_image
from htc_tf.visualization import draw, fonts, labels, panels, semantic


def test_a_text_for_a_picture_is_one_line_of_printable_characters():
  assert labels.single_line(' a\nb\t c\x00\udcff ') == 'a b c'
  assert labels.single_line('Käfer <b> 甲虫') == 'Käfer <b> 甲虫'


def test_names_with_line_ends_are_drawn():
  labeled = labeled_image.LabeledImage(
    np.zeros([60, 60, 3], np.uint8), np.array([[20, 5, 50, 50.0]]), np.array([1]), np.array([False])
  )
  drawn = labeled_image.draw_objects(labeled, ['two\nlines'])
  np.testing.assert_array_equal(drawn, labeled_image.draw_objects(labeled, ['two lines']))


def test_a_long_text_is_cut_to_a_width():
  font = fonts.load_font(15)
  cut = labels.shortened('a long text ' * 9, font, 80)
  assert cut.endswith('…') and font.getlength(cut) <= 80
  assert font.getlength('a long text ' * 9) > font.getlength(cut[:-1] + 'xx…') > 80
  assert labels.shortened('short', font, 80) == 'short'
  assert labels.shortened('short', font, 0) == '…'


def test_names_of_other_languages_are_drawn_differently():
  def labeled(name):
    return labels.draw_labels(
      np.zeros([60, 90, 3], np.uint8), [labels.Label((20, 5, 50, 50), [name], (255, 255, 255))]
    )

  def titled(name):
    blank = np.zeros([60, 90, 3], np.uint8)
    return panels.side_by_side([blank], [name])

  def legend(name):
    return semantic.draw_legend([((1, 2, 3), name)], 90)

  for draw_name in (labeled, titled, legend):
    assert (draw_name('ио') != draw_name('нп')).any(), draw_name


@pytest.mark.parametrize('name', ['two\nlines', ' two\0lines\t'])
def test_names_of_instances_are_one_line(name):
  def drawn(name):
    boxes, scores = np.array([[20, 5, 50, 50]]), np.array([0.5])
    return draw.draw_instances(np.zeros([60, 90, 3], np.uint8), boxes, None, [1], scores, [name])

  np.testing.assert_array_equal(drawn(name), drawn('two lines'))
