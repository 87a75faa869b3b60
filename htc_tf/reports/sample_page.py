"""The page of `htc-show`: the card of the data, warnings, and pictures of records."""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from htc_tf import file_systems
from htc_tf.configs.frames import Resizing
from htc_tf.data import skipped
from htc_tf.data.skipped import SkipCounter
from htc_tf.reports import data_card, data_warnings, sample_pictures
from htc_tf.reports.page import Page, Section
from htc_tf.reports.sample_choice import ShownSplit
from htc_tf.reports.sample_pictures import Names, Shown
from htc_tf.reports.shown_data import Split
from htc_tf.reports.training_configuration import TrainingConfiguration

PICTURE_SIDE, VIEW_SIDE = 900, 480
_MAX_NAMES = 20

Gallery = list[tuple[np.ndarray, str, str]]


class ShownTraining(NamedTuple):
  """Chosen records as training gets them.

  Attributes:
    split: the split that they are from.
    titles: name of each record.
    views: views of each record.
    names: names of their labels.
    config: the configuration whose pipeline made them.
    counter: counter of what training skips of these records.
  """

  split: Split
  titles: list[str]
  views: list[list[Shown]]
  names: Names
  config: TrainingConfiguration
  counter: SkipCounter


def build_page(
  splits: Sequence[Split], shown: Sequence[ShownSplit], training: ShownTraining
) -> Page:
  """The page.

  Args:
    splits: all splits; the first one is trained on.
    shown: chosen records as they are stored.
    training: chosen records as training gets them.
  """
  parser = training.config.task.train_data.parser
  resizing = Resizing(int(np.median(parser.min_sizes)), parser.max_size)
  scale = data_warnings.median_scale(splits[0].info, resizing)
  info = splits[0].info
  folder = os.path.basename(file_systems.without_final_slash(info.folder))
  page = Page(f'Records in {folder or info.name}', _summary(splits))
  page.warnings(data_warnings.data_warnings(splits, scale, parser.max_num_instances))
  for part in splits:
    page.heading(part.name)
    page.facts(data_card.facts(part))
  # A reader sees what the data are, and what is wrong with them, before any picture.
  data_card.add_card(page, splits, scale)
  for stored in shown:
    _add_records(page.section(f'As stored: {stored.split.name}'), stored)
  _add_training(page.section(f'As training gets them: {training.split.name}'), training)
  return page


def _summary(splits: Sequence[Split]) -> str:
  parts = [f'{split.info.num_images:,} in {split.name}' for split in splits]
  num_classes = len(splits[0].info.categories)
  classes = 'one class' if num_classes == 1 else f'{num_classes:,} classes'
  return f'Images: {", ".join(parts)}. Objects of {classes}.'


def _add_records(section: Section, shown: ShownSplit) -> None:
  drawn = 'Boxes, masks' if shown.split.info.include_masks else 'Boxes'
  section.paragraph(f'{drawn} and names are those of the records. {_help(shown.names)}')
  if shown.unseen:
    rest = len(shown.unseen) - _MAX_NAMES
    names = ', '.join(shown.unseen[:_MAX_NAMES]) + (f' and {rest} more' if rest > 0 else '')
    section.paragraph(f'Classes with objects that are on none of these pictures: {names}.')
  pictures: Gallery = []
  for image in shown.images:
    pictures += _pictures(image, shown.names, PICTURE_SIDE)
  section.gallery(pictures, min_width=420)


def _add_training(section: Section, training: ShownTraining) -> None:
  section.paragraph(
    'Each record is shown with several random choices of the augmentations, after resizing, '
    'cropping and padding. Images and ground truth are the tensors of the input pipeline of '
    f'{training.config.source}. Padding is gray, and is ignored in semantic maps.'
  )
  if training.config.combines:
    section.paragraph(
      'Training combines an image with the one before it in the shuffled stream; here this is '
      'another record, and the one shown before if there are several.'
    )
  section.table(['setting', 'value'], [list(row) for row in settings(training.config)])
  section.warnings(
    f'{training.counter.count(kind)} {text}'
    for kind, text in skipped.KINDS.items()
    if training.counter.count(kind)
  )
  for title, views in zip(training.titles, training.views):
    section.heading(title)
    drawn = [_pictures(view, training.names, VIEW_SIDE) for view in views]
    section.gallery((pictures[0] for pictures in drawn), min_width=260)
    if any(len(pictures) > 1 for pictures in drawn):
      section.gallery((pictures[1] for pictures in drawn), min_width=260)


def settings(config: TrainingConfiguration) -> list[tuple[str, str]]:
  """Names and values of what the training pipeline does with an image.

  Args:
    config: the configuration.
  """
  parser = config.task.train_data.parser
  sizes = parser.min_size_range or parser.min_sizes
  between = ' to ' if parser.min_size_range else ', '
  found = [
    ('short side after resizing', between.join(map(str, sizes))),
    ('longest side after resizing', str(parser.max_size)),
    ('padded to', _padding(config)),
    ('largest number of objects', str(parser.max_num_instances)),
  ]
  for name, values in parser.augmentation.as_dict().items():
    found.append((f'augmentation {name}', _values(values)))
  return found


def _padding(config: TrainingConfiguration) -> str:
  """The sizes of the network input, width first."""
  model, buckets = config.task.model, config.task.train_data.parser.buckets
  height, width = model.input_size[:2]
  if model.uses_static_size:
    return f'{width} x {height}'
  if buckets:
    return ', '.join(f'{bucket.width} x {bucket.height}' for bucket in buckets)
  return f'multiples of {model.size_divisor}, at most {width} x {height}'


def _values(values: Any) -> str:
  """The arguments of an augmentation as text."""
  if isinstance(values, dict):
    return ', '.join(f'{name} = {value}' for name, value in values.items())
  return str(values)


def _pictures(shown: Shown, names: Names, side: int) -> Gallery:
  """The picture of the instances with its caption, and that of the semantic map if there is one."""
  objects, semantic = sample_pictures.draw(shown, names, side)
  found: Gallery = [(objects, f'objects of {shown.title}', shown.caption)]
  if semantic is not None:
    found.append((semantic, f'semantic map of {shown.title}', 'semantic map'))
  return found


def _help(names: Names) -> str:
  """What colors mean."""
  text = 'Colors only tell neighboring objects apart.'
  if names.semantic:
    text += ' In semantic maps, the legend has the share of the pixels of each label.'
  return text
