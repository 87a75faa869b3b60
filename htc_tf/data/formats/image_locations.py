"""Where the images of annotations are: the image folder, and file names relative to it.

Annotations name images by other machines' paths, with another suffix, or not at all. Images are
looked for in the given folder, or beside the annotations, by path, then by name, then by stem.
"""

import collections
import os
import posixpath
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from htc_tf.data.check_report import CheckReport
from htc_tf.data.formats.source_files import SourceFiles, files_below, stem
from htc_tf.errors import DataError

IMAGE_SUFFIXES = (
  *('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp', '.gif', '.jp2', '.ppm', '.pgm'),
  '.npy',
)
_FOLDERS = ('images', 'JPEGImages', 'image', 'imgs', 'img', 'leftImg8bit', 'pictures', 'data')
_SAMPLE = 50  # Images that decide where a COCO file's names are relative to.


class Locations(NamedTuple):
  """Image folder and file names.

  Attributes:
    folder: folder of the images.
    names: name of each wanted image relative to the folder; its first wanted name if there is no
      such file.
    num_found: number of images with a file.
    others: names of the other images in the folder.
  """

  folder: str
  names: list[str]
  num_found: int
  others: list[str]


def locate(
  files: SourceFiles,
  image_folder: str,
  wanted: Sequence[Sequence[str]],
  left_out: Collection[str] = (),
  report: CheckReport | None = None,
  may_share: bool = False,
) -> Locations:
  """The image folder with most of the wanted images.

  If annotations of different names would get the same file, such as train/1.jpg and val/1.jpg when
  only one of them exists, it belongs to the name that is most like its path.

  Args:
    files: the annotation files.
    image_folder: the folder that the user gave; '' looks beside the annotations.
    wanted: possible names of each image, the best first; a name with folders is best matched by
      the file that shares most of them.
    left_out: paths of files that are no images, such as masks.
    report: counts of image files that are not wanted; None if they are used all the same.
    may_share: whether annotations of different names may have the same image, as masks have.

  Raises:
    DataError: an image name stands for several files, or a file for several images.
  """
  best: Locations | None = None
  hidden = {os.path.abspath(path) for path in left_out}
  for folder in [image_folder] if image_folder else _candidates(files):
    index = ImageIndex(folder, hidden)
    found = [index.find(names) for names in wanted]
    found = found if may_share else _of_one_image(found, wanted)
    num_found = len(found) - found.count(None)
    if best is None or num_found > best.num_found:
      named = [name or names[0] for name, names in zip(found, wanted)]
      best = Locations(folder, named, num_found, sorted(set(index.names) - set(named)))
    if num_found == len(wanted):
      break
  if best is None:
    return Locations(files.folder, [names[0] for names in wanted], 0, [])
  for name in best.others:
    if report is not None:
      report.add('unannotated_image', name)
  return best


def _of_one_image(found: list[str | None], wanted: Sequence[Sequence[str]]) -> list[str | None]:
  """The files that were found, each for one image; None for the other images."""
  claims: dict[str, dict[str, None]] = collections.defaultdict(dict)
  for file, (name, *_) in zip(found, wanted):
    if file is not None:
      claims[file][_plain(name)] = None
  owners = {file: _owner(file, list(names)) for file, names in claims.items()}
  return [
    file if file is not None and owners[file] == _plain(name) else None
    for file, (name, *_) in zip(found, wanted)
  ]


def _plain(name: str) -> str:
  return posixpath.normpath(name.replace('\\', '/'))


def _owner(file: str, names: list[str]) -> str:
  """The name, of those that a file was found for, that is most like its path."""
  exact = [name for name in names if name in (file, posixpath.splitext(file)[0])]
  best = exact[:1] or nearest(names, file)
  if len(best) > 1:
    raise DataError(
      f'The image {file} has several annotations',
      expected='one annotation file or entry for each image',
      got=' and '.join(best[:3]),
      likely_cause='copies of annotations, or fine and coarse ones, below one folder; name one of '
      'the folders as --annotations',
    )
  return best[0]


def folder_of_names(
  files: SourceFiles, names: Sequence[str], split: str = '', left_out: str = ''
) -> str:
  """The folder that most of the file names are relative to.

  Args:
    files: the annotation files.
    names: file names, as in a COCO file.
    split: likely name of the folder, such as train2017.
    left_out: a folder that does not count.
  """
  step = max(1, len(names) // _SAMPLE)
  sample = [name.replace('\\', '/') for name in names[::step]]
  best, most = '', -1
  for folder in folders_near(files, split):
    if left_out and os.path.realpath(folder) == os.path.realpath(left_out):
      continue
    number = sum(os.path.isfile(os.path.join(folder, name)) for name in sample)
    if number > most:  # The first of the best ones.
      best, most = folder, number
    if number == len(sample):
      break
  return best


def _candidates(files: SourceFiles) -> Iterator[str]:
  """Folders to look for images, the likeliest first."""
  above = os.path.dirname(os.path.abspath(files.folder))
  yield files.folder
  for parent in (above, os.path.dirname(above)):
    for name in _FOLDERS:
      path = os.path.join(parent, name)
      if os.path.isdir(path):
        yield path


def folders_near(files: SourceFiles, split: str) -> list[str]:
  """Folders that the names in a COCO file may be relative to, the likeliest first.

  Args:
    files: the annotation files.
    split: likely name of the folder, such as train2017; '' if there is none.
  """
  above = os.path.dirname(os.path.abspath(files.folder))
  roots = [files.folder, above]
  further = os.path.dirname(above)
  named = [os.path.join(root, name) for root in roots for name in (split, *_FOLDERS) if name]
  found = [*roots, *(os.path.join(folder, split) for folder in named if split), *named]
  found += [os.path.join(further, name) for name in (split, *_FOLDERS) if name]
  for root in roots:
    found += _subfolders(root)
    found += [below for folder in _subfolders(root) for below in _subfolders(folder)]
  return list(dict.fromkeys(folder for folder in found if os.path.isdir(folder)))


def _subfolders(folder: str) -> list[str]:
  try:
    with os.scandir(folder) as entries:
      names = sorted(entry.name for entry in entries if entry.is_dir())
  except OSError:
    return []
  return [os.path.join(folder, name) for name in names if not name.startswith('.')][:200]


class ImageIndex:
  """The images below a folder, by name and by stem.

  Args:
    folder: the folder.
    left_out: absolute paths of files that are no images.
  """

  def __init__(self, folder: str, left_out: Collection[str] = ()):
    self._folder = folder
    self._by_name: dict[str, list[str]] = collections.defaultdict(list)
    self._by_stem: dict[str, list[str]] = collections.defaultdict(list)
    self.names: list[str] = []
    root = os.path.abspath(folder)
    for name in files_below(folder) if os.path.isdir(folder) else ():
      if name.lower().endswith(IMAGE_SUFFIXES) and os.path.join(root, name) not in left_out:
        self.names.append(name)
        self._by_name[posixpath.basename(name).lower()].append(name)
        self._by_stem[stem(name).lower()].append(name)

  def find(self, names: Sequence[str]) -> str | None:
    """The file of an image by its possible names, or None.

    Raises:
      DataError: a name stands for several files.
    """
    for index, key in ((self._by_name, posixpath.basename), (self._by_stem, stem)):
      for wanted in names:
        name = posixpath.normpath(wanted.replace('\\', '/'))
        found = nearest(index.get(key(name).lower(), []), name)
        if len(found) > 1:
          raise DataError(
            f'The image {wanted!r} stands for several files',
            expected='one file of that name, or annotations that name its folder',
            got=' and '.join(os.path.join(self._folder, path) for path in found[:3]),
            likely_cause='the same file names in several folders; give the folder of one of them '
            'as --image_folder',
          )
        if found:
          return found[0]
    return None


def nearest(candidates: list[str], name: str) -> list[str]:
  """The candidates that share most folders with a name.

  Args:
    candidates: paths with slashes.
    name: path with slashes.
  """
  if len(candidates) < 2:
    return candidates
  shared = [_shared_folders(candidate, name) for candidate in candidates]
  return [path for path, number in zip(candidates, shared) if number == max(shared)]


def _shared_folders(candidate: str, name: str) -> int:
  """Number of folders at the end of both paths that are the same."""
  number = 0
  pairs = zip(reversed(candidate.split('/')[:-1]), reversed(name.split('/')[:-1]))
  for first, second in pairs:
    if first != second:
      break
    number += 1
  return number
