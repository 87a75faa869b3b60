"""Hooks of MkDocs: which files the site has.

The site has the folders of the repository, so that links between pages are the same in both.
"""

import pathlib

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from docs_pages.site import reference

ROOT = pathlib.Path(__file__).parents[2]
# The files of the repository that pages lead to.
_FILES = ('*.md', 'CITATION.cff', 'docs/*', 'docs/pictures/*', 'docs_pages/site/*.js')


def on_files(files: Files, config: MkDocsConfig) -> Files:
  """Replace the files of docs/ by those of the repository, and add pages made from the code."""
  kept = [file for file in files if file.src_dir != config.docs_dir]
  added = [
    File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path))
    for pattern in _FILES
    for path in sorted(ROOT.glob(pattern))
    if path.is_file()
  ]
  api = (ROOT / 'docs' / 'api.md').read_text(encoding='utf-8')
  added.append(File.generated(config, 'docs/reference.md', content=reference.page(api)))
  return Files([*kept, *added])
