"""The records of each split that the options ask for, as they are stored."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from absl import logging

from htc_tf.data.dataset_info import DatasetInfo
from htc_tf.errors import DataError, InputError
from htc_tf.reports import record_samples, sample_pictures, stored_images
from htc_tf.reports.record_samples import Sample
from htc_tf.reports.sample_options import SampleOptions
from htc_tf.reports.sample_pictures import Names, Shown
from htc_tf.reports.shown_data import Split

_MAX_SAMPLES = 60
_MAX_PARTNERS = 4


class ShownSplit(NamedTuple):
  """Chosen records of a split.

  Attributes:
    split: the split.
    samples: the records.
    images: the records as they are stored.
    names: names of their labels.
    unseen: names of classes with objects of which no object is shown.
  """

  split: Split
  samples: list[Sample]
  images: list[Shown]
  names: Names
  unseen: list[str]


def choose(splits: Sequence[Split], options: SampleOptions, side: int) -> list[ShownSplit]:
  """The chosen records of every split that has some.

  Args:
    splits: the splits.
    options: which records are wanted.
    side: longer side of the images in pixels.

  Raises:
    DataError: no record can be read, none has the wanted classes, or an image is in no split.
    InputError: a class is in no split.
  """
  _check_known(options.classes, splits)
  chosen = [(split, _samples(split, options)) for split in splits]
  _check_found(options.images, [sample for _, samples in chosen for sample in samples])
  if options.classes:
    _check_shown(options.classes, chosen)
  return [_shown(split, samples, side) for split, samples in chosen if samples]


def partners(shown: ShownSplit, samples: Sequence[Sample], seed: int) -> list[Sample]:
  """Another record if only one is shown, so that there is one to combine it with.

  Args:
    shown: chosen records of a split.
    samples: the records that are shown.
    seed: seed of the choice.

  Returns:
    One record, with objects if possible; none if several samples are shown or there is no other.
  """
  if len(samples) > 1:
    return []
  split = shown.split
  found = record_samples.choose_samples(
    split.paths,
    _MAX_PARTNERS,
    _present_labels(split.info),
    max_number=_MAX_PARTNERS,
    num_images=split.info.num_images,
    seed=seed,
  )
  others = [sample for sample in found if sample.image_id != samples[0].image_id]
  return sorted(others, key=lambda sample: not sample.labels)[:1]


def _samples(split: Split, options: SampleOptions) -> list[Sample]:
  if options.images:
    return record_samples.named_samples(split.paths, options.images, split.info.num_images)
  labels = _labels(split, options.classes)
  if options.classes and not labels:
    return []
  return record_samples.choose_samples(
    split.paths,
    options.samples,
    labels,
    max_number=max(options.samples, _MAX_SAMPLES),
    num_images=split.info.num_images,
    seed=options.seed,
    has_label=bool(options.classes),
  )


def _shown(split: Split, samples: list[Sample], side: int) -> ShownSplit:
  names = sample_pictures.names_of(split.class_names, split.info.semantic)
  seen = {label for sample in samples for label in sample.labels}
  unseen = [names.classes[label - 1] for label in sorted(_present_labels(split.info) - seen)]
  images = list(_images(split, samples, side))
  return ShownSplit(split, samples, images, names, unseen)


def _images(split: Split, samples: Sequence[Sample], side: int) -> Iterator[Shown]:
  for sample in samples:
    labeled, (height, width) = stored_images.stored_image(sample.record, split.info, side)
    contents = sample_pictures.contents(labeled, split.class_names)
    yield Shown(labeled, sample.title, f'{sample.title}: {width} x {height}; {contents}')


def _labels(split: Split, classes: Sequence[str]) -> set[int]:
  """The labels that have an object: of all classes, or of the named ones."""
  named = {
    category.label
    for category, name in zip(split.info.categories, split.class_names)
    if not classes or category.name in classes or name in classes
  }
  return named & _present_labels(split.info)


def _check_known(classes: Sequence[str], splits: Sequence[Split]) -> None:
  """Raise InputError if a named class is in no split."""
  known = list(dict.fromkeys(name for split in splits for name in split.class_names))
  plain = {name for split in splits for name in split.info.category_names}
  unknown = [name for name in classes if name not in plain.union(known)]
  if unknown:
    raise InputError(
      'Classes are not in the records',
      expected=f'some of {known[:20]}',
      got=', '.join(map(repr, unknown)),
      likely_cause='a misspelled name',
    )


def _check_shown(classes: Sequence[str], chosen: Sequence[tuple[Split, list[Sample]]]) -> None:
  """Name the splits without the classes; raise DataError if none has them."""
  names = ', '.join(classes)
  without = [split.name for split, samples in chosen if not samples]
  if len(without) == len(chosen):
    raise DataError(
      'No record can be shown',
      expected=f'objects of {names}',
      got=f'none in {", ".join(without)}',
      likely_cause='classes without an object',
    )
  for split in without:
    logging.warning('%s is not shown: it has no object of %s', split, names)


def _present_labels(info: DatasetInfo) -> set[int]:
  """The labels with an object; all of them if that is unknown."""
  labels = range(1, len(info.categories) + 1)
  if info.statistics is None:
    return set(labels)
  return {label for label in labels if info.statistics.instances_by_category[label - 1]}


def _check_found(names: Sequence[str], samples: Sequence[Sample]) -> None:
  """Raise DataError if a name belongs to none of the records."""
  missing = set(names).difference(*(sample.names for sample in samples))
  if missing:
    raise DataError(
      'Images are not in the records',
      expected='ids or file names of images in the records',
      got=', '.join(map(repr, sorted(missing))),
      likely_cause='a misspelled name, an image of another split, or one that the conversion '
      'dropped',
    )
