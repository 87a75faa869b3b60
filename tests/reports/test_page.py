"""Tests of self-contained HTML pages."""

import base64
import io
import os

import numpy as np
import pytest
from PIL import Image

from htc_tf.errors import InputError
from htc_tf.reports import markup, page_table
from htc_tf.reports import page as page_lib
from tests.reports import html_pages

_SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><rect width="5"/></svg>'
_HOSTILE = '<b>&"\'</td><script>alert(1)</script>'


def _decoded(image):
  kind, _, content = image['src'].removeprefix('data:').partition(';base64,')
  return kind, base64.b64decode(content, validate=True)


def _table(*args, **kwargs):
  """The parsed page of a table."""
  page = page_lib.Page('t')
  page.table(*args, **kwargs)
  return html_pages.check_self_contained(page.html())


def test_a_page_has_what_was_added_in_reading_order():
  page = page_lib.Page('Title', 'Summary.')
  page.facts([('images', 12345), ('mask AP', 41.25), ('boxes', None)])
  first = page.section('First part')
  first.paragraph('One.')
  first.heading('Below')
  first.items(['a', 'b'])
  first.warnings(['careful'])
  inner = first.details('More')
  inner.paragraph('Hidden.')
  first.paragraph('Two.')
  page.section('Second').table(['name', 'number'], [['x', 1]], 'A caption')
  parsed = html_pages.check_self_contained(page.html())
  expected = (
    'Title|Summary.|First part|Second|images|12,345|mask AP|41.2|boxes|-|First part|One.|Below|'
    'a|b|careful|More|Hidden.|Two.|Second|A caption|name|number|x|1'
  )
  assert parsed.text().split('\n')[:-1] == expected.replace('-', page_table.MISSING).split('|')
  assert parsed.texts_of('title') == ['Title']
  assert ('section/details/p', 'Hidden.') in [
    (path.split('main/')[-1], text) for path, text in parsed.texts
  ]


def test_contents_lead_to_sections_also_of_equal_titles():
  page = page_lib.Page('t')
  for title in ('AP by size', 'AP by size', 'AP, by size!', 'ÄÖ', '', 'AP by size 2'):
    page.section(title)
  parsed = html_pages.check_self_contained(page.html())
  targets = [link['href'][1:] for link in parsed.all('a')]
  assert targets == [section['id'] for section in parsed.all('section')]
  assert targets[:2] == ['ap-by-size', 'ap-by-size-2']


def test_a_page_of_one_section_has_no_contents():
  page = page_lib.Page('t')
  page.section('Only')
  assert not html_pages.check_self_contained(page.html()).all('nav')


def test_every_text_is_shown_literally():
  image = np.zeros((4, 4, 3), np.uint8)
  page = page_lib.Page(_HOSTILE, _HOSTILE)
  page.facts([(_HOSTILE, _HOSTILE)])
  section = page.section(_HOSTILE)
  section.paragraph(_HOSTILE)
  section.heading(_HOSTILE)
  section.items([_HOSTILE])
  section.warnings([_HOSTILE])
  section.table([_HOSTILE], [[_HOSTILE]], _HOSTILE)
  section.picture(image, _HOSTILE, _HOSTILE)
  section.gallery([(image, _HOSTILE, _HOSTILE)])
  section.drawing(_SVG, _HOSTILE, _HOSTILE)
  section.details(_HOSTILE)
  parsed = html_pages.check_self_contained(page.html())
  page.section('second')
  assert not parsed.all('b')
  assert [image['alt'] for image in parsed.all('img')] == [_HOSTILE] * 3
  texts = [text for path, text in parsed.texts if not path.endswith(('style', 'footer'))]
  assert set(texts) == {_HOSTILE}
  assert len(texts) == 1 + 2 + 2 + 1 + 4 + 3 + 3 + 1


def test_characters_that_html_forbids_are_replaced(tmp_path):
  # The last one is a byte of a file name that is no UTF-8; the one before turns text around.
  page = page_lib.Page('a\0b\x1bc\x85\u202ed\udcff')
  page.write(tmp_path / 'page.html')
  text = (tmp_path / 'page.html').read_text(encoding='utf-8')
  assert html_pages.ParsedPage(text).texts_of('h1') == ['a\ufffdb\ufffdc\ufffdd\ufffd']


@pytest.mark.parametrize(
  'text, shown',
  [
    ('כלב', 'כלב'),
    ('قطة كبيرة ', 'قطة كبيرة '),
    ('قطة كبيرة 1', 'قطة كبيرة| 1'),
    ('כלב (6.2, 14 objects)', 'כלב| (6.2, 14 objects)'),
    ('قطة كبيرة, כלב\n3', 'قطة كبيرة|, כלב|\n3'),
    ('כלב <3', 'כלב| &lt;3'),
    ('chat 3, 猫 4, é 5', 'chat 3, 猫 4, é 5'),
  ],
)
def test_words_from_right_to_left_do_not_turn_what_follows(text, shown):
  assert markup.escape(text) == shown.replace('|', '\u200e')


def test_numbers_are_aligned_and_texts_are_not():
  rows = [
    ['cat', 1234567, 0.125, None, np.int64(5), True],
    ['12', None, np.float32('nan'), None, np.float32(2.5), False],
  ]
  parsed = _table(['name', 'count', 'share', 'empty', 'mixed', 'flag'], rows, decimals=2)
  texts = 'cat|1,234,567|0.12|-|5|True|12|-|-|-|2.50|False'.replace('-', page_table.MISSING)
  assert parsed.texts_of('td') == texts.split('|')
  styles = [cell.get('class') for cell in parsed.all('td')[:6]]
  assert styles == [None, 'number', 'number', 'number', 'number', None]
  assert [cell.get('class') for cell in parsed.all('th')] == styles


def test_bars_have_the_length_of_their_share():
  shares = {0: '0.00', 0.5: '50.00', 1: '100.00', 7: '100.00', -1: '0.00', float('nan'): '0.00'}
  bars = [page_table.Bar(share) for share in shares]
  parsed = _table(['bar'], [[bar] for bar in bars])
  widths = [bar['style'] for bar in parsed.all('span')]
  assert widths == [
    f'width:{width}%' for width in ('0.00', '50.00', '100.00', '100.00') + ('0.00',) * 2
  ]


def test_a_table_without_rows_has_its_header():
  assert _table(['a', 'b'], []).texts_of('th') == ['a', 'b']


def test_a_row_of_another_length_is_refused():
  with pytest.raises(InputError, match=r'2 cells in each row.*1, 2'):
    page_lib.Page('t').table(['a', 'b'], [[1, 2], [1]])
  with pytest.raises(InputError, match=r'2 cells'):
    page_lib.Page('t').table(['a', 'b'], [[1, 2]], decimals=[1])


def test_columns_have_their_own_decimal_places():
  parsed = _table(['AP', 'threshold'], [[41.25, 0.555]], decimals=[1, 2])
  assert parsed.texts_of('td') == ['41.2', '0.56']


@pytest.mark.parametrize('kind, noise', [('image/png', 0), ('image/jpeg', 40)])
def test_a_picture_has_its_pixels_in_the_smaller_format(kind, noise):
  # A smooth image with noise, as a photograph, and a plot of few colors.
  image = np.full((60, 90, 3), 120, np.float64)
  image[20:40, 30:60] = (200, 30, 60)
  image += np.random.default_rng(0).normal(0, noise, image.shape) if noise else 0
  image = image.clip(0, 255).astype(np.uint8)
  page = page_lib.Page('t')
  page.picture(image, 'alt', 'Caption')
  parsed = html_pages.check_self_contained(page.html())
  (element,) = parsed.all('img')
  found, content = _decoded(element)
  assert found == kind and (element['width'], element['height']) == ('90', '60')
  pixels = np.asarray(Image.open(io.BytesIO(content)))
  assert np.abs(pixels.astype(int) - image).mean() < (20 if noise else 1e-9)
  assert parsed.texts_of('figcaption') == ['Caption']


@pytest.mark.parametrize('name', ['PNG', 'JPEG'])
def test_an_encoded_picture_is_kept_as_it_is(name):
  stream = io.BytesIO()
  Image.new('RGB', (7, 5), (1, 2, 3)).save(stream, format=name)
  page = page_lib.Page('t')
  page.gallery([(stream.getvalue(), 'alt', '')])
  (element,) = html_pages.check_self_contained(page.html()).all('img')
  assert _decoded(element) == (f'image/{name.lower()}', stream.getvalue())
  assert (element['width'], element['height']) == ('7', '5')


@pytest.mark.parametrize(
  'image, message',
  [
    (b'GIF89a', 'PNG or JPEG.*GIF89a'),
    (b'', '0 bytes'),
    (np.zeros((4, 4), np.uint8), r'\[4, 4\] of uint8'),
    (np.zeros((4, 4, 3), np.float32), 'float32'),
    (np.zeros((0, 4, 3), np.uint8), r'\[0, 4, 3\]'),
  ],
)
def test_a_picture_in_another_form_is_refused(image, message):
  with pytest.raises(InputError, match=message):
    page_lib.Page('t').picture(image, 'alt')


def test_a_drawing_is_embedded_as_it_is():
  page = page_lib.Page('t')
  page.drawing(_SVG, 'alt', 'Caption')
  (element,) = html_pages.check_self_contained(page.html()).all('img')
  assert _decoded(element) == ('image/svg+xml', _SVG.encode())


@pytest.mark.parametrize(
  'svg', ['', '<svg', '<svg/>', '<html xmlns="http://www.w3.org/1999/xhtml"/>']
)
def test_a_drawing_that_is_no_svg_is_refused(svg):
  with pytest.raises(InputError, match='drawing'):
    page_lib.Page('t').drawing(svg, 'alt')


def test_a_page_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
  path = tmp_path / 'page.html'
  path.write_text('old')

  def fail(*_):
    raise OSError(28, 'No space left on device')

  monkeypatch.setattr(os, 'replace', fail)
  with pytest.raises(OSError, match='space'):
    page_lib.Page('t').write(path)
  assert path.read_text() == 'old' and os.listdir(tmp_path) == ['page.html']
