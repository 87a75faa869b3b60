"""Writing of a report into a folder in which nobody else's files are replaced."""

import os
from collections.abc import Iterable, Mapping

import numpy as np

from htc_tf import file_errors, file_systems, files
from htc_tf.errors import InputError
from htc_tf.reports import page_style
from htc_tf.reports.page import Page
from htc_tf.visualization import panels

_HEAD_BYTES = 2000


def check_replaceable(folder: str, page_name: str, names: Iterable[str]) -> None:
  """Raise InputError if a report would replace files that are not those of an earlier report.

  Args:
    folder: folder to write to; it may be missing.
    page_name: name of the page of the report, which is written first.
    names: names of the other files.
  """
  if not file_systems.is_folder(folder):
    files.check_new_folder(folder, 'a file of this name; name another folder with --output')
    return
  with file_errors.as_input_errors():
    paths = [os.path.join(folder, name) for name in (page_name, *names)]
    present = [path for path in paths if file_systems.exists(path)]
    if present and not _is_page(paths[0]):
      raise InputError(
        f'{folder} holds files that are not of an earlier report',
        expected='a new folder, or one with an earlier report',
        got=', '.join(map(os.path.basename, present)),
        likely_cause='the folder of something else; name another one with --output',
      )


def write_report(
  folder: str, page_name: str, page: Page, pictures: Mapping[str, np.ndarray]
) -> list[str]:
  """Write a page and its pictures; return their paths.

  Args:
    folder: folder to write to; it is created if it is missing.
    page_name: file name of the page.
    page: the page. It is written first: with it, the folder is known as that of a report.
    pictures: pictures [height, width, 3] uint8 RGB by file name.
  """
  with file_errors.as_input_errors():
    file_systems.make_folders(folder)
    paths = [os.path.join(folder, name) for name in (page_name, *pictures)]
    page.write(paths[0])
    for path, picture in zip(paths[1:], pictures.values()):
      panels.write_image(path, picture)
  return paths


def _is_page(path: str) -> bool:
  """Whether a file is a page of this package."""
  if not file_systems.is_file(path):
    return False
  with file_systems.open_file(path, 'rb') as file:
    return page_style.GENERATOR.encode() in file.read(_HEAD_BYTES)
