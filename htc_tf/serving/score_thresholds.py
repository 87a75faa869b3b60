"""Score thresholds of prediction: one for all classes, or those of an evaluation report."""

import json
import numbers
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from htc_tf import file_errors, file_systems
from htc_tf.errors import InputError

_NAMED = 5


class ScoreThresholds(NamedTuple):
  """Smallest scores of the objects in the outputs of a prediction.

  Attributes:
    default: that of the classes without their own.
    by_name: those of classes by name; None for classes without one.
    source: path of the file that they are from; '' if `default` is for all classes.
    subject: what the report in that file is of, with its overrides; '' if it does not say.
  """

  default: float = 0.3
  by_name: Mapping[str, float | None] = {}
  source: str = ''
  subject: str = ''

  def of_classes(self, names: Sequence[str]) -> float | dict[str, float]:
    """What `DetectedImage.filtered` takes.

    Args:
      names: names of the classes of the model; empty if unknown.

    Raises:
      InputError: the report is of other classes.
    """
    if not self.source:
      return self.default
    unknown = [name for name, own in self.by_name.items() if name not in names and own is not None]
    if unknown or not set(names) & set(self.by_name):
      raise InputError(
        f'The thresholds of {self.source} are of other classes',
        expected=f'classes of the model: {", ".join(names) or "their names are unknown"}',
        got=', '.join(unknown or self.by_name) or 'none',
        likely_cause='the report of another model'
        if names
        else 'a model without the file dataset.json, or a client without --export',
      )
    own = {name: self.by_name.get(name) for name in names}
    return {name: self.default if value is None else value for name, value in own.items()}

  def describe(self, names: Sequence[str]) -> str:
    """The rule in words, to follow 'objects'."""
    if not self.source:
      return f'with a score of {self.default:g} or more'
    without = [name for name in names if self.by_name.get(name) is None]
    text = f'with at least the score of their class in {self.source}'
    if self.subject:
      text += f' (the report of {self.subject})'
    if not without:
      return text
    listed = without[:_NAMED] + (['...'] if len(without) > _NAMED else [])
    return f'{text}, or {self.default:g} without one there ({", ".join(listed)})'


def check_score_threshold(score_threshold: float) -> None:
  """Raise InputError unless a score threshold is a number in 0..1."""
  is_number = isinstance(score_threshold, numbers.Real) and not isinstance(score_threshold, bool)
  if not is_number:
    raise InputError(
      'The score threshold is no number',
      expected='a number from 0 to 1',
      got=repr(score_threshold),
      likely_cause='limits by class, which image.filtered takes, or a text',
    )
  if not 0 <= score_threshold <= 1:
    raise InputError(
      'The score threshold is out of range',
      expected='a number from 0 to 1',
      got=str(score_threshold),
      likely_cause='a percentage',
    )


def checked(threshold: float | ScoreThresholds) -> ScoreThresholds:
  """The thresholds that a number stands for, or those that are given.

  Raises:
    InputError: a number is out of range.
  """
  thresholds = threshold if isinstance(threshold, ScoreThresholds) else ScoreThresholds(threshold)
  check_score_threshold(thresholds.default)
  return thresholds


def read(path: str | None, default: float) -> ScoreThresholds:
  """The thresholds of an evaluation report, those that maximize the F1 of each class.

  Args:
    path: its `metrics.json`; None for one threshold for all classes.
    default: threshold of the classes that the report has none for.

  Raises:
    InputError: `default` is out of range, or the file cannot be read or is no report.
  """
  check_score_threshold(default)
  if path is None:
    return ScoreThresholds(default)
  file_systems.check_usable(path, '--thresholds')
  with file_errors.as_input_errors(reading=True):
    text = file_systems.read_bytes(path)
  try:
    report = json.loads(text)
    entries = [(str(entry['class']), entry['best_threshold']) for entry in report['classes']]
    subject = _subject(report)
  except (ValueError, LookupError, TypeError, RecursionError) as error:
    raise _no_report(path, f'{type(error).__name__}: {error}') from error
  found: dict[str, float | None] = {}
  for name, threshold in entries:
    if not _is_threshold(threshold):
      raise _no_report(path, f'the threshold {threshold} of {name}')
    if found.setdefault(name, threshold) != threshold:
      raise _no_report(path, f'two thresholds of {name}')
  return ScoreThresholds(default, found, path, subject)


def _subject(report: Mapping[str, Any]) -> str:
  """What a report is of, and the overrides it was made with; '' if it does not say."""
  subject, sources = report.get('subject'), report.get('sources')
  if not isinstance(subject, str):
    return ''
  overrides = sources.get('overrides') if isinstance(sources, Mapping) else None
  return f'{subject} with {overrides}' if overrides else subject


def _is_threshold(value: Any) -> bool:
  is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
  return value is None or (is_number and 0 <= value <= 1)


def _no_report(path: str, got: str) -> InputError:
  return InputError(
    f'{path} has no score thresholds',
    expected='the metrics.json of htc-evaluate, with best_threshold for each of its classes',
    got=got,
    likely_cause='another file of the report, or of another program',
  )
