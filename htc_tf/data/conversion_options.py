"""What to convert into records, and how."""

import dataclasses
import os
import re

from htc_tf.errors import ConfigError

SEMANTIC_SOURCES = ('none', 'stuff_maps', 'instances')
_PREFIX = re.compile(r'[A-Za-z0-9][A-Za-z0-9_.-]*')


@dataclasses.dataclass(frozen=True)
class ConversionOptions:
  """What to convert, and how.

  Attributes:
    annotation_file: COCO instances JSON.
    image_folder: what the file names in it are relative to.
    output_folder: where shards, metadata and cleaned annotations go; made if absent.
    prefix: of all output files, e.g. 'train'; several may share a folder. Shards of an earlier
      conversion of this prefix from other inputs are removed.
    name: of the data set; by default the prefix.
    num_shards: number of shards; lowered to the number of images.
    num_processes: worker processes; 1 works in this process.
    semantic: source of the semantic map: 'none', 'stuff_maps' (a PNG for each image, named
      as it) or 'instances' (0 background, labels of the instances, crowds ignored).
    stuff_folder: where the stuff maps are.
    num_semantic_classes: of the stuff maps; labels are below it, or 255 for ignored.
    include_masks: whether to store instance masks.
    skip_missing_images: drop images (and stuff maps) that are missing or unreadable, instead of
      failing.
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

  def __post_init__(self):
    if not _PREFIX.fullmatch(self.prefix):
      raise ConfigError(
        'prefix cannot begin a file name',
        expected='letters, digits, ., _ and -',
        got=repr(self.prefix),
      )
    if self.semantic not in SEMANTIC_SOURCES:
      raise ConfigError(
        'unknown source of semantic maps',
        expected=' or '.join(SEMANTIC_SOURCES),
        got=repr(self.semantic),
      )
    if (self.semantic == 'stuff_maps') != bool(self.stuff_folder):
      raise ConfigError(
        'stuff_folder goes with semantic=stuff_maps',
        expected='both or neither',
        got=f'semantic={self.semantic}, stuff_folder={self.stuff_folder!r}',
      )
    if min(self.num_shards, self.num_processes) < 1:
      raise ConfigError(
        'a conversion needs shards and processes',
        expected='at least 1 of each',
        got=f'num_shards={self.num_shards}, num_processes={self.num_processes}',
      )
    if not 1 <= self.num_semantic_classes <= 255:
      raise ConfigError(
        'semantic labels are 8-bit and 255 is ignored',
        expected='1 to 255 classes',
        got=str(self.num_semantic_classes),
      )

  def output_path(self, suffix: str) -> str:
    """Path of the output file `<prefix><suffix>`."""
    return os.path.join(self.output_folder, self.prefix + suffix)
