"""The shards of a conversion, as tasks for worker processes."""

import os

from htc_tf.data import (
  conversion_fingerprint,
  conversion_outputs,
  left_out,
  record_shards,
  semantic_maps,
  tiles,
)
from htc_tf.data.coco_annotations import CocoAnnotations, Entry
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.data.dataset_info import shard_name

# Values of image entries, and of annotations.
_RECORDED = (
  *('id', 'file_name', 'height', 'width', 'tile', 'panoptic', left_out.ANNOTATED),
  *('category_id', 'bbox', 'iscrowd', 'area', 'segmentation', left_out.LEFT_OUT),
)


def of_images(
  options: ConversionOptions, annotations: CocoAnnotations, images: list[Entry]
) -> list[record_shards.ShardTask]:
  """The shards to write: shard i of n has the images i, i + n, i + 2n, ...

  If there are tiles, and enough pictures, it has all tiles of the pictures i, i + n, ..., so that
  each picture is decoded once.

  Args:
    options: options of the conversion.
    annotations: cleaned annotations.
    images: entries of the images.
  """
  fingerprint = conversion_fingerprint.fingerprint(options, annotations, images)
  record_options = record_shards.RecordOptions(
    options.image_folder,
    {category.id: category.label for category in annotations.classes},
    options.include_masks,
    semantic_maps.MapOptions(
      options.semantic,
      options.stuff_folder or '',
      options.num_semantic_classes,
      options.semantic_order,
      options.semantic_background,
    ),
    options.skip_missing_images,
    size_decides=options.exif == 'auto',
    cuts_tiles=options.tile_size > 0,
  )
  num_shards = min(options.num_shards, len(images))
  return [
    record_shards.ShardTask(
      path=os.path.join(options.output_folder, shard_name(options.prefix, shard, num_shards)),
      state_path=os.path.join(conversion_outputs.progress_folder(options), f'{shard:05d}.json'),
      fingerprint=fingerprint,
      items=[
        (_recorded(image), list(map(_recorded, annotations.annotations[image['id']])))
        for image in part
      ],
      options=record_options,
    )
    for shard, part in enumerate(_parts(images, num_shards))
  ]


def _parts(images: list[Entry], num_shards: int) -> list[list[Entry]]:
  """The images of each shard."""
  pictures = dict.fromkeys(map(tiles.file_name, images))
  if len(pictures) < num_shards or not any('tile' in image for image in images):
    return [images[shard::num_shards] for shard in range(num_shards)]
  numbers = {name: number % num_shards for number, name in enumerate(pictures)}
  parts: list[list[Entry]] = [[] for _ in range(num_shards)]
  for image in images:
    parts[numbers[tiles.file_name(image)]].append(image)
  return parts


def _recorded(entry: Entry) -> Entry:
  """The values of an entry that its record needs; others may be too deep to be sent to workers."""
  return {key: entry[key] for key in _RECORDED if key in entry}
