"""Tests of the reading of results files."""

import json

import pytest

from htc_tf.errors import DataError
from htc_tf.evaluation import ground_truth as ground_truth_lib
from htc_tf.evaluation import results_file
from tests import evaluation_cases

_BOX = [10, 20, 30, 40]
_RUNS = {'size': [200, 200], 'counts': [200 * 10 + 20, 40, 200 * 200 - 200 * 10 - 60]}


@pytest.fixture(name='read')
def _read(tmp_path):
  """A function that reads entries against annotations of two images and two categories."""
  case = evaluation_cases.build([(1, 1, _BOX), (2, 2, _BOX)], [], num_images=2)

  def read(entries, ground_truth=case.ground_truth):
    path = tmp_path / 'results.json'
    path.write_text(entries if isinstance(entries, str) else json.dumps(entries), encoding='utf-8')
    return results_file.check_entries(results_file.load(path), ground_truth)

  return read


def _entry(**changes):
  return {'image_id': 1, 'category_id': 1, 'bbox': _BOX, 'score': 0.5, **changes}


def test_detections_with_boxes_are_read(read):
  found = read([_entry(), _entry(image_id=2, extra='kept by others')])
  assert found == ([_entry(), _entry(image_id=2)], False, [])


@pytest.mark.parametrize(
  'mask',
  [
    _RUNS,
    [_RUNS],
    [[10, 20, 11, 20, 11, 60, 10, 60]],
    [10, 20, 11, 20, 11, 60, 10, 60],
    {**_RUNS, 'counts': [str(run) for run in _RUNS['counts']]},
  ],
)
def test_masks_become_compressed_run_lengths(read, mask):
  found = read([_entry(segmentation=mask)])
  assert found.has_masks and not found.findings
  (entry,) = found.entries
  assert entry['segmentation']['size'] == [200, 200]
  again = read([entry])
  assert again.entries == found.entries and isinstance(entry['segmentation']['counts'], str)


def test_boxes_around_masks_replace_missing_boxes(read):
  entry = _entry(segmentation=_RUNS)
  del entry['bbox']
  found = read([entry])
  assert found.entries[0]['bbox'] == [10, 20, 1, 40]
  assert found.findings == ['1 detections have no box; boxes around their masks are used']


@pytest.mark.parametrize(
  'changes, finding',
  [
    ({'image_id': 9}, '1 detections in images that the annotations do not have'),
    ({'image_id': None}, '1 detections in images that the annotations do not have'),
    ({'category_id': 3}, '1 detections of categories that the annotations do not have'),
    ({'category_id': True}, '1 detections of categories that the annotations do not have'),
    ({'score': float('nan')}, '1 detections without a finite score'),
    ({'score': None}, '1 detections without a finite score'),
    ({'bbox': [1, 2, 3]}, '1 detections without a box of four finite numbers'),
    ({'bbox': [1, 2, 3, float('inf')]}, '1 detections without a box of four finite numbers'),
    ({'bbox': None}, '1 detections without a box of four finite numbers'),
  ],
)
def test_what_cannot_be_used_is_left_out_and_counted(read, changes, finding):
  found = read([_entry(), _entry(**changes)])
  assert found.entries == [_entry()]
  assert len(found.findings) == 1 and found.findings[0].startswith(finding)
  with pytest.raises(DataError, match=finding):
    read([_entry(**changes)])


@pytest.mark.parametrize(
  'mask',
  [
    {'size': [10, 10], 'counts': [100]},
    {**_RUNS, 'counts': [7]},
    {**_RUNS, 'counts': 'A B'},
    [],
    5,
  ],
)
def test_masks_that_do_not_fit_are_left_out(read, mask):
  found = read([_entry(segmentation=mask), _entry(segmentation=_RUNS)])
  assert len(found.entries) == 1
  assert '1 detections with a mask that does not fit its image' in found.findings[0]


def test_entries_that_are_no_objects_are_counted(read):
  assert read([_entry(), 7]).findings == ['1 entries that are no objects are left out, such as 7']


def test_numbers_may_be_text(read):
  entry = _entry(image_id='2', category_id=1.0, score='0.5', bbox=['10', 20, 30, 40])
  assert read([entry]).entries == [_entry(image_id=2)]


def test_no_detection_is_a_result(read):
  assert read([]) == ([], False, [])


@pytest.mark.parametrize(
  'content, message',
  [
    ('[', 'not JSON'),
    ('{"images": [], "annotations": []}', 'a dict with annotations, images'),
    ('"text"', 'a str'),
  ],
)
def test_another_file_is_refused(read, content, message):
  with pytest.raises(DataError, match=message):
    read(content)


def test_a_missing_file_is_refused(tmp_path):
  with pytest.raises(DataError, match='No such file'):
    results_file.load(tmp_path / 'none')


def test_masks_for_some_detections_alone_are_refused(read):
  with pytest.raises(DataError, match='it in 1 of 2'):
    read([_entry(), _entry(segmentation=_RUNS)])


def test_text_ids_of_the_annotations_are_found(read, tmp_path):
  content = {
    'images': [{'id': name, 'file_name': name, 'height': 200, 'width': 200} for name in ('a', 'b')],
    'annotations': [{'id': 1, 'image_id': 'b', 'category_id': 'cat', 'bbox': _BOX}],
    'categories': [{'id': 'cat', 'name': 'cat'}],
  }
  path = tmp_path / 'annotations.json'
  path.write_text(json.dumps(content), encoding='utf-8')
  ground_truth = ground_truth_lib.load_ground_truth(path, include_mask=False)
  found = read([_entry(image_id='b', category_id='cat')], ground_truth)
  (annotation,) = ground_truth.dataset['annotations']
  assert found.entries == [
    _entry(image_id=annotation['image_id'], category_id=annotation['category_id'])
  ]


def test_an_image_without_size_gets_that_of_its_masks(read, tmp_path):
  content = {
    'images': [{'id': 1, 'file_name': 'a'}],
    'annotations': [
      {'id': 1, 'image_id': 1, 'category_id': 1, 'segmentation': [[0, 0, 9, 0, 9, 9]]}
    ],
    'categories': [{'id': 1, 'name': 'cat'}],
  }
  path = tmp_path / 'annotations.json'
  path.write_text(json.dumps(content), encoding='utf-8')
  ground_truth = ground_truth_lib.load_ground_truth(path, include_mask=True)
  assert read([_entry(segmentation=_RUNS)], ground_truth).entries
  assert ground_truth.imgs[1]['height'] == 200
