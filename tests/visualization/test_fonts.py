"""Tests of fonts for texts of any language."""

import os

import matplotlib
import pytest
from matplotlib import font_manager
from PIL import ImageFont

from htc_tf.visualization import fonts

_FOLDER = os.path.join(matplotlib.get_data_path(), 'fonts', 'ttf')
# STIX has these characters and DejaVu Sans does not; no font has the last one.
_OF_STIX, _OF_NONE = '\u1d81\u1d84', '\U00012000'


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
  """Nothing is known from other tests, and only the given fonts are installed."""
  for function in (fonts._path_with, fonts._font_of_file):
    function.cache_clear()
  monkeypatch.setattr(fonts, '_warned', set())
  monkeypatch.setattr(font_manager, 'findSystemFonts', list)
  yield
  for function in (fonts._path_with, fonts._font_of_file):
    function.cache_clear()


def _install(monkeypatch, *names):
  paths = [os.path.join(_FOLDER, name) for name in names]
  monkeypatch.setattr(font_manager, 'findSystemFonts', lambda: paths)


@pytest.mark.parametrize(
  'name', ['Käfer', 'cône', 'кошка', 'γάτα', 'çiğdem', 'źdźbło', 'חתול', 'قطة']
)
def test_letters_of_other_languages_are_in_the_font(name):
  font = fonts.load_font(20, ['cat', name])
  missing = bytes(font.getmask('\uffff'))
  assert all(bytes(font.getmask(letter)) != missing for letter in name)


def test_a_missing_font_is_no_failure(monkeypatch):
  truetype = ImageFont.truetype

  def missing(font, *arguments, **options):
    if isinstance(font, str):
      raise OSError('cannot open resource')
    return truetype(font, *arguments, **options)

  monkeypatch.setattr(ImageFont, 'truetype', missing)
  assert fonts.load_font(37, ['Käfer']) is fonts.load_font(37)


def test_plain_names_keep_the_font_of_pillow():
  assert fonts.load_font(20, ['cat', 'a long name…', 'two words']) is fonts.load_font(20)
  assert fonts.load_font(20).getname()[0] == 'Aileron'


def test_a_font_of_the_system_has_the_other_characters(monkeypatch, caplog):
  _install(
    monkeypatch, 'STIXGeneralBol.ttf', 'LastResortHE-Regular.ttf', 'cmr10.ttf', 'STIXGeneral.ttf'
  )
  font = fonts.load_font(20, ['cat', f'{_OF_STIX} é…'])
  assert os.path.basename(font.path) == 'STIXGeneral.ttf'
  assert fonts.load_font(20, [_OF_STIX, 'cat é']) is font
  assert not caplog.records


def test_an_upright_font_of_normal_weight_is_preferred(monkeypatch):
  _install(monkeypatch, 'DejaVuSansMono-Bold.ttf', 'DejaVuSansMono.ttf')
  assert os.path.basename(fonts.load_font(20, ['\u2312']).path) == 'DejaVuSansMono.ttf'


@pytest.mark.parametrize('installed', [(), ('STIXGeneral.ttf',), ('missing.ttf',)])
def test_characters_without_a_font_are_named_once(monkeypatch, caplog, installed):
  _install(monkeypatch, *installed)
  for text in (f'é{_OF_NONE}', f'é{_OF_NONE}!', f'\u2603{_OF_NONE}'):
    assert os.path.basename(fonts.load_font(20, [text]).path) == 'DejaVuSans.ttf'
  (record,) = caplog.records
  assert f'show boxes on images: {_OF_NONE}. Install a font' in record.getMessage()


def test_a_font_without_any_of_them_is_not_taken(monkeypatch):
  _install(monkeypatch, 'cmr10.ttf')
  assert fonts.load_font(20, [_OF_NONE]) is fonts.load_font(20)


def test_sets_of_names_share_a_font():
  names = [f'Käfer {chr(0x410 + number)}' for number in range(9)]
  assert len({id(fonts.load_font(20, [name])) for name in names}) == 1
  assert fonts._font_of_file.cache_info().currsize == 1
