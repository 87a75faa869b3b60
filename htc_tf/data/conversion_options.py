"""Options of the conversion of a COCO-format data set into records."""

import dataclasses
import os
import re

from htc_tf import file_systems
from htc_tf.errors import ConfigError

SEMANTIC_SOURCES = ('auto', 'none', 'stuff_maps', 'instances', 'panoptic')
SEMANTIC_ORDERS = ('file', 'largest_on_top', 'smallest_on_top')
ANNOTATION_FORMATS = (
  *('auto', 'coco', 'panoptic', 'labelme', 'labelme3', 'via', 'cvat', 'voc', 'yolo'),
  *('cityscapes', 'masks'),
)
_MIN_TILE = 64
_MAX_TILE = 7000  # Records of more pixels are refused when they are read.
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
    annotation_file: file or folder of annotations in one of the formats of `formats.registry`.
    image_folder: folder that the file names in the annotations are relative to; if empty, it is
      looked for beside the annotations.
    output_folder: folder for shards, metadata and cleaned annotations; created if missing.
    prefix: first part of the names of all output files, e.g. 'train'; several prefixes may share a
      folder. Shards of an earlier conversion with this prefix and other inputs are removed.
    name: name of the data set; if empty, the prefix.
    num_shards: largest number of shards; each holds at least one image.
    num_processes: number of worker processes; with 1 the records are written in this process.
    semantic: source of the semantic map: 'none', 'stuff_maps' (a PNG per image, with the name of
      the image), 'instances' (labels of the instances, crowds ignored), 'panoptic' (all categories
      of panoptic annotations), or 'auto': 'panoptic' where the annotations have such maps, else
      'instances', and 'none' without masks or with more classes than a map has labels.
    stuff_folder: folder of the stuff maps; given if and only if `semantic` is 'stuff_maps'. With
      'panoptic' it may name the folder of the panoptic maps, which is found otherwise.
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
    annotation_format: format of the annotations, or 'auto' to recognize it by their content.
    split: split to read of annotations that have their own, such as 'train'; '' reads all.
    class_attribute: attribute that holds the class, of regions of VGG Image Annotator; '' finds it.
    class_name: name of the class of annotations without classes, such as masks; '' is 'object'.
    classes: names of the classes to keep; empty keeps all.
    renames: pairs of an old and a new name; classes with the same new name become one.
    boxes_as_masks: whether the box of an annotation without a mask is its mask.
    crowds_as_instances: whether crowd regions are instances.
    tile_size: side of the tiles that larger images are cut into; 0 does not cut. Images that are
      cut may have three times as many pixels as others; see `image_limits`.
    tile_overlap: pixels that neighboring tiles share; -1 is a quarter of their side.
    tile_min_visible: smallest share of an object that a tile must show for the object to be an
      instance there; a smaller part is a crowd region, which is ignored.
    drop_empty_tiles: whether tiles without any annotation are left out.
    semantic_order: which of overlapping instances a map from instances shows: the later one of the
      'file', or 'largest_on_top' or 'smallest_on_top'.
    semantic_background: label of the background in a map from instances; the classes have the other
      labels from 0 on, in their order, and 255 ignores the background.

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
  semantic: str = 'auto'
  stuff_folder: str | None = None
  num_semantic_classes: int = 183
  include_masks: bool = True
  skip_missing_images: bool = False
  exif: str = 'auto'
  channels: str = 'rgb'
  overwrite: bool = False
  annotation_format: str = 'auto'
  split: str = ''
  class_attribute: str = ''
  class_name: str = ''
  classes: tuple[str, ...] = ()
  renames: tuple[tuple[str, str], ...] = ()
  boxes_as_masks: bool = False
  crowds_as_instances: bool = False
  tile_size: int = 0
  tile_overlap: int = -1
  tile_min_visible: float = 0.25
  drop_empty_tiles: bool = False
  semantic_order: str = 'file'
  semantic_background: int = 0

  def __post_init__(self) -> None:
    for name, flag in _PATHS.items():
      file_systems.check_local(getattr(self, name), f'{name} ({flag})')
    for name in ('annotation_file', 'output_folder'):  # Others may be empty: they have defaults.
      file_systems.check_given(getattr(self, name), f'{name} ({_PATHS[name]})')
    if not _PREFIX.fullmatch(self.prefix):
      raise ConfigError(
        'prefix cannot be the first part of a file name',
        expected='letters, digits, ., _ and -, with a letter or digit first',
        got=repr(self.prefix),
      )
    self._check_choices()
    self._check_tiles()
    needs_folder = self.semantic == 'stuff_maps'
    if bool(self.stuff_folder) != needs_folder and self.semantic != 'panoptic':
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

  def _check_choices(self) -> None:
    for name, choices in (
      ('semantic', SEMANTIC_SOURCES),
      ('exif', EXIF_MODES),
      ('channels', CHANNEL_MODES),
      ('annotation_format', ANNOTATION_FORMATS),
      ('semantic_order', SEMANTIC_ORDERS),
    ):
      if getattr(self, name) not in choices:
        raise ConfigError(
          f'{name} is unknown', expected=' or '.join(choices), got=repr(getattr(self, name))
        )

  def _check_tiles(self) -> None:
    if self.tile_size and not _MIN_TILE <= self.tile_size <= _MAX_TILE:
      raise ConfigError(
        'tile_size is out of range',
        expected=f'{_MIN_TILE} to {_MAX_TILE} pixels, or 0 for no tiles',
        got=str(self.tile_size),
      )
    if self.tile_size and not -1 <= self.tile_overlap < self.tile_size:
      raise ConfigError(
        'tile_overlap is out of range',
        expected=f'0 to {self.tile_size - 1} pixels, or -1 for a quarter of the tile',
        got=str(self.tile_overlap),
      )
    if not 0 <= self.tile_min_visible <= 1:
      raise ConfigError(
        'tile_min_visible is out of range',
        expected='a share from 0 to 1',
        got=str(self.tile_min_visible),
      )
    if not 0 <= self.semantic_background <= 255:
      raise ConfigError(
        'semantic_background is out of range',
        expected='a label from 0 to 255; 255 is ignored',
        got=str(self.semantic_background),
      )

  def output_path(self, suffix: str) -> str:
    """Path of the output file `<prefix><suffix>`."""
    return os.path.join(self.output_folder, self.prefix + suffix)
