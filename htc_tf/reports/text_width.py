"""The approximate width of texts in drawings, whose font is that of the reader."""

import unicodedata

# Widths of characters in a font of 13 pixels, rather too large than too small.
_USUAL, _CAPITAL, _WIDE = 7.2, 9.5, 14.0


def text_width(text: str) -> float:
  """The approximate width of a text in pixels, in a font of 13 pixels."""
  return sum(map(_character_width, text))


def shortened(text: str, maximum: float) -> str:
  """A text, cut with an ellipsis if it is wider than `maximum` pixels."""
  if text_width(text) <= maximum:
    return text
  ends = range(len(text), -1, -1)
  return next(cut for end in ends if text_width(cut := f'{text[:end]}…') <= maximum or not end)


def _character_width(character: str) -> float:
  category = unicodedata.category(character)
  if category in ('Mn', 'Me', 'Cf'):  # Accents and joiners take no place of their own.
    return 0.0
  if character in 'MWmw@%' or unicodedata.east_asian_width(character) in 'WF':
    return _WIDE
  return _CAPITAL if category == 'Lu' else _USUAL
