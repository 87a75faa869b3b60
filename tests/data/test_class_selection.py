"""Tests of the selection, renaming and joining of classes, and of boxes and crowds as instances."""

import pytest

from htc_tf.data import content_changes
from htc_tf.data.check_report import CheckReport
from htc_tf.errors import ConfigError
from tests.data.conftest import annotation


def names_of(coco, **options):
  """Name of the class of each instance by annotation id, and the metadata."""
  info, _ = coco.convert(semantic='instances', **options)
  names = [None, *info.category_names]
  records = coco.records()
  return {id_: [names[label] for label in r['classes']] for id_, r in records.items()}, info


def test_other_classes_are_left_out_and_images_stay(coco):
  found, info = names_of(coco, classes=('dog',))
  assert set(found) == {7, 9, 12}
  assert {name for listed in found.values() for name in listed} == {'dog'}
  assert info.category_names == ['dog'] and info.num_classes == 2
  assert info.checks['class_not_chosen'] + info.num_instances == 4


def test_classes_of_the_same_new_name_are_one(coco):
  found, info = names_of(coco, renames=(('cat', 'pet'), ('dog', 'pet')))
  assert sum(map(len, found.values())) == 4
  assert info.category_names == ['pet'] and info.category_ids == [3]
  assert info.checks['class_renamed'] == 2 and info.semantic.num_classes == 2


def test_a_chosen_class_may_have_a_new_name(coco):
  _, info = names_of(coco, renames=(('dog', 'wolf'),), classes=('wolf',))
  assert info.category_names == ['wolf']


@pytest.mark.parametrize(
  'options, flag',
  [({'classes': ('cow',)}, '--classes'), ({'renames': (('cow', 'x'),)}, '--rename')],
)
def test_an_unknown_class_is_named_with_the_known_ones(coco, options, flag):
  with pytest.raises(ConfigError, match=f'{flag} names a class.*dog.*Got: cow'):
    coco.convert(**options)


def test_a_box_becomes_the_mask_where_there_is_none(coco):
  for entry in coco.content['annotations']:
    entry['segmentation'] = []
  info, _ = coco.convert(boxes_as_masks=True)
  assert info.num_instances == 4 and info.checks['box_as_mask'] == 4
  for record in coco.records().values():
    assert len(record['masks_png']) == len(record['classes'])


def test_only_boxes_without_a_mask_become_masks():
  report = CheckReport()
  masked = annotation(1, 1, 1, (2, 3, 4, 5), segmentation=[[2, 3, 6, 3, 2, 8]])
  boxed = annotation(2, 1, 1, (2, 3, 4, 5), segmentation=[])
  runs = annotation(3, 1, 1, (2, 3, 4, 5), segmentation={'size': [9, 9], 'counts': [81]})
  empty = annotation(4, 1, 1, (2, 3, 0, 5), segmentation=None)
  content = {'annotations': [masked, boxed, runs, empty, 'text']}
  changed = content_changes.apply(content, True, False, report)['annotations']
  assert changed[0] is masked and changed[2] is runs and changed[3] is empty
  assert changed[1]['segmentation'] == [[2, 3, 6, 3, 6, 8, 2, 8]]
  assert boxed['segmentation'] == [] and report.counts == {'box_as_mask': 1}


def test_crowds_become_instances(coco):
  before, _ = coco.convert()
  assert before.checks['crowd_regions'] == 1
  info, _ = coco.convert(crowds_as_instances=True)
  assert info.checks['crowd_as_instance'] == 1 and 'crowd_regions' not in info.checks
  assert not any(record['is_crowd'].any() for record in coco.records().values())
