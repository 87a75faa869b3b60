"""The report of `htc-show`: contact sheets of records, and a page with the card of the data."""

from collections.abc import Sequence

import numpy as np

from htc_tf.configs.shorthands import Shorthands
from htc_tf.reports import (
  output_folder,
  sample_choice,
  sample_options,
  sample_page,
  sample_pictures,
  sample_sheets,
  shown_data,
  training_configuration,
  training_views,
)
from htc_tf.reports.sample_choice import ShownSplit
from htc_tf.reports.sample_options import SampleOptions
from htc_tf.reports.sample_page import ShownTraining
from htc_tf.reports.shown_data import Split
from htc_tf.reports.training_configuration import TrainingConfiguration

PAGE = 'index.html'
_MAX_AUGMENTED = 4


def write_sample_report(options: SampleOptions) -> list[str]:
  """Write the page and the contact sheets; return their paths, the page first.

  Raises:
    CheckpointError: the model directory has no configuration.
    ConfigError: the configuration of the training view cannot be used.
    DataError: there are no such records or images.
    InputError: an option is wrong, or the output folder holds files of something else.
  """
  sample_options.check(options)
  splits = shown_data.find_splits(sample_options.data_patterns(options), options.split)
  folder = sample_options.output_of(options, splits[0].info)
  names = [f'{split.name}_{kind}.png' for split in splits for kind in ('records', 'training')]
  output_folder.check_replaceable(folder, PAGE, names)
  config = _configuration(splits[0], options)
  shown = sample_choice.choose(splits, options, sample_page.PICTURE_SIDE)
  if shown[0].split != splits[0]:  # The images that the user named are in another split.
    config = _configuration(shown[0].split, options)
  training = _as_trained(shown[0], config, options)
  page = sample_page.build_page(splits, shown, training)
  return output_folder.write_report(folder, PAGE, page, _sheets(shown, training))


def _configuration(split: Split, options: SampleOptions) -> TrainingConfiguration:
  return training_configuration.training_configuration(
    split.info,
    split.paths,
    Shorthands(size=options.size, image_size=options.image_size),
    options.model,
    options.experiment,
    options.params_override,
  )


def _as_trained(
  shown: ShownSplit, config: TrainingConfiguration, options: SampleOptions
) -> ShownTraining:
  """The first images as training gets them; all of them if the user named the images."""
  samples = shown.samples if options.images else shown.samples[:_MAX_AUGMENTED]
  others = sample_choice.partners(shown, samples, options.seed) if config.combines else []
  views, counter = training_views.training_views(
    config,
    [sample.record for sample in (*samples, *others)],
    num_views=options.views,
    seed=options.seed,
    side=sample_page.VIEW_SIDE,
  )
  names = sample_pictures.names_of(config.names, shown.split.info.semantic)
  titles = [sample.title for sample in samples]
  return ShownTraining(shown.split, titles, views[: len(samples)], names, config, counter)


def _sheets(shown: Sequence[ShownSplit], training: ShownTraining) -> dict[str, np.ndarray]:
  """The contact sheets by file name."""
  sheets = {}
  for part in shown:
    heading = f'{part.split.info.name}: records as stored'
    sheet = sample_sheets.record_sheet(heading, part.images, part.names)
    sheets[f'{part.split.name}_records.png'] = sheet
  heading = f'{training.split.info.name}: records as training gets them'
  views = list(zip(training.titles, training.views))
  sheet = sample_sheets.training_sheet(heading, views, training.names)
  sheets[f'{training.split.name}_training.png'] = sheet
  return sheets
