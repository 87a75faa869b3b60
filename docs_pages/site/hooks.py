"""Hooks of MkDocs: the files of the site, and links that the pages of the repository do not have.

The site has the folders of the repository, so that links between pages are the same in both.
"""

import pathlib

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url
from pymdownx.slugs import slugify

from docs_pages.site import reference, sources

ROOT = pathlib.Path(__file__).parents[2]
# Pages, and what they show or lead to.
_PAGES = ('*.md', 'docs/*.md')
_FILES = (
  'CITATION.cff',
  'docs/*.jpg',
  'docs/pictures/*',
  'docs_pages/site/*.js',
  'docs_pages/site/*.css',
)


def _found(patterns: tuple[str, ...]) -> list[str]:
  paths = (path for pattern in patterns for path in sorted(ROOT.glob(pattern)))
  return [path.relative_to(ROOT).as_posix() for path in paths]


def _text(path: str) -> str:
  return (ROOT / path).read_text(encoding='utf-8')


def on_config(config: MkDocsConfig) -> MkDocsConfig:
  """Give headings the anchors that GitHub makes."""
  config.mdx_configs['toc']['slugify'] = slugify(case='lower')
  return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
  """Replace the files of docs/ by those of the repository, and add pages made from the code."""
  pages = _found(_PAGES)
  added = [
    File.generated(config, path, abs_src_path=str(ROOT / path)) for path in pages + _found(_FILES)
  ]
  api = _text('docs/api.md')
  added.append(File.generated(config, reference.PAGE, content=reference.page(api)))
  named = set().union(*(sources.named_files(ROOT, _text(path)) for path in pages))
  added += [
    File.generated(
      config,
      f'{sources.FOLDER}/{path}.md',
      content=sources.page(ROOT, path),
      inclusion=InclusionLevel.NOT_IN_NAV,
    )
    for path in sorted(named)
  ]
  return Files([file for file in files if file.src_dir != config.docs_dir] + added)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
  """Lead from source files and names of the public API to their pages."""
  del config

  def address(path: str) -> str | None:
    file = files.get_file_from_path(path)
    return get_relative_url(file.url, page.url) if file else None

  if page.file.src_uri == reference.PAGE:
    return html
  to_reference = address(reference.PAGE)
  html = reference.linked(html, reference.names(_text('docs/api.md')), to_reference or '')
  return sources.linked(html, ROOT, lambda path: address(f'{sources.FOLDER}/{path}.md'))
