"""Conversion of one annotation file into the records of a training and a validation part."""

import dataclasses
from collections.abc import Callable

from htc_tf.data import (
  coco_to_tfrecord,
  conversion_lock,
  conversion_outputs,
  conversion_source,
  file_copies,
  image_paths,
  split,
  tiles,
)
from htc_tf.data.check_report import CheckReport
from htc_tf.data.coco_annotations import Entry
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.errors import DataError

TRAIN, VAL = 'train', 'val'


def convert(
  options: ConversionOptions, division: split.Division, log: Callable[[str], None] = print
) -> dict[str, DatasetInfo]:
  """Convert a data set into the records `train` and `val`, as `coco_to_tfrecord.convert` does.

  What reading the annotations found is in the metadata of `train`; what writing the records found
  is in the metadata of their part.

  Args:
    options: inputs, outputs and options of the conversion; its prefix does not count.
    division: how the images are divided.
    log: function that receives the summary.

  Returns:
    The metadata by prefix, as written.

  Raises:
    ConfigError: an output would overwrite the annotation file, or, without `overwrite`, files that
      were not made from it; or another process is writing the same records; or the images cannot
      be grouped as asked.
    DataError: the data set cannot be used or divided; the message gives the reason.
  """
  parts = {
    prefix: dataclasses.replace(options, prefix=prefix, name=_name(options, prefix))
    for prefix in (TRAIN, VAL)
  }
  for part in parts.values():
    conversion_outputs.protect_inputs(part)
  source = conversion_source.read(parts[TRAIN])
  annotations, images = source.annotations, source.images
  parts = {
    prefix: dataclasses.replace(source.options, prefix=prefix, name=part.name)
    for prefix, part in parts.items()
  }
  copies = _copies(source)
  classes = {image['id']: _classes(annotations.annotations[image['id']]) for image in images}
  found = split.divide(images, classes, division, copies)
  chosen = {
    prefix: [image for image in images if image['id'] in ids]
    for prefix, ids in ((TRAIN, found.train), (VAL, found.val))
  }
  for prefix in parts:
    _check_objects(prefix, chosen[prefix], annotations.annotations)
  reports = {TRAIN: annotations.report, VAL: CheckReport()}
  with conversion_lock.exclusive(list(parts.values())):
    plans = {
      prefix: coco_to_tfrecord.plan(parts[prefix], annotations, chosen[prefix], images)
      for prefix in parts
    }
    infos = {
      prefix: coco_to_tfrecord.write(
        plans[prefix], dataclasses.replace(annotations, report=reports[prefix])
      )
      for prefix in parts
    }
  log(_describe(found, division, len(copies)))
  log(coco_to_tfrecord.summary(infos, annotations))
  log(coco_to_tfrecord.describe(source))
  return infos


def _name(options: ConversionOptions, prefix: str) -> str:
  return f'{options.name} {prefix}' if options.name else prefix


def _copies(source: conversion_source.Source) -> dict[str, str]:
  """The name of the first file with the same content, for image files that are copies."""
  names = dict.fromkeys(map(tiles.file_name, source.images))
  folder = source.options.image_folder
  return file_copies.find({name: image_paths.path_inside(folder, name) for name in names})


def _classes(annotations: list[Entry]) -> set[int]:
  return {entry['category_id'] for entry in annotations if not entry['iscrowd']}


def _check_objects(prefix: str, images: list[Entry], annotations: dict[int, list[Entry]]) -> None:
  """Raise DataError if no image of a part has an object."""
  if not any(_classes(annotations[image['id']]) for image in images):
    raise DataError(
      f'The {prefix} part of the images would have no object',
      expected='at least one image with an object in each part',
      got=f'{len(images)} images',
      likely_cause='few images with objects; another --split_seed or a larger --val_fraction',
    )


def _describe(found: split.Split, division: split.Division, num_copies: int) -> str:
  num_images = len(found.train) + len(found.val)
  grouping = 'every image on its own'
  if found.grouping:
    grouping = f'{found.num_groups} groups by {found.grouping}, which stay together'
  elif found.num_groups < num_images:
    grouping = f'{found.num_groups} files, whose entries, tiles and copies stay together'
  copies = f'; files with the content of another one: {num_copies}' if num_copies else ''
  return (
    f'divided by class: {len(found.train)} images for training, {len(found.val)} for validation '
    f'(seed {division.seed}; {grouping}{copies})'
  )
