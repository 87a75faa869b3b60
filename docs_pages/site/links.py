"""Check a built site: links that lead nowhere, and files that a page loads from other hosts.

Example:
  python -m docs_pages.site.links build/site
"""

import argparse
import html.parser
import pathlib
import sys
import urllib.parse

# Its addresses start at the root of a host, because it answers for every address.
_LEFT_OUT = '404.html'


class _Page(html.parser.HTMLParser):
  """What a page leads to, what it loads, and its anchors."""

  def __init__(self, path: pathlib.Path):
    super().__init__()
    self.targets: list[str] = []
    self.loaded: list[str] = []
    self.anchors: set[str] = {''}
    self.feed(path.read_text(encoding='utf-8'))

  def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
    """Keep the addresses and the anchors of a tag."""
    values = dict(attrs)
    self.anchors |= {values.get('id') or '', (values.get('name') or '') if tag == 'a' else ''}
    if tag == 'a':
      self.targets.append(values.get('href') or '')
    else:
      self.loaded += filter(None, (values.get('href'), values.get('src')))


def faults(site: pathlib.Path) -> list[str]:
  """The faults of all pages of a site, one text each."""
  paths = [path for path in sorted(site.rglob('*.html')) if path.name != _LEFT_OUT]
  pages = {path.resolve(): _Page(path) for path in paths}
  found = []
  for path, page in pages.items():
    name = path.relative_to(site.resolve())
    hosts = [address for address in page.loaded if urllib.parse.urlsplit(address).netloc]
    found += [f'{name}: loads {address} from another host' for address in hosts]
    for target in dict.fromkeys(page.targets + page.loaded):
      if not _leads_somewhere(target, path, pages):
        found.append(f'{name}: {target} leads nowhere')
  return found


def _leads_somewhere(target: str, path: pathlib.Path, pages: dict[pathlib.Path, _Page]) -> bool:
  parts = urllib.parse.urlsplit(target)
  if parts.scheme or parts.netloc:
    return True
  file = (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
  if file not in pages:
    return file.is_file() and not parts.fragment
  return urllib.parse.unquote(parts.fragment) in pages[file].anchors


def main() -> int:
  """Print the faults; return the exit status."""
  parser = argparse.ArgumentParser(description='Check the links of a built site.')
  parser.add_argument('site', type=pathlib.Path, help='its folder')
  site = parser.parse_args().site
  if not (site / 'index.html').is_file():
    parser.error(f'{site} has no index.html')
  found = faults(site)
  print('\n'.join(found) or f'{site / "index.html"}: every link leads somewhere')
  return 1 if found else 0


if __name__ == '__main__':
  sys.exit(main())
