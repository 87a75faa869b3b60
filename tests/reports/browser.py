"""A real browser for tests of pages."""

import pathlib
import shutil
import subprocess

PATH = next(
  filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None
)
_FLAGS = (
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--hide-scrollbars',
)


def browse(page: pathlib.Path, folder: pathlib.Path, *flags: str) -> str:
  """What the browser prints for a page; its profile is in `folder`."""
  command = [PATH, *_FLAGS, f'--user-data-dir={folder}/profile', *flags, f'file://{page}']
  return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
