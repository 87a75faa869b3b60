"""Tests of diagrams as SVG."""

import re
from xml.etree import ElementTree

import pytest

from docs_pages import model_pictures
from docs_pages.diagram import Arrow, Box, svg

_SVG = '{http://www.w3.org/2000/svg}'


def test_a_box_has_its_place_and_its_lines():
  box = Box(10, 20, 100, 40, 'a < b\nc')
  assert (box.top, box.bottom, box.left, box.right) == ((60, 20), (60, 60), (10, 40), (110, 40))
  root = ElementTree.fromstring(svg('two lines', 200, 100, [box], [Arrow([box.right, (150, 40)])]))
  assert [text.text for text in root.iter(f'{_SVG}text')] == ['a < b', 'c']
  assert [line.get('points') for line in root.iter(f'{_SVG}polyline')] == ['110,40 150,40']
  assert root.find(f'{_SVG}title').text == 'two lines'


@pytest.mark.parametrize('draw', [model_pictures.training, model_pictures.inference])
def test_the_boxes_of_a_picture_do_not_overlap_and_texts_fit(draw):
  root = ElementTree.fromstring(draw())
  boxes = [
    tuple(float(rect.get(side)) for side in ('x', 'y', 'width', 'height'))
    for rect in root.iter(f'{_SVG}rect')
    if rect.get('rx')
  ]
  assert len(boxes) > 15
  for index, (x, y, width, height) in enumerate(boxes):
    assert x + width < float(root.get('width')) and y + height < float(root.get('height'))
    for other_x, other_y, other_width, other_height in boxes[:index]:
      apart = x >= other_x + other_width or other_x >= x + width
      assert apart or y >= other_y + other_height or other_y >= y + height
  texts = [text.text for text in root.iter(f'{_SVG}text')]
  assert max(map(len, texts)) < 80
  assert {int(number) for number in re.findall(r'box head B(\d)', ' '.join(texts))} == {1, 2, 3}
