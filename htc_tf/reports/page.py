"""A self-contained HTML page: sections with text, tables and pictures.

The page needs no script and loads nothing from elsewhere. All texts are escaped. Example:

  page = Page('Evaluation of model', 'Mask AP 41.2 on 200 images.')
  section = page.section('Classes')
  section.table(['class', 'mask AP'], [['cat', 43.1], ['dog', 39.3]])
  section.picture(image, alt='precision-recall curves', caption='Precision and recall by class')
  page.write('report.html')
"""

import re
from collections.abc import Iterable, Sequence

import numpy as np

from htc_tf import files, version
from htc_tf.reports import markup, page_pictures, page_style, page_table


class Block:
  """A part of a page, to which content is added in reading order."""

  def __init__(self) -> None:
    self._parts: list[str | Block] = []

  def heading(self, text: str) -> None:
    """Add a heading below the title of the section."""
    self._parts.append(markup.element('h3', markup.escape(text)))

  def paragraph(self, text: str) -> None:
    """Add a paragraph."""
    self._parts.append(markup.element('p', markup.escape(text)))

  def items(self, texts: Iterable[str]) -> None:
    """Add a list; without texts, nothing is added."""
    self._list(texts, None)

  def warnings(self, texts: Iterable[str]) -> None:
    """Add a list that stands out; without texts, nothing is added."""
    self._list(texts, 'warnings')

  def facts(self, facts: Iterable[tuple[str, page_table.Cell]], decimals: int = 1) -> None:
    """Add the most important values as large numbers.

    Args:
      facts: (name, value) of each.
      decimals: decimal places of numbers that are not whole by type.
    """
    tiles = [
      markup.element(
        'div',
        markup.element('dt', markup.escape(name))
        + markup.element('dd', markup.escape(page_table.formatted(value, decimals))),
      )
      for name, value in facts
    ]
    self._parts.append(markup.element('dl', '\n'.join(tiles), class_='facts'))

  def table(
    self,
    header: Sequence[str],
    rows: Sequence[Sequence[page_table.Cell]],
    caption: str = '',
    decimals: int | Sequence[int] = 1,
  ) -> None:
    """Add a table; see `page_table.table_markup`."""
    self._parts.append(page_table.table_markup(header, rows, caption, decimals))

  def picture(self, image: np.ndarray | bytes, alt: str, caption: str = '') -> None:
    """Add a picture at its own size, or at the width of the page if that is less.

    Args:
      image: [height, width, 3] uint8 RGB, or the bytes of a PNG or JPEG file.
      alt: description for readers who do not see the picture.
      caption: text below the picture.
    """
    self._parts.append(_figure(page_pictures.picture_markup(image, alt), caption))

  def drawing(self, svg: str, alt: str, caption: str = '', is_wide: bool = False) -> None:
    """Add an SVG drawing; see `page_pictures.drawing_markup`.

    Args:
      svg: an SVG document.
      alt: description for readers who do not see the drawing.
      caption: text below the drawing.
      is_wide: whether a drawing that is wider than the page is scrolled instead of made smaller, so
        that its texts stay legible.
    """
    image = page_pictures.drawing_markup(svg, alt)
    if is_wide:
      image = markup.element('div', image, class_='wide', tabindex=0)
    self._parts.append(_figure(image, caption))

  def gallery(
    self, pictures: Iterable[tuple[np.ndarray | bytes | str, str, str]], min_width: int = 320
  ) -> None:
    """Add pictures side by side in columns of equal width, as many as the page has room for.

    Args:
      pictures: (image, alt, caption) of each; the image is as for `picture`, or an SVG document.
      min_width: smallest width of a column in pixels.
    """
    style = f'--narrowest: {min_width}px'
    figures = [
      _figure(
        page_pictures.drawing_markup(image, alt)
        if isinstance(image, str)
        else page_pictures.picture_markup(image, alt),
        caption,
      )
      for image, alt, caption in pictures
    ]
    self._parts.append(markup.element('div', '\n'.join(figures), class_='gallery', style=style))

  def details(self, summary: str) -> 'Block':
    """Add a part that opens when the reader clicks its summary, and return it."""
    block = _Details(summary)
    self._parts.append(block)
    return block

  def html(self) -> str:
    """The HTML of the content."""
    return '\n'.join(part if isinstance(part, str) else part.html() for part in self._parts)

  def _list(self, texts: Iterable[str], style: str | None) -> None:
    lines = [markup.element('li', markup.escape(text)) for text in texts]
    if lines:
      self._parts.append(markup.element('ul', '\n'.join(lines), class_=style))


class _Details(Block):
  """A part that is closed at first."""

  def __init__(self, summary: str):
    super().__init__()
    self._summary = markup.element('summary', markup.escape(summary))

  def html(self) -> str:
    return markup.element('details', f'{self._summary}\n{super().html()}')


class Section(Block):
  """A part of a page with a title, to which the table of contents leads.

  Args:
    title: its title.
    anchor: name by which links find it, unique on the page.
  """

  def __init__(self, title: str, anchor: str):
    super().__init__()
    self.title = title
    self.anchor = anchor

  def html(self) -> str:
    """The HTML of the section."""
    title = markup.element('h2', markup.escape(self.title))
    return markup.element('section', f'{title}\n{super().html()}', id=self.anchor)


class Page(Block):
  """A page; content that is added to it directly stands above the first section.

  Args:
    title: title of the page.
    summary: one or two sentences with the most important result.
  """

  def __init__(self, title: str, summary: str = ''):
    super().__init__()
    self._title = title
    self._summary = summary
    self._sections: list[Section] = []

  def section(self, title: str) -> Section:
    """Add a section after the others and return it."""
    section = Section(title, _anchor(title, {section.anchor for section in self._sections}))
    self._sections.append(section)
    return section

  def html(self) -> str:
    """The HTML document."""
    parts = [markup.element('h1', markup.escape(self._title))]
    if self._summary:
      parts.append(markup.element('p', markup.escape(self._summary), class_='summary'))
    header = markup.element('header', '\n'.join([*parts, self._contents(), super().html()]))
    sections = [section.html() for section in self._sections]
    footer = markup.element('footer', markup.escape(f'Written by htc_tf {version.__version__}.'))
    body = '\n'.join([header, markup.element('main', '\n'.join(sections)), footer])
    return page_style.framed(markup.escape(self._title), body)

  def write(self, path: files.PathLike) -> None:
    """Write the page as one file, completely or not at all."""
    files.write_bytes(path, self.html().encode('utf-8'))

  def _contents(self) -> str:
    """Links to the sections, if there are several."""
    if len(self._sections) < 2:
      return ''
    links = [
      markup.element('a', markup.escape(section.title), href=f'#{section.anchor}')
      for section in self._sections
    ]
    lines = '\n'.join(markup.element('li', link) for link in links)
    return markup.element('nav', markup.element('ul', lines), aria_label='Contents')


def _figure(image: str, caption: str) -> str:
  """A picture with its caption."""
  text = markup.element('figcaption', markup.escape(caption)) if caption else ''
  return markup.element('figure', image + text)


def _anchor(title: str, taken: set[str]) -> str:
  """A name for links made of a title, other than those that are taken."""
  name = re.sub(r'[^a-z0-9]+', '-', title.lower()).strip('-') or 'section'
  names = [name, *(f'{name}-{number}' for number in range(2, len(taken) + 3))]
  return next(candidate for candidate in names if candidate not in taken)
