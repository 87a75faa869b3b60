"""Text for HTML: escaped, and without characters that no browser shows."""

import html
import re

# Control characters are not allowed in HTML, except for tab and line ends. A lone surrogate stands
# for a byte of a file name that is no UTF-8, and cannot be encoded.
_FORBIDDEN = re.compile('[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]')
# They change the direction of the text that follows.
_DIRECTIONS = re.compile('[\u202a-\u202e\u2066-\u2069]')
_LEFT_TO_RIGHT_MARK = '\u200e'
# Words that are read from right to left, such as Arabic and Hebrew ones, with something after them.
_TURNED = '\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff'
_TURNED_WORDS = re.compile(f'[{_TURNED}]+(?: +[{_TURNED}]+)*(?= *[^ {_TURNED}])')


def escape(text: object) -> str:
  """A text as HTML shows it literally, also within a quoted attribute.

  A mark ends words that are read from right to left. Without it, browsers show the numbers after
  such a name in reverse order.
  """
  visible = _FORBIDDEN.sub('\ufffd', _DIRECTIONS.sub('', str(text)))
  marked = _TURNED_WORDS.sub(lambda words: words.group() + _LEFT_TO_RIGHT_MARK, visible)
  return html.escape(marked, quote=True)


def element(tag: str, content: str, **attributes: object) -> str:
  """An element with its content.

  Args:
    tag: name of the element.
    content: markup inside it.
    **attributes: values are escaped, and those that are None are left out. Underscores inside a
      name stand for hyphens; a final one, as in `class_`, is removed.
  """
  return f'<{tag}{_attributes(attributes)}>{content}</{tag}>'


def empty_element(tag: str, **attributes: object) -> str:
  """An element without content, such as img; see `element`."""
  return f'<{tag}{_attributes(attributes)}>'


def _attributes(attributes: dict[str, object]) -> str:
  return ''.join(
    f' {name.rstrip("_").replace("_", "-")}="{escape(value)}"'
    for name, value in attributes.items()
    if value is not None
  )
