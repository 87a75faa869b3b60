"""Write the pages of docs/ that come from the code.

Example:
  python -m docs_pages
"""

import argparse
import pathlib
import sys
from collections.abc import Callable

from docs_pages import configuration, layers, model_pictures

DOCS = pathlib.Path(__file__).parents[1] / 'docs'
# The names of the pages, and what makes their text.
PAGES: dict[str, Callable[[], str]] = {
  'configuration.md': configuration.page,
  'architecture.md': layers.page,
  'pictures/training.svg': model_pictures.training,
  'pictures/inference.svg': model_pictures.inference,
}


def main() -> int:
  """Write the pages; return the exit status."""
  parser = argparse.ArgumentParser(description='Write the pages of docs/ that come from the code.')
  parser.parse_args()
  for name, page in PAGES.items():
    (DOCS / name).write_text(page(), encoding='utf-8')
    print(DOCS / name)
  return 0


if __name__ == '__main__':
  sys.exit(main())
