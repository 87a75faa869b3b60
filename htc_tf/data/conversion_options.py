"""Options of the conversion of a COCO-format data set into records."""

import dataclasses
import os
import re

from htc_tf import file_systems
from htc_tf.errors import ConfigError

SEMANTIC_SOURCES = ('none', 'stuff_maps', 'instances')
CHANNEL_MODES = ('rgb', 'keep')
EXIF_MODES = ('auto', 'upright', 'stored')
# Flags of htc-create-coco-records by field.
_PATHS = {
  'annotation_file': '--annotations',
  'image_folder': '--image_folder',
  'output_folder': '--output_folder',
  'stuff_folder': '--stuff_folder',
}
_PREFIX = re.compile(r'[A-Za-z0-9][A-Za-z0-9_.-]*')


@dataclasses.dataclass(frozen=True)
class ConversionOptions:
  """Inputs, outputs and options of a conversion.

  Attributes:
    annotation_file: JSON file of COCO instance annotations.
    image_folder: folder that the file names in the annotations are relative to.
    output_folder: folder for shards, metadata and cleaned annotations; created if missing.
    prefix: first part of the names of all output files, e.g. 'train'; several prefixes may share a
      folder. Shards of an earlier conversion with this prefix and other inputs are removed.
    name: name of the data set; if empty, the prefix.
    num_shards: largest number of shards; each holds at least one image.
    num_processes: number of worker processes; with 1 the records are written in this process.
    semantic: source of the semantic map: 'none', 'stuff_maps' (a PNG per image, with the name of
      the image) or 'instances' (labels of the instances, 0 for background, crowds ignored).
    stuff_folder: folder of the stuff maps; given if and only if `semantic` is 'stuff_maps'.
    num_semantic_classes: number of classes of the stuff maps; labels that are not below it are
      ignored.
    include_masks: whether instance masks are stored.
    skip_missing_images: whether images that are missing or unreadable, or have no stuff map, are
      dropped instead of ending the conversion.
    exif: whether annotations refer to 'upright' images, as annotation tools show them by the EXIF
      orientation, or to images as 'stored'; 'auto' decides it for the data set by the annotated
      sizes, where they tell, and takes upright images otherwise.
    channels: 'rgb' converts images of every kind to RGB of 8 bits; 'keep' keeps the number of
      channels and the 8 or 16 bits of the images, which must be the same for all.
    overwrite: whether files of the same prefix that another conversion wrote are replaced.

  Raises:
    ConfigError: a value is out of range.
    InputError: a path is remote.
  """

  annotation_file: str
  image_folder: str
  output_folder: str
  prefix: str = 'train'
  name: str = ''
  num_shards: int = 8
  num_processes: int = 1
  semantic: str = 'none'
  stuff_folder: str | None = None
  num_semantic_classes: int = 183
  include_masks: bool = True
  skip_missing_images: bool = False
  exif: str = 'auto'
  channels: str = 'rgb'
  overwrite: bool = False

  def __post_init__(self) -> None:
    for name, flag in _PATHS.items():
      file_systems.check_local(getattr(self, name), f'{name} ({flag})')
    if not _PREFIX.fullmatch(self.prefix):
      raise ConfigError(
        'prefix cannot be the first part of a file name',
        expected='letters, digits, ., _ and -, with a letter or digit first',
        got=repr(self.prefix),
      )
    if self.semantic not in SEMANTIC_SOURCES:
      raise ConfigError(
        'semantic is unknown',
        expected=' or '.join(SEMANTIC_SOURCES),
        got=repr(self.semantic),
      )
    if self.exif not in EXIF_MODES:
      raise ConfigError('exif is unknown', expected=' or '.join(EXIF_MODES), got=repr(self.exif))
    if self.channels not in CHANNEL_MODES:
      raise ConfigError(
        'channels is unknown', expected=' or '.join(CHANNEL_MODES), got=repr(self.channels)
      )
    if (self.semantic == 'stuff_maps') != bool(self.stuff_folder):
      raise ConfigError(
        'stuff_folder and semantic do not match',
        expected='stuff_folder with semantic=stuff_maps, and only then',
        got=f'semantic={self.semantic}, stuff_folder={self.stuff_folder!r}',
      )
    if min(self.num_shards, self.num_processes) < 1:
      raise ConfigError(
        'num_shards or num_processes is too small',
        expected='at least 1 of each',
        got=f'num_shards={self.num_shards}, num_processes={self.num_processes}',
      )
    if not 1 <= self.num_semantic_classes <= 255:
      raise ConfigError(
        'num_semantic_classes is out of range',
        expected='1 to 255 classes: labels have 8 bits, and 255 is ignored',
        got=str(self.num_semantic_classes),
      )

  def output_path(self, suffix: str) -> str:
    """Path of the output file `<prefix><suffix>`."""
    return os.path.join(self.output_folder, self.prefix + suffix)
