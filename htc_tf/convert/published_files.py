"""The registry of published checkpoint files: by name, hash and the experiment that they fit.

The data are in `published_files.csv`: names and AP as the sources print them (mmdetection's model
zoo, CBNetV2's model zoo, the README of laihuihui/htc). A source that puts no hash into its names
has files that are recognized by what is in them; see `identification`.
"""

import csv
import functools
import importlib.resources
import os
import re
from typing import NamedTuple

from htc_tf.configs import experiment_files

_HASH_DIGITS = 8
# Eight or more digits that are no part of a longer word, such as those of a renamed file.
_HASH_IN_NAME = re.compile(rf'(?<![0-9a-z])([0-9a-f]{{{_HASH_DIGITS},64}})(?![0-9a-z])')
# ImageNet classifiers of BGR images, by the first digits of their hash: resnext101_32x8d, which
# mmdetection took from Caffe2.
_BGR_CLASSIFIERS = ('1516f1aa',)
# Why a file cannot be converted, by the word in the column `refused`.
_REFUSALS = {
  'caffe': 'its ResNet is that of Caffe: the stride is in the first 1x1 convolution of a block, '
  'and the images are BGR with other means; htc_tf has no such network'
}


class Source(NamedTuple):
  """A project that publishes files.

  Attributes:
    project: owner and name.
    license: license of the weights, as the project states it.
  """

  project: str
  license: str


SOURCES = {
  'mmdetection': Source(
    'open-mmlab/mmdetection',
    'Apache-2.0 (the license of the project; its model zoo states no other one for the weights)',
  ),
  'CBNetV2': Source(
    'VDIGPKU/CBNetV2',
    'free for academic research only; commercial use needs an authorization by the authors (README '
    'of the project)',
  ),
  'laihuihui/htc': Source('laihuihui/htc', 'none stated'),
}


class PublishedFile(NamedTuple):
  """A published checkpoint file.

  Attributes:
    file: name as published.
    title: what it is, for people.
    experiment: registered experiment that it fits.
    config_file: name of the file in `experiments/` that changes this experiment; '' for none.
    box_ap: box AP on COCO val2017 that the source states, as text.
    mask_ap: mask AP, likewise.
    source: project that published it, a key of `SOURCES`.
    page: page of this project from which the file is downloaded.
    config: name of the configuration in this project.
    refused: word for the reason why it cannot be converted; '' if it can. It then has the shapes,
      but not the numbers, of its experiment.
    channels: 'bgr' if its network reads BGR images, whose means and deviations are those of the
      others in that order; '' for RGB.
  """

  file: str
  title: str
  experiment: str
  config_file: str
  box_ap: str
  mask_ap: str
  source: str
  page: str
  config: str
  refused: str
  channels: str

  @property
  def model(self) -> str:
    """Name of the file in `experiments/`, or of the experiment if there is none."""
    return self.config_file or self.experiment

  @property
  def hash(self) -> str:
    """The first digits of the SHA-256 of the file, as its name has them; '' if it has none."""
    found = re.search(rf'-([0-9a-f]{{{_HASH_DIGITS}}})\.', self.file)
    return found.group(1) if found else ''

  @property
  def refusal(self) -> str:
    """Why the file cannot be converted; '' if it can."""
    return _REFUSALS[self.refused] if self.refused else ''

  @property
  def config_paths(self) -> list[str]:
    """Path of the file in `experiments/`, or nothing.

    Raises:
      ConfigError: the installation lacks the file.
    """
    return [experiment_files.path_of(self.config_file)] if self.config_file else []

  @property
  def flags(self) -> str:
    """The flags that select the model of the file."""
    files = f' --config_file=experiments/{self.config_file}.yaml' if self.config_file else ''
    return f'--experiment={self.experiment}{files}'


def reads_bgr(path: str, sha256: str) -> bool:
  """Whether a file is known as one whose network reads BGR images.

  The hash of the file decides. If no published file has it, a hash in the name counts too: a file
  that was saved again often keeps its name.

  Args:
    path: path of the file, or its name.
    sha256: 8 or more hexadecimal digits of the hash of the file, or '' if it is unknown.
  """
  known = find_hash(sha256) if sha256 else None
  if known is not None:
    return known.channels == 'bgr'
  named = find_name(path)
  digits = (sha256[:_HASH_DIGITS], *_hashes_in(path))
  return any(d in _BGR_CLASSIFIERS for d in digits) or (
    named is not None and named.channels == 'bgr'
  )


@functools.cache
def published_files() -> tuple[PublishedFile, ...]:
  """All known files, the more basic models first."""
  text = importlib.resources.files('htc_tf.convert').joinpath('published_files.csv').read_text()
  return tuple(PublishedFile(**row) for row in csv.DictReader(text.splitlines()))


def find_hash(sha256: str) -> PublishedFile | None:
  """The file whose SHA-256 begins with the given digits; None if it is not known.

  Args:
    sha256: 8 or more hexadecimal digits.
  """
  digits = sha256[:_HASH_DIGITS]
  return next((known for known in published_files() if known.hash == digits), None)


def find_name(path: str) -> PublishedFile | None:
  """The file whose hash is in the name of a path, wherever it stands; None if there is none.

  Args:
    path: path of a file that may have been renamed.
  """
  for digits in _hashes_in(path):
    known = find_hash(digits)
    if known is not None:
      return known
  return None


def _hashes_in(path: str) -> list[str]:
  """First digits of all hashes in the name of a path."""
  found = _HASH_IN_NAME.findall(os.path.basename(path).lower())
  return [digits[:_HASH_DIGITS] for digits in found]
