"""Choice of the records that are shown, so that every class is seen."""

import random
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import tensorflow as tf

from htc_tf import progress
from htc_tf.data import skipped
from htc_tf.data.skipped import SkipCounter
from htc_tf.data.tolerant_reading import TolerantReading
from htc_tf.errors import DataError

# Records that are read for each one that is shown, so that the choice is not just the first ones.
_CANDIDATES = 6


class Sample(NamedTuple):
  """A record.

  Attributes:
    record: the serialized Example.
    image_id: image id in the annotations, as text.
    file_name: file name of the image.
    labels: class labels of its instances that are no crowd regions.
  """

  record: bytes
  image_id: str
  file_name: str
  labels: frozenset[int]

  @property
  def names(self) -> set[str]:
    """Texts by which a user can name the image."""
    return {self.image_id, self.file_name, self.file_name.rpartition('/')[2]} - {''}

  @property
  def title(self) -> str:
    """File name and id of the image."""
    return f'{self.file_name} (id {self.image_id})'.strip()


def choose_samples(
  paths: Sequence[str],
  number: int,
  labels: Collection[int],
  *,
  max_number: int,
  num_images: int,
  seed: int,
  has_label: bool = False,
) -> list[Sample]:
  """Records in which every class is seen, as far as `max_number` allows.

  Shards are read in random order until there are enough records to choose from and every class was
  found, which a large data set reaches early.

  Args:
    paths: paths of the shards.
    number: number of records; more are chosen if a class would not be seen.
    labels: labels that should be seen.
    max_number: largest number of records.
    num_images: number of records in all shards, for the progress bar.
    seed: seed of the choice.
    has_label: whether each record must have an instance of one of the labels.

  Returns:
    The records; none if no record has an instance that it must have.

  Raises:
    DataError: no record can be read.
  """
  generator = random.Random(seed)
  shuffled = generator.sample(list(paths), len(paths))
  missing, candidates = set(labels), list[Sample]()
  any_read = False
  for sample in _read(shuffled, num_images):
    any_read = True
    if has_label and sample.labels.isdisjoint(labels):
      continue
    is_new = not missing.isdisjoint(sample.labels)
    if is_new or len(candidates) < _CANDIDATES * number:
      candidates.append(sample)
      missing -= sample.labels
    if not missing and len(candidates) >= _CANDIDATES * number:
      break
  if not any_read:
    raise DataError(
      'No record can be shown',
      expected='at least one readable record',
      got=f'none in {len(paths)} files',
      likely_cause='an incomplete copy: copy or convert the records again',
    )
  generator.shuffle(candidates)
  return _covering(candidates, set(labels), number, max_number)


def named_samples(paths: Sequence[str], names: Collection[str], num_images: int) -> list[Sample]:
  """The records with one of the given ids or file names, in the order of the names.

  Args:
    paths: paths of the shards.
    names: ids, file names, or file names without their folders.
    num_images: number of records in all shards, for the progress bar.
  """
  found: dict[str, Sample] = {}
  for sample in _read(paths, num_images):
    for name in sample.names.intersection(names):
      found.setdefault(name, sample)
    if len(found) == len(set(names)):
      break
  chosen = {found[name].image_id: found[name] for name in names if name in found}
  return list(chosen.values())


def _covering(
  candidates: Sequence[Sample], labels: set[int], number: int, max_number: int
) -> list[Sample]:
  """Candidates that show as many of the labels as possible, and the first others."""
  rest, missing = list(candidates), set(labels)
  chosen: list[Sample] = []
  while rest and missing and len(chosen) < max_number:
    best = max(rest, key=lambda sample: len(missing & sample.labels))
    if missing.isdisjoint(best.labels):
      break
    rest.remove(best)
    chosen.append(best)
    missing -= best.labels
  return chosen + rest[: max(0, number - len(chosen))]


def _read(paths: Sequence[str], num_images: int) -> Iterator[Sample]:
  """The readable records of shards; what cannot be read is named in the log."""
  counter = SkipCounter()
  reading = TolerantReading(lambda element: element, counter, repeats=False)
  records = reading.read_shards(list(paths)).as_numpy_iterator()
  for record in progress.track(
    records, total=num_images, description='reading records', unit='image', leave=False
  ):
    sample = _parse(record, counter)
    if sample is not None:
      yield sample


def _parse(record: bytes, counter: SkipCounter) -> Sample | None:
  """The sample of a record; None after counting one that cannot be parsed."""
  try:
    feature = tf.train.Example.FromString(record).features.feature
    image_id = feature['image/source_id'].bytes_list.value[0]
    name = feature['image/filename'].bytes_list.value
  except Exception as error:  # Damaged bytes can raise any kind of error.
    reason = f'cannot be parsed ({error})'
    counter.add(skipped.RECORDS, skipped.record_name(record), lambda: reason)
    return None
  file_name = name[0].decode(errors='backslashreplace') if name else ''
  classes = feature['image/object/class/label'].int64_list.value
  is_crowd = feature['image/object/is_crowd'].int64_list.value
  labels = frozenset(label for label, crowd in zip(classes, is_crowd) if not crowd)
  return Sample(record, image_id.decode(errors='backslashreplace'), file_name, labels)
