"""Tests of the choice of records."""

import pytest
import tensorflow as tf

from htc_tf.errors import DataError
from htc_tf.reports import record_samples


def _write(folder, labels_of_images, shards=2):
  """Shards of records that only have ids, names and labels; return their paths."""
  paths = [str(folder / f'data-{shard:05d}-of-{shards:05d}.tfrecord') for shard in range(shards)]
  writers = [tf.io.TFRecordWriter(path) for path in paths]
  for index, labels in enumerate(labels_of_images):
    example = tf.train.Example()
    feature = example.features.feature
    feature['image/source_id'].bytes_list.value.append(str(index + 1).encode())
    feature['image/filename'].bytes_list.value.append(f'folder/{index + 1:03d}.png'.encode())
    feature['image/object/class/label'].int64_list.value.extend(abs(label) for label in labels)
    feature['image/object/is_crowd'].int64_list.value.extend(int(label < 0) for label in labels)
    writers[index % shards].write(example.SerializeToString())
  for writer in writers:
    writer.close()
  return paths


def _choose(paths, number, labels, **options):
  values = {'max_number': 60, 'num_images': 0, 'seed': 0, **options}
  return record_samples.choose_samples(paths, number, labels, **values)


def _ids(samples):
  return [sample.image_id for sample in samples]


def test_every_class_is_seen_even_if_that_needs_more_records(tmp_path):
  paths = _write(tmp_path, [(1,)] * 60 + [(label,) for label in range(2, 11)])
  samples = _choose(paths, 3, range(1, 11))
  assert len(samples) == 10
  assert set().union(*(sample.labels for sample in samples)) == set(range(1, 11))


def test_few_records_are_chosen_if_they_show_all_classes(tmp_path):
  paths = _write(tmp_path, [(1,), tuple(range(1, 21)), *((label,) for label in range(2, 21))], 1)
  samples = _choose(paths, 2, range(1, 21))
  assert len(samples) == 2 and samples[0].labels == set(range(1, 21))


def test_three_hundred_classes_do_not_exceed_the_limit(tmp_path):
  paths = _write(tmp_path, [(label,) for label in range(1, 301)])
  samples = _choose(paths, 12, range(1, 301))
  assert len(samples) == 60 and len(set(_ids(samples))) == 60


def test_the_choice_depends_on_the_seed_only(tmp_path):
  paths = _write(tmp_path, [(1 + index % 3,) for index in range(40)])
  chosen = [_ids(_choose(paths, 5, {1, 2, 3}, seed=seed)) for seed in (1, 1, 2)]
  assert chosen[0] == chosen[1] != chosen[2] and len(set(chosen[0])) == 5


def test_reading_ends_early(tmp_path, monkeypatch):
  paths = _write(tmp_path, [(1, 2)] * 500)
  parsed = []
  original = record_samples._parse
  monkeypatch.setattr(
    record_samples, '_parse', lambda *args: parsed.append(args) or original(*args)
  )
  _choose(paths, 4, {1, 2})
  assert len(parsed) < 30


def test_a_crowd_region_does_not_show_its_class(tmp_path):
  paths = _write(tmp_path, [(-2,), (1,), (1, 2)])
  samples = _choose(paths, 3, {1, 2})
  assert {sample.image_id: sample.labels for sample in samples} == {
    '1': set(),
    '2': {1},
    '3': {1, 2},
  }


def test_only_images_of_the_named_classes_are_chosen(tmp_path):
  paths = _write(tmp_path, [(1,), (2,), (3, 1), (2, 3), ()] * 10)
  samples = _choose(paths, 8, {3}, has_label=True)
  assert len(samples) == 8 and all(3 in sample.labels for sample in samples)
  assert _choose(paths, 8, {4}, has_label=True) == []


def test_images_are_found_by_id_path_and_name_in_the_given_order(tmp_path):
  paths = _write(tmp_path, [(1,)] * 12)
  names = ['folder/007.png', '2', '011.png', '7', 'no such name']
  assert _ids(record_samples.named_samples(paths, names, 12)) == ['7', '2', '11']


def test_damaged_records_are_skipped(tmp_path):
  paths = _write(tmp_path, [(1,)] * 4, shards=1)
  with tf.io.TFRecordWriter(str(tmp_path / 'damaged')) as writer:
    writer.write(b'no example')
    writer.write(tf.train.Example().SerializeToString())
  (tmp_path / 'truncated').write_bytes((tmp_path / 'damaged').read_bytes()[:20])
  extra = [str(tmp_path / name) for name in ('damaged', 'truncated', 'missing')]
  assert len(_choose(paths + extra, 9, {1})) == 4
  for has_label in (False, True):
    with pytest.raises(DataError, match='none in 3 files'):
      _choose(extra, 9, {1}, has_label=has_label)
