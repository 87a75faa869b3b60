"""A parser of HTML pages for tests: strict about nesting, with what a reader and a browser see."""

import html.parser
import re

_EMPTY = {'meta', 'img', 'br', 'input', 'link', 'hr', 'base', 'source'}


class ParsedPage(html.parser.HTMLParser):
  """A parsed page.

  Attributes:
    elements: (tag, attributes) of every element in reading order.
    texts: texts of every element that is not empty, as (path of tags, text).
  """

  def __init__(self, source):
    super().__init__(convert_charrefs=True)
    self.elements, self.texts, self._open = [], [], []
    self.feed(source)
    self.close()
    assert not self._open, self._open

  def handle_starttag(self, tag, attributes):
    names = [name for name, _ in attributes]
    assert len(names) == len(set(names)), (tag, names)
    self.elements.append((tag, dict(attributes)))
    if tag not in _EMPTY:
      self._open.append(tag)

  def handle_endtag(self, tag):
    assert self._open.pop() == tag

  def handle_data(self, data):
    if data.strip():
      self.texts.append(('/'.join(self._open), data))

  def all(self, tag):
    """Attributes of all elements with a tag."""
    return [attributes for name, attributes in self.elements if name == tag]

  def texts_of(self, tag):
    """Texts directly inside elements with a tag."""
    return [text for path, text in self.texts if path.split('/')[-1] == tag]

  def text(self):
    """All text that a reader sees."""
    return '\n'.join(text for path, text in self.texts if not path.endswith(('style', 'title')))


def check_self_contained(source):
  """Assert that a page loads nothing, runs nothing, and has unique ids to which its links lead."""
  page = ParsedPage(source)
  assert source.startswith('<!DOCTYPE html>')
  tags = {tag for tag, _ in page.elements}
  assert not tags & {'script', 'link', 'iframe', 'object', 'embed', 'form', 'base'}
  ids = [attributes['id'] for _, attributes in page.elements if 'id' in attributes]
  assert len(ids) == len(set(ids))
  for tag, attributes in page.elements:
    assert not any(name.startswith('on') for name in attributes), (tag, attributes)
    for name in ('src', 'href', 'srcset', 'action', 'data'):
      target = attributes.get(name)
      if target is not None:
        is_anchor = tag == 'a' and target.startswith('#') and target[1:] in ids
        assert is_anchor or (tag == 'img' and target.startswith('data:image/')), (tag, target[:80])
  for image in page.all('img'):
    assert image['alt']
  style = '\n'.join(page.texts_of('style'))
  assert style and not re.search(r'url\(|@import|expression', style)
  return page
