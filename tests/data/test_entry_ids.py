"""Tests of integer ids for the ids that tools write."""

import pytest

from htc_tf.data.check_report import CheckReport
from htc_tf.data.entry_ids import EntryIds


def read(values, section='images'):
  report = CheckReport()
  ids = EntryIds(values, section, report)
  return [ids.get(value, 'id') for value in values], report


@pytest.mark.parametrize(
  'values, expected, counts',
  [
    ([3, 9], [3, 9], {}),
    ([3.0, '9'], [3, 9], {'integer_as_float': 1, 'number_as_text': 1}),
    (['3', '9'], [3, 9], {'number_as_text': 2}),
    (['b', 'a', 'b'], [1, 2, 1], {'text_ids_numbered': 1}),
    (['7', 'x'], [1, 2], {'text_ids_numbered': 1}),
    (['7', '07'], [1, 2], {'text_ids_numbered': 1}),
    ([2**64 + 5, 2**70], [1, 2], {'text_ids_numbered': 1}),
    ([2**62, 2**63 + 1], [1, 2], {'text_ids_numbered': 1}),
    (['9' * 40, '8' * 5000], [1, 2], {'text_ids_numbered': 1}),
  ],
)
def test_ids_are_read_or_numbered_without_loss(values, expected, counts):
  found, report = read(values)
  assert found == expected
  assert report.to_json() == counts


@pytest.mark.parametrize('bad', ['x', None, True, 1.5, [1], {}, 2**63, float('nan'), ''])
def test_one_bad_id_among_integers_is_no_id_and_changes_no_other(bad):
  found, report = read([*range(1, 20), bad])
  assert found == [*range(1, 20), None]
  assert report.to_json() == {}


def test_numbered_entries_keep_the_id_of_the_file():
  report = CheckReport()
  ids = EntryIds(['a', 'b'], 'images', report)
  assert ids.identified({'id': 'b', 'x': 1}, 2, x=3) == {'id': 2, 'original_id': 'b', 'x': 3}
  assert report.examples['text_ids_numbered'] == ['ids of images']
  assert ids.get(1, 'id') is None and ids.get(['a'], 'id') is None
  integers = EntryIds([5], 'images', report)
  assert integers.identified({'id': '5'}, 5) == {'id': 5}
