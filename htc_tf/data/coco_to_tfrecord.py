"""Conversion of a COCO-format data set into sharded TFRecords.

A run that was killed can be continued: a shard gets its final name only when it is complete, and
the next run keeps it if the inputs have not changed.
"""

import dataclasses
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable

from htc_tf import files
from htc_tf.data import image_paths, record_pool, record_shards
from htc_tf.data.check_report import CheckReport
from htc_tf.data.coco_annotations import CocoAnnotations, Entry, read_annotations
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.data.dataset_info import DatasetInfo, SemanticInfo, shard_name
from htc_tf.errors import ConfigError, DataError

_FORMAT_VERSION = 1


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
    ConfigError: an output would overwrite the annotation file.
    DataError: the data set cannot be used; the message gives the reason.
  """
  _protect_inputs(options)
  needs_masks = options.include_masks or options.semantic == 'instances'
  annotations = read_annotations(options.annotation_file, needs_masks)
  semantic = _semantic_info(options, annotations)
  images = _usable_images(options, annotations)
  tasks = _plan(options, annotations, images)
  info = _load_finished(options, tasks)
  if info is None:
    results = record_pool.write_shards(tasks, options.num_processes)
    info = _finish(options, annotations, semantic, images, results)
  log(summary(options.prefix, info, annotations.report))
  return info


def summary(prefix: str, info: DatasetInfo, report: CheckReport) -> str:
  """The counts of the metadata in words, with the examples of `report`."""
  shown = CheckReport()
  shown.merge(info.checks, report.examples)
  head = (
    f'{prefix}: {info.num_images} images, {info.num_instances} instances, {info.num_shards} shards'
  )
  return '\n'.join([head, *shown.lines()])


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


def _fingerprint(options: ConversionOptions, images: list[Entry]) -> str:
  """A hash of the annotations, the options, and names, sizes and times of images and stuff maps."""
  digest = hashlib.sha256()
  with open(options.annotation_file, 'rb') as file:
    digest.update(file.read())
  irrelevant = ('annotation_file', 'image_folder', 'output_folder', 'stuff_folder', 'num_processes')
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
    os.remove(path)
  os.makedirs(_progress_folder(options), exist_ok=True)
  keep = {task.path for task in tasks if record_shards.finished_result(task)}
  _remove_stale_shards(options, keep)
  return None


def _remove_stale_shards(options: ConversionOptions, keep: set[str]) -> None:
  """Remove shards and temporary files of this prefix, except those to keep."""
  of_prefix = re.compile(
    rf'\.?{re.escape(options.prefix)}-\d{{5}}-of-\d{{5}}(\.\d+\.part)?\.tfrecord'
  )
  for name in os.listdir(options.output_folder):
    stale = os.path.join(options.output_folder, name)
    if of_prefix.fullmatch(name) and stale not in keep:
      os.remove(stale)


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
    folder=options.output_folder,
  )
  info.save(options.output_path('.json'))
  shutil.rmtree(_progress_folder(options))
  return info


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
