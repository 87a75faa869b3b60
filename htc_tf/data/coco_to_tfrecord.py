"""Conversion of a COCO-format data set into sharded TFRecords.

A run that was killed can be continued: a shard gets its final name only when it is complete, and
the next run keeps it if the inputs have not changed.
"""

import collections
import dataclasses
import functools
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable

import tqdm

from htc_tf import files
from htc_tf.data import image_paths, record_pool, record_shards
from htc_tf.data.check_report import CheckReport
from htc_tf.data.coco_annotations import CocoAnnotations, Entry, read_annotations
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.data.dataset_info import DatasetInfo, SemanticInfo, shard_name
from htc_tf.data.images import UnreadableImageError, read_image, refers_to_upright
from htc_tf.errors import ConfigError, DataError

_FORMAT_VERSION = 1
# If a larger share of the annotations is dropped, the first line of the summary says so.
_MAX_QUIETLY_DROPPED = 0.1


def convert(options: ConversionOptions, log: Callable[[str], None] = print) -> DatasetInfo:
  """Convert a data set: write its shards, `<prefix>.json` and `<prefix>_annotations.json`.

  Worker processes are spawned. A script that calls this function with more than one process
  therefore needs `if __name__ == '__main__'`.

  Args:
    options: inputs, outputs and options of the conversion.
    log: function that receives the summary.

  Returns:
    The metadata, as written.

  Raises:
    ConfigError: an output would overwrite the annotation file, or, without `overwrite`, files that
      were not made from it.
    DataError: the data set cannot be used; the message gives the reason. No shard is left.
  """
  _protect_inputs(options)
  needs_masks = options.include_masks or options.semantic == 'instances'
  annotations = read_annotations(
    options.annotation_file, needs_masks, size_of=functools.partial(_size_of_image, options)
  )
  semantic = _semantic_info(options, annotations)
  images = _usable_images(options, annotations)
  _check_trainable(options, annotations, images)
  tasks = _plan(options, annotations, images)
  info = _load_finished(options, tasks)
  if info is None:
    results = record_pool.write_shards(tasks, options.num_processes)
    try:
      info = _finish(options, annotations, semantic, images, results)
    except DataError:
      _remove_stale_shards(options, keep=set())
      shutil.rmtree(_progress_folder(options))
      raise
  log(summary(options.prefix, info, annotations))
  return info


def summary(prefix: str, info: DatasetInfo, annotations: CocoAnnotations) -> str:
  """The counts of the metadata in words, with examples.

  If more than a tenth of the annotations was dropped, the first line says so.
  """
  shown = CheckReport()
  shown.merge(info.checks, annotations.report.examples)
  lines = [
    f'{prefix}: {info.num_images} images, {info.num_instances} instances, {info.num_shards} shards',
    *shown.lines(),
  ]
  dropped = shown.dropped_annotations()
  if sum(dropped.values()) > annotations.num_annotations * _MAX_QUIETLY_DROPPED:
    reasons = ', '.join(f'{count} {reason}' for reason, count in dropped.items())
    lines.insert(
      0,
      f'{sum(dropped.values())} of {annotations.num_annotations} annotations dropped: {reasons}',
    )
  return '\n'.join(lines)


def _size_of_image(options: ConversionOptions, file_name: str) -> tuple[int, int] | None:
  """Height and width of an upright image; None if it cannot be read."""
  try:
    return read_image(image_paths.path_inside(options.image_folder, file_name)).size
  except (UnreadableImageError, OSError):
    return None


def _check_trainable(
  options: ConversionOptions, annotations: CocoAnnotations, images: list[Entry]
) -> None:
  """Raise DataError if no annotation of the images can be trained."""
  kept = [entry for image in images for entry in annotations.annotations[image['id']]]
  num_crowds = sum(entry['iscrowd'] for entry in kept)
  if len(kept) > num_crowds:
    return
  raise _nothing_to_train(options, annotations.report, annotations.num_annotations, num_crowds)


def _nothing_to_train(
  options: ConversionOptions, report: CheckReport, num_annotations: int, num_crowds: int
) -> DataError:
  found = [f'{count} {reason}' for reason, count in report.dropped_annotations().items()]
  if num_crowds:
    found.append(f'{num_crowds} crowd regions')
  cause = 'annotations of other images, or a file without annotations'
  if num_crowds:
    cause = (
      'masks exported as crowds, as CVAT does for run lengths; export polygons, or set iscrowd to 0'
    )
  elif report.counts['empty_segmentation']:
    cause = 'annotations with boxes alone; convert them with --no_masks and without --semantic'
  elif report.counts['unknown_image_id']:
    cause = 'annotations whose image_id is none of the ids in "images"'
  return DataError(
    f'No trainable instance is left in {options.annotation_file}',
    expected='at least one annotation with a usable box and mask that is no crowd region',
    got=f'{num_annotations} annotations; ' + (', '.join(found) or 'none of them in an image'),
    likely_cause=cause,
  )


def _protect_inputs(options: ConversionOptions) -> None:
  for suffix in ('.json', '_annotations.json'):
    path = options.output_path(suffix)
    both_exist = os.path.exists(options.annotation_file) and os.path.exists(path)
    if both_exist and os.path.samefile(options.annotation_file, path):
      raise ConfigError(
        f'The conversion would overwrite its annotation file {path}',
        expected='another output folder or prefix',
        got=options.output_folder,
      )


def _semantic_info(options: ConversionOptions, annotations: CocoAnnotations) -> SemanticInfo | None:
  if options.semantic == 'none':
    return None
  if options.semantic == 'stuff_maps':
    return SemanticInfo('stuff_maps', options.num_semantic_classes)
  num_classes = len(annotations.classes) + 1
  if num_classes > 255:
    raise DataError(
      'There are too many categories for a semantic map made from instances',
      expected='at most 254',
      got=str(num_classes - 1),
      likely_cause='a large-vocabulary data set; use --semantic none',
    )
  return SemanticInfo('instances', num_classes)


def _usable_images(options: ConversionOptions, annotations: CocoAnnotations) -> list[Entry]:
  """The images whose files, and stuff maps if needed, exist.

  Raises:
    DataError: a file is missing and `skip_missing_images` is not set, or no image is left.
  """
  usable = annotations.images
  paths = {
    image['id']: image_paths.path_inside(options.image_folder, image['file_name'])
    for image in usable
  }
  usable = _with_file(usable, paths, 'missing_image', options, annotations.report)
  if options.stuff_folder:
    maps = {
      image['id']: record_shards.stuff_map_path(options.stuff_folder, image['file_name'])
      for image in usable
    }
    usable = _with_file(usable, maps, 'missing_stuff_map', options, annotations.report)
  return usable


def _with_file(
  images: list[Entry],
  paths: dict[int, str],
  check: str,
  options: ConversionOptions,
  report: CheckReport,
) -> list[Entry]:
  present = [image for image in images if os.path.isfile(paths[image['id']])]
  missing = [paths[image['id']] for image in images if not os.path.isfile(paths[image['id']])]
  for path in missing:
    report.add(check, path)
  if missing and not options.skip_missing_images:
    raise DataError(
      f'{len(missing)} of {len(images)} files named by {options.annotation_file} are missing',
      expected='a file for each image',
      got='no ' + ', no '.join(missing[:3]),
      likely_cause='another image folder or split, or an incomplete download; '
      '--skip_missing_images drops them',
    )
  if not present:
    raise DataError(
      'No image is left',
      expected='at least one file of the annotations',
      got=f'no {missing[0]}',
      likely_cause='another image folder',
    )
  return present


def _plan(
  options: ConversionOptions, annotations: CocoAnnotations, images: list[Entry]
) -> list[record_shards.ShardTask]:
  """The shards to write: shard i of n has the images i, i + n, i + 2n, ..."""
  fingerprint = _fingerprint(options, images)
  record_options = record_shards.RecordOptions(
    options.image_folder,
    {category.id: category.label for category in annotations.classes},
    options.include_masks,
    options.semantic,
    options.stuff_folder or '',
    options.num_semantic_classes,
    options.skip_missing_images,
    upright=_upright(options, images),
    size_decides=options.exif == 'auto',
  )
  num_shards = min(options.num_shards, len(images))
  return [
    record_shards.ShardTask(
      path=os.path.join(options.output_folder, shard_name(options.prefix, shard, num_shards)),
      state_path=os.path.join(_progress_folder(options), f'{shard:05d}.json'),
      fingerprint=fingerprint,
      items=[(image, annotations.annotations[image['id']]) for image in images[shard::num_shards]],
      options=record_options,
    )
    for shard in range(num_shards)
  ]


def _upright(options: ConversionOptions, images: list[Entry]) -> bool:
  """Whether annotations refer to upright images where the annotated size does not tell."""
  if options.exif != 'auto':
    return options.exif == 'upright'
  told = collections.Counter(
    refers_to_upright(
      image_paths.path_inside(options.image_folder, image['file_name']),
      (image['height'], image['width']),
    )
    for image in tqdm.tqdm(images, desc='reading orientations', unit='image', disable=None)
  )
  return told[True] >= told[False]


def _fingerprint(options: ConversionOptions, images: list[Entry]) -> str:
  """A hash of the annotations, the options, and names, sizes and times of images and stuff maps."""
  digest = hashlib.sha256()
  with open(options.annotation_file, 'rb') as file:
    digest.update(file.read())
  irrelevant = (
    'annotation_file',
    'image_folder',
    'output_folder',
    'stuff_folder',
    'num_processes',
    'overwrite',
  )
  relevant = {
    key: value for key, value in dataclasses.asdict(options).items() if key not in irrelevant
  }
  digest.update(json.dumps([_FORMAT_VERSION, relevant], sort_keys=True).encode())
  for image in images:
    paths = [image_paths.path_inside(options.image_folder, image['file_name'])]
    if options.stuff_folder:
      paths.append(record_shards.stuff_map_path(options.stuff_folder, image['file_name']))
    stats = [os.stat(path) for path in paths]
    digest.update(
      f'{image["file_name"]} {[(stat.st_size, stat.st_mtime_ns) for stat in stats]}'.encode()
    )
  return digest.hexdigest()


def _progress_folder(options: ConversionOptions) -> str:
  return os.path.join(options.output_folder, f'.{options.prefix}.progress')


def _load_finished(
  options: ConversionOptions, tasks: list[record_shards.ShardTask]
) -> DatasetInfo | None:
  """The metadata if an earlier run finished with the same inputs, else None.

  In the latter case, the outputs that were made from other inputs are removed.
  """
  path = options.output_path('.json')
  if os.path.isfile(path):
    info = DatasetInfo.load(path)  # Raises DataError for a file that the converter did not write.
    outputs = [info.annotation_path, *(task.path for task in tasks)]
    if info.fingerprint == tasks[0].fingerprint and all(map(os.path.isfile, outputs)):
      return info
    if not options.overwrite and info.source and info.source != _source(options):
      raise _would_overwrite(options, path, f'records of {info.source}')
    os.remove(path)
  elif not options.overwrite and not os.path.isdir(_progress_folder(options)):
    others = _outputs(options)
    if others:
      raise _would_overwrite(options, others[0], 'a file that is not of an unfinished conversion')
  os.makedirs(_progress_folder(options), exist_ok=True)
  keep = {task.path for task in tasks if record_shards.finished_result(task)}
  _remove_stale_shards(options, keep)
  return None


def _source(options: ConversionOptions) -> str:
  return os.path.abspath(options.annotation_file)


def _would_overwrite(options: ConversionOptions, path: str, got: str) -> ConfigError:
  return ConfigError(
    f'The conversion would overwrite {path}',
    expected=f'a prefix or an output folder without files of another origin; {options.prefix!r} in '
    f'{options.output_folder} is taken',
    got=got,
    likely_cause='a second split without --prefix, such as --prefix=val; --overwrite replaces the '
    'files',
  )


def _outputs(options: ConversionOptions) -> list[str]:
  """Existing shards and annotations of this prefix."""
  annotations = options.output_path('_annotations.json')
  found = [annotations] if os.path.exists(annotations) else []
  return found + _shards(options)


def _shards(options: ConversionOptions) -> list[str]:
  """Existing shards and temporary files of this prefix."""
  if not os.path.isdir(options.output_folder):
    return []
  of_prefix = re.compile(
    rf'\.?{re.escape(options.prefix)}-\d{{5}}-of-\d{{5}}(\.\d+\.part)?\.tfrecord'
  )
  names = sorted(os.listdir(options.output_folder))
  return [os.path.join(options.output_folder, name) for name in names if of_prefix.fullmatch(name)]


def _remove_stale_shards(options: ConversionOptions, keep: set[str]) -> None:
  """Remove shards and temporary files of this prefix, except those to keep."""
  for path in _shards(options):
    if path not in keep:
      os.remove(path)


def _finish(
  options: ConversionOptions,
  annotations: CocoAnnotations,
  semantic: SemanticInfo | None,
  images: list[Entry],
  results: list[record_shards.ShardResult],
) -> DatasetInfo:
  """Write the cleaned annotations, then the metadata, which marks the conversion as complete."""
  for result in results:
    annotations.report.merge(result.counts, result.examples)
  num_images = sum(result.num_images for result in results)
  if not num_images:
    raise DataError(
      'No image is left',
      expected='at least one usable image',
      got='; '.join(annotations.report.lines()),
    )
  num_crowds = annotations.report.counts['crowd_regions']
  if sum(result.num_instances for result in results) <= num_crowds:
    raise _nothing_to_train(options, annotations.report, annotations.num_annotations, num_crowds)
  _check_stuff_maps(options, annotations.report, num_images)
  cleaned = _cleaned_annotations(annotations, images, results)
  files.write_bytes(options.output_path('_annotations.json'), json.dumps(cleaned).encode())
  info = DatasetInfo(
    name=options.name or options.prefix,
    num_images=num_images,
    num_instances=sum(result.num_instances for result in results),
    num_shards=len(results),
    categories=annotations.classes,
    semantic=semantic,
    include_masks=options.include_masks,
    annotation_file=options.prefix + '_annotations.json',
    checks=annotations.report.to_json(),
    fingerprint=results[0].fingerprint,
    source=_source(options),
    folder=options.output_folder,
  )
  info.save(options.output_path('.json'))
  shutil.rmtree(_progress_folder(options))
  return info


def _check_stuff_maps(options: ConversionOptions, report: CheckReport, num_images: int) -> None:
  """Raise DataError if no stuff map has labels to train on."""
  unusable = {check: report.counts[check] for check in ('stuff_map_unusable', 'stuff_map_binary')}
  if not options.stuff_folder or sum(unusable.values()) < num_images:
    return
  check = max(unusable, key=unusable.__getitem__)
  raise DataError(
    f'No stuff map in {options.stuff_folder} is usable',
    expected='PNG files of one channel and the size of their image, with labels from 0 on, and 255 '
    'for ignored pixels',
    got='; '.join(line.strip() for line in report.lines() if 'stuff maps' in line),
    likely_cause='masks with 255 for the object; write 1 instead'
    if check == 'stuff_map_binary'
    else 'colored maps, or the maps of other images',
  )


def _cleaned_annotations(
  annotations: CocoAnnotations, images: list[Entry], results: list[record_shards.ShardResult]
) -> dict[str, object]:
  """COCO annotations of the images and instances that were written, for pycocotools."""
  dropped_images = {id_ for result in results for id_ in result.dropped_images}
  dropped_annotations = {id_ for result in results for id_ in result.dropped_annotations}
  kept = [image for image in images if image['id'] not in dropped_images]
  entries = [
    entry
    for image in kept
    for entry in annotations.annotations[image['id']]
    if entry['id'] not in dropped_annotations
  ]
  return {
    **annotations.header,
    'images': kept,
    'annotations': entries,
    'categories': annotations.categories,
  }
