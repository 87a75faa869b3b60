"""Folders of instance masks: one file a picture with numbers or colors, or one file an object.

These layouts are known, with PNG, TIFF, BMP or GIF files, `a` being the name of a picture:

  masks/a.png, a_masks.png          a map of a picture: each value or color but 0 is an object
  masks/<class>/a.png               the same, with a class
  masks/a/1.png, masks/a_1.png      an object of a picture: its pixels are not black
  masks/a_<class>_1.png             the same, with a class; also masks/a/<class>_1.png
  a/images/a.png, a/masks/*.png     the same, as in the 2018 Data Science Bowl
"""

import collections
import posixpath
import re
from typing import NamedTuple

import numpy as np

from htc_tf import progress
from htc_tf.data import mask_codec
from htc_tf.data.annotation_file import Entry
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.data.formats import image_locations, mask_files
from htc_tf.data.formats.annotation_source import AnnotationSource, ContentBuilder
from htc_tf.data.formats.source_files import SourceFiles, split_of, stem

NAME = 'instance masks'
_FOLDERS = (
  *('masks', 'mask', 'instances', 'instance_masks', 'instance_maps', 'labels', 'label'),
  *('annotations', 'gt', 'ground_truth', 'groundtruth', 'segmentation', 'segmentations'),
)
_SUFFIX = re.compile(r'[_-](cp_masks|masks?|seg|labels?|instances?|inst|gt)$', re.IGNORECASE)
_NUMBER = re.compile(r'[_.-]?\d+$')
# A name with other parts than words and numbers, such as a hash, has no class.
_PART = re.compile(r'((?:[^\W\d_]| )*)\d*')
_NO_CLASS = {'mask', 'masks', 'object', 'obj', 'instance', 'inst', 'label', 'seg', 'roi'}
_MAX_OBJECTS = 20_000  # A map with more values is a photograph or a depth map.


class _MaskFile(NamedTuple):
  """A mask: its name, folders between the mask folder and it, and that folder's parent."""

  name: str
  folders: tuple[str, ...]
  parent: str


def recognize(files: SourceFiles) -> bool:
  """Whether there are images in a folder of masks, or with the suffix of masks."""
  return files.is_folder and bool(_mask_files(files, ''))


def read(files: SourceFiles, options: ConversionOptions) -> AnnotationSource:
  """The objects of mask files.

  The class is the name of a folder or in the name of the file, else `class_name`. `split` keeps
  the masks with that folder in their path.

  Args:
    files: the annotation files.
    options: options of the conversion.

  Raises:
    DataError: there is no image or object.
  """
  report = files.report
  masks = _mask_files(files, options.image_folder)
  kept = set(files.of_split([mask.name for mask in masks], options.split))
  masks = [mask for mask in masks if mask.name in kept]
  wanted = _possible_pictures(masks, files)
  left_out = [files.absolute(mask.name) for mask in masks]
  located = image_locations.locate(
    files, options.image_folder, wanted, left_out, None if options.split else report, may_share=True
  )
  of_picture: dict[str, list[_MaskFile]] = {}
  for name, mask in zip(located.names, masks):
    of_picture.setdefault(name, []).append(mask)
  reader = _Reader(files, options.class_name)
  builder = ContentBuilder(files, located.folder, options)
  bar = progress.track(sorted(of_picture.items()), description='reading masks', unit='image')
  for name, of_image in bar:
    image = builder.add_image(name)
    for mask in of_image:
      reader.add(builder, image, mask)
  reader.count_findings()
  return builder.source(NAME)


def _mask_files(files: SourceFiles, image_folder: str) -> list[_MaskFile]:
  """The files that are masks by their folder or their name."""
  own_name = posixpath.basename(files.folder.rstrip('/')).lower()
  all_are_masks = bool(image_folder) or own_name in _FOLDERS
  found, unclear = [], []
  for name in files.of_type(*mask_files.MASK_SUFFIXES):
    parts = name.split('/')[:-1]
    places = [place for place, part in enumerate(parts) if part.lower() in _FOLDERS]
    if places:
      place = places[-1]
      found.append(_MaskFile(name, tuple(parts[place + 1 :]), '/'.join(parts[:place])))
    elif _SUFFIX.search(stem(name)):
      found.append(_MaskFile(name, (), '/'.join(parts)))
    else:
      unclear.append(_MaskFile(name, tuple(parts), ''))
  return found or (unclear if all_are_masks else [])


def _possible_pictures(masks: list[_MaskFile], files: SourceFiles) -> list[list[str]]:
  """Possible names of the picture of each mask, the likeliest first."""
  in_folder: dict[str, list[str]] = collections.defaultdict(list)
  for name in files.names:
    folder, is_inside, rest = name.partition('/images/')
    if is_inside and len(in_folder[folder]) < 2:
      in_folder[folder].append(stem(rest))
  return [_names_of_picture(mask, in_folder.get(mask.parent, [])) for mask in masks]


def _names_of_picture(mask: _MaskFile, beside: list[str]) -> list[str]:
  """Possible names of a picture; `beside` has the images in `images` beside the masks."""
  own = _SUFFIX.sub('', stem(mask.name))
  folders = [part for part in mask.folders if split_of(part)]
  names = [own, *mask.folders[-1:], _NUMBER.sub('', own), _without_class(own)]
  names.append(posixpath.basename(mask.parent))
  names += beside if mask.parent and len(beside) == 1 else []
  return [posixpath.join(*folders, name) for name in dict.fromkeys(names) if name]


def _without_class(own: str) -> str:
  """A name such as a_cat_1 without the class and the number."""
  without_number = _NUMBER.sub('', own)
  return _NUMBER.sub('', without_number.rpartition('_')[0])


class _Reader:
  """A reader of the objects of mask files, which finds out their classes.

  Args:
    files: the annotation files.
    class_name: class of objects without one; '' is 'object'.
  """

  def __init__(self, files: SourceFiles, class_name: str):
    self._files = files
    self._class_name = class_name
    self._single_values: set[str] = set()
    self._num_maps = 0
    self._assumed = False

  def add(self, builder: ContentBuilder, image: Entry, mask: _MaskFile) -> None:
    """Add the objects of a mask file to an image, which is dropped if the file has none to read."""
    own, picture = _SUFFIX.sub('', stem(mask.name)), stem(image['file_name'])
    is_map = own.lower() == picture.lower()
    content = self._files.read(mask.name)
    numbers = _map(content) if is_map else _bitmap(content)
    size = (image.get('height'), image.get('width'))
    if numbers is None or (None not in size and numbers.shape != size):
      got = 'no mask' if numbers is None else f'{numbers.shape[1]}x{numbers.shape[0]}'
      builder.drop_image(image, f'{mask.name} ({got})')
      return
    label = self._label(mask, image, '' if is_map else own.removeprefix(picture))
    objects = mask_codec.encode_map(numbers)
    if is_map and objects:
      self._num_maps += 1
      self._single_values |= {mask.name} if len(objects) == 1 else set()
    if not objects:
      self._files.report.add('mask_empty', mask.name)
    for runs in objects.values():
      builder.add_runs(image, label, runs)

  def count_findings(self) -> None:
    """Count what is only seen when all masks are read."""
    if self._num_maps and len(self._single_values) == self._num_maps:
      for name in sorted(self._single_values):
        self._files.report.add('mask_map_binary', name)
    if self._assumed:
      self._files.report.add('class_assumed', 'masks')

  def _label(self, mask: _MaskFile, image: Entry, rest: str) -> str:
    """The class: a folder that is no split and no picture, else a word in the name."""
    of_image = {part.lower() for part in image['file_name'].split('/')[:-1]}
    of_image.add(stem(image['file_name']).lower())
    folders = [part for part in mask.folders if part.lower() not in of_image and not split_of(part)]
    parts = [_PART.fullmatch(part) for part in re.split(r'[_.-]', rest)]
    found = [part[1].strip() for part in parts if part] if all(parts) else []
    words = [word for word in found if word and word.lower() not in _NO_CLASS]
    if folders or words:
      return folders[-1] if folders else ' '.join(words)
    self._assumed = self._assumed or not self._class_name
    return self._class_name or 'object'


def _map(content: bytes) -> np.ndarray | None:
  found = mask_files.read_map(content)
  if found is None:
    return None
  return None if len(np.unique(found.numbers)) > _MAX_OBJECTS else found.numbers


def _bitmap(content: bytes) -> np.ndarray | None:
  found = mask_files.read_bitmap(content)
  return None if found is None else found.astype(np.int64)
