"""Hooks of MkDocs: the files of the site, and links that the pages of the repository do not have.

The site has the folders of the repository, so that links between pages are the same in both.
"""

import os
import pathlib
import re

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url
from pymdownx.slugs import slugify

from docs_pages.site import notebooks, reference, sources

ROOT = pathlib.Path(__file__).parents[2]
# The style of the site, and what its search needs.
_ASSETS = ('docs_pages/site/site.css', 'docs_pages/site/iframe-worker.js')
_LINK = re.compile(r'\]\(([^)#\s:]+)[^)]*\)')


def on_config(config: MkDocsConfig) -> MkDocsConfig:
  """Give headings the anchors that GitHub makes."""
  config.mdx_configs['toc']['slugify'] = slugify(case='lower')
  return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
  """Replace the files of docs/ by those of the repository, and add pages made from the code."""
  texts = {path: _text(path) for path in _found('*.md') + _found('docs/*.md')}
  contents: dict[str, str | bytes] = {**texts, reference.PAGE: reference.page(texts['docs/api.md'])}
  for path in _found('notebooks/*.ipynb'):
    page, pictures = notebooks.page(_text(path), pathlib.PurePath(path).stem)
    contents[str(pathlib.PurePath(path).with_suffix('.md'))] = page
    contents |= {f'notebooks/{name}': picture for name, picture in pictures.items()}
  kept = [file for file in files if file.src_dir != config.docs_dir]
  added = [File.generated(config, path, content=content) for path, content in contents.items()]
  linked = set().union(*(_linked_files(path, text) for path, text in texts.items()))
  added += [
    File.generated(config, path, abs_src_path=str(ROOT / path))
    for path in sorted({*linked, *_ASSETS})
  ]
  named = set().union(*(sources.named_files(ROOT, text) for text in texts.values()))
  added += [
    File.generated(
      config,
      f'{sources.FOLDER}/{path}.md',
      content=sources.page(ROOT, path),
      inclusion=InclusionLevel.NOT_IN_NAV,
    )
    for path in sorted(named)
  ]
  return Files(kept + added)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
  """Lead to the pages of notebooks."""
  del page, config, files
  return notebooks.linked(markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
  """Lead from source files and names of the public API to their pages; keep flags readable."""
  del config
  if page.file.src_uri == reference.PAGE:
    return html

  def address(path: str) -> str | None:
    file = files.get_file_from_path(path)
    return get_relative_url(file.url, page.url) if file else None

  known = reference.names(_text('docs/api.md'))
  html = reference.linked(html, known, address(reference.PAGE) or '')
  html = sources.linked(html, ROOT, lambda path: address(f'{sources.FOLDER}/{path}.md'))
  return re.sub(r'<code>[^<]*--[^<]*</code>', _with_whole_flags, html)


def _with_whole_flags(code: re.Match[str]) -> str:
  # A line would otherwise break after the hyphens.
  return re.sub(r'--\w', r'<span class="flag">\g<0></span>', code[0])


def _found(pattern: str) -> list[str]:
  return [path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob(pattern))]


def _text(path: str) -> str:
  return (ROOT / path).read_text(encoding='utf-8')


def _linked_files(page: str, text: str) -> set[str]:
  """The files of the repository, other than pages, to which links and pictures of a page lead."""
  targets = (os.path.normpath(os.path.join(os.path.dirname(page), t)) for t in _LINK.findall(text))
  return {
    target
    for target in targets
    if not target.startswith('..')
    and not target.endswith(('.md', '.ipynb'))
    and (ROOT / target).is_file()
  }
