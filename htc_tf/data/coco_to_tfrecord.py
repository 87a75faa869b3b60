"""Conversion of a COCO-format data set into sharded TFRecords.

A run that was killed can be continued: a shard gets its final name only when it is complete, and
the next run keeps it if the inputs have not changed.
"""

import collections
import dataclasses
import json
import shutil
from collections.abc import Callable, Mapping
from typing import NamedTuple

from htc_tf import files, progress
from htc_tf.data import (
  conversion_checks,
  conversion_lock,
  conversion_outputs,
  conversion_source,
  image_limits,
  image_paths,
  kept_channels,
  record_pool,
  record_shards,
  shard_tasks,
  split_overlap,
  tiles,
)
from htc_tf.data.check_report import CheckReport
from htc_tf.data.coco_annotations import CocoAnnotations, Entry
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.data.dataset_info import DatasetInfo, SemanticInfo
from htc_tf.data.images import refers_to_upright
from htc_tf.data.statistics import StatisticsCollector
from htc_tf.errors import DataError

# If a larger share of the annotations or images is dropped, the summary begins with that.
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
      were not made from it; or another process is writing the same records.
    DataError: the data set cannot be used; the message gives the reason. No shard is left.
  """
  source = conversion_source.read(options)
  with conversion_lock.exclusive([source.options]):
    info = write(plan(source.options, source.annotations, source.images), source.annotations)
  log(summary({options.prefix: info}, source.annotations))
  log(describe(source))
  for warning in split_overlap.describe(options, source.images):
    log(warning)
  return info


class Plan(NamedTuple):
  """The shards of one prefix.

  Attributes:
    options: options of the conversion.
    images: entries of the images.
    data_set: entries of all images of the data set, of which these are a part; they decide together
      on channels and EXIF orientations.
    tasks: the shards.
    finished: the metadata if an earlier run wrote these shards, else None.
  """

  options: ConversionOptions
  images: list[Entry]
  data_set: list[Entry]
  tasks: list[record_shards.ShardTask]
  finished: DatasetInfo | None


def plan(
  options: ConversionOptions,
  annotations: CocoAnnotations,
  images: list[Entry],
  data_set: list[Entry] | None = None,
) -> Plan:
  """The shards of images; what another conversion left of them is removed.

  Args:
    options: options of the conversion.
    annotations: cleaned annotations.
    images: entries of the images.
    data_set: entries of all images of the data set; None if these are all.

  Raises:
    ConfigError: without `overwrite`, an output would replace files that were not made from the
      annotation file.
  """
  tasks = shard_tasks.of_images(options, annotations, images)
  finished = conversion_outputs.load_finished(options, tasks)
  return Plan(options, images, data_set or images, tasks, finished)


def write(planned: Plan, annotations: CocoAnnotations) -> DatasetInfo:
  """Write the shards of a plan that are missing, the cleaned annotations and the metadata.

  Args:
    planned: the plan.
    annotations: cleaned annotations; findings are added to their report.

  Returns:
    The metadata, as written.

  Raises:
    DataError: an image cannot be read, or nothing is left. No shard is left.
  """
  options = planned.options
  if planned.finished:
    return planned.finished
  with image_limits.for_tiles(options.tile_size > 0):
    tasks = _with_forms(options, planned.data_set, planned.tasks)
  results = record_pool.write_shards(tasks, options.num_processes)
  try:
    semantic = conversion_source.semantic_info(options, annotations)
    return _finish(options, annotations, semantic, planned.images, results)
  except DataError:
    conversion_outputs.remove_shards(options, keep=set())
    shutil.rmtree(conversion_outputs.progress_folder(options))
    raise


def describe(source: conversion_source.Source) -> str:
  """What was found: the format of the annotations and the image folder, in words."""
  return f'annotations: {source.format}; images: {source.options.image_folder}'


def summary(infos: Mapping[str, DatasetInfo], annotations: CocoAnnotations) -> str:
  """The counts of the metadata in words, with examples.

  If more than a tenth of the annotations or images was dropped, the first lines say so.

  Args:
    infos: metadata by prefix; together, they have the images of the annotations.
    annotations: the cleaned annotations.
  """
  shown = CheckReport()
  for info in infos.values():
    shown.merge(info.checks, {})
  shown.merge({}, annotations.report.examples)
  lines = [
    *(
      f'{prefix}: {info.num_images} images, {info.num_instances} instances, '
      f'{info.num_shards} shards'
      for prefix, info in infos.items()
    ),
    *shown.lines(),
  ]
  losses = (
    ('annotations', annotations.num_annotations, shown.dropped_annotations()),
    ('images', annotations.num_images, shown.dropped_images()),
  )
  warnings = [
    f'{sum(dropped.values())} of {number} {entries} dropped: '
    + ', '.join(f'{count} {reason}' for reason, count in dropped.items())
    for entries, number, dropped in losses
    if sum(dropped.values()) > number * _MAX_QUIETLY_DROPPED
  ]
  return '\n'.join([*warnings, *lines])


def _with_forms(
  options: ConversionOptions, images: list[Entry], tasks: list[record_shards.ShardTask]
) -> list[record_shards.ShardTask]:
  """The tasks with the decisions on channels, and on EXIF orientations.

  The latter reads the headers of all images.
  """
  keeps = options.channels == 'keep'
  record_options = dataclasses.replace(
    tasks[0].options,
    upright=_upright(options, images),
    sample_format=kept_channels.choose(images, options.image_folder) if keeps else None,
  )
  return [dataclasses.replace(task, options=record_options) for task in tasks]


def _upright(options: ConversionOptions, images: list[Entry]) -> bool:
  """Whether annotations refer to upright images where the annotated size does not tell."""
  if options.exif != 'auto':
    return options.exif == 'upright'
  sizes = {tiles.file_name(image): tiles.image_size(image) for image in images}
  told = collections.Counter(
    refers_to_upright(image_paths.path_inside(options.image_folder, name), size)
    for name, size in progress.track(
      sizes.items(), description='reading orientations', unit='image'
    )
  )
  return told[True] >= told[False]


def _finish(
  options: ConversionOptions,
  annotations: CocoAnnotations,
  semantic: SemanticInfo | None,
  images: list[Entry],
  results: list[record_shards.ShardResult],
) -> DatasetInfo:
  """Write the cleaned annotations, then the metadata, which marks the conversion as complete."""
  statistics = StatisticsCollector()
  for result in results:
    annotations.report.merge(result.counts, result.examples)
    statistics.add_json(result.statistics)
  num_images = sum(result.num_images for result in results)
  if not num_images:
    raise DataError(
      'No image is left',
      expected='at least one usable image',
      got='; '.join(annotations.report.lines()),
      likely_cause='annotations of other images, or an incomplete download',
    )
  num_crowds = annotations.report.counts['crowd_regions']
  if sum(result.num_instances for result in results) <= num_crowds:
    raise conversion_checks.nothing_to_train(
      options, annotations.report, annotations.num_annotations, num_crowds
    )
  conversion_checks.check_stuff_maps(options, annotations.report, num_images)
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
    source=conversion_outputs.source_of(options),
    statistics=statistics.result(len(annotations.classes)),
    folder=options.output_folder,
  )
  info.save(options.output_path('.json'))
  shutil.rmtree(conversion_outputs.progress_folder(options))
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
