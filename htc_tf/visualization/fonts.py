"""Fonts that have the characters of texts."""

import functools
import os
from collections.abc import Iterable
from typing import cast

from absl import logging
from PIL import ImageFont

_MAX_LISTED = 20
_MAX_SETS = 1024
# Parts of file names of fonts that are taken only if no other one has as many characters.
_HEAVY_OR_SLANTED = ('bold', 'black', 'heavy', 'italic', 'oblique', 'thin')
# It has a glyph for everything: a box with the name of the script.
_LAST_RESORT = 'lastresort'
_warned: set[str] = set()


def load_font(size: int, texts: Iterable[str] = ()) -> ImageFont.FreeTypeFont:
  """A font for texts.

  The font that is part of Pillow has hardly more than ASCII. Texts with other characters get the
  font of Matplotlib, which has Latin, Greek, Cyrillic, Hebrew and Arabic letters, among others. If
  it lacks some, as it does those of Chinese, Japanese and Korean, they get the font of the system
  that has most of them. A warning names what no font has.

  Args:
    size: height in pixels.
    texts: the texts that are written with it.
  """
  characters = frozenset(''.join(texts)) - {'…'}
  if all(character.isascii() for character in characters):
    return _font_of_pillow(size)
  # Spaces and control characters need no glyph.
  path = _path_with(frozenset(filter(_is_visible, characters)))
  return _font_of_file(path, size) if path else _font_of_pillow(size)


def _is_visible(character: str) -> bool:
  return character.isprintable() and not character.isspace()


@functools.cache
def _font_of_pillow(size: int) -> ImageFont.FreeTypeFont:
  # Given a size, Pillow returns its FreeType font and never the bitmap font.
  return cast(ImageFont.FreeTypeFont, ImageFont.load_default(size))


@functools.cache
def _font_of_file(path: str, size: int) -> ImageFont.FreeTypeFont:
  try:
    return ImageFont.truetype(path, size)
  except OSError:  # Boxes in the place of letters are no failure.
    return _font_of_pillow(size)


# Images of many classes have many sets of names.
@functools.lru_cache(_MAX_SETS)
def _path_with(characters: frozenset[str]) -> str:
  """The file of a font with all characters or as many as possible; '' if none has any."""
  import matplotlib  # Importing it takes a moment, and few names need it.

  of_matplotlib = os.path.join(matplotlib.get_data_path(), 'fonts', 'ttf', 'DejaVuSans.ttf')
  if not (missing := _missing(of_matplotlib, characters)):
    return of_matplotlib
  paths = [of_matplotlib, *_fonts_of_the_system()]
  best = min(paths, key=lambda path: (len(_missing(path, characters)), _is_unusual(path), path))
  missing = _missing(best, characters)
  _warn_of(missing)
  return '' if missing == characters else best


def _warn_of(missing: frozenset[str]) -> None:
  """Name characters without a font, each once in a process."""
  new = sorted(missing - _warned)
  if new:
    _warned.update(new)
    logging.warning(
      'No installed font has these characters, so names with them show boxes on images: %s%s. '
      'Install a font that has them, such as Noto Sans CJK.',
      ' '.join(new[:_MAX_LISTED]),
      ' ...' if len(new) > _MAX_LISTED else '',
    )


def _is_unusual(path: str) -> bool:
  name = os.path.basename(path).lower()
  return any(part in name for part in _HEAVY_OR_SLANTED)


def _fonts_of_the_system() -> list[str]:
  from matplotlib import font_manager

  paths = font_manager.findSystemFonts()
  return [path for path in paths if _LAST_RESORT not in os.path.basename(path).lower()]


def _missing(path: str, characters: frozenset[str]) -> frozenset[str]:
  """The characters that a font lacks; all of them if the file cannot be read."""
  return frozenset(character for character in characters if ord(character) not in _codes(path))


@functools.cache
def _codes(path: str) -> frozenset[int]:
  """Codes of the characters of a font; none if the file cannot be read."""
  from matplotlib import ft2font

  try:
    return frozenset(ft2font.FT2Font(path).get_charmap())
  except (OSError, RuntimeError, ValueError):  # FreeType reads other formats than fonts come in.
    return frozenset()
