"""Ids of classes that are the same in the training and the validation records of a folder.

Most formats name classes and do not number them. If two folders were read independently, a class
that one of them lacks would shift the numbers of the others.
"""

import dataclasses
import os

from htc_tf.data import dataset_info
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.data.formats import coco, panoptic
from htc_tf.data.formats.annotation_source import AnnotationSource

_TRAIN = 'train'
_WITH_IDS = (coco.NAME, panoptic.NAME)


def as_in_training_records(
  source: AnnotationSource, options: ConversionOptions
) -> AnnotationSource:
  """The annotations with the ids that classes of the same name have in the records `train`.

  Annotations with ids of their own, and those that become `train` themselves, stay as they are.

  Args:
    source: the annotations.
    options: options of the conversion; its output folder may hold records for training.
  """
  if source.format in _WITH_IDS or options.prefix == _TRAIN:
    return source
  pattern = os.path.join(options.output_folder, f'{_TRAIN}-*.tfrecord')
  train = dataset_info.find_all(pattern).get(_TRAIN)
  known = {category.name: category.id for category in train.categories} if train else {}
  categories = source.content['categories']
  names = [entry['name'] for entry in categories if entry['name'] not in known]
  first_new = max(known.values(), default=0) + 1
  ids = {**known, **{name: id_ for id_, name in enumerate(names, first_new)}}
  new_ids = {entry['id']: ids[entry['name']] for entry in categories}
  if not known or all(old == new for old, new in new_ids.items()):
    return source
  for entry in categories:
    source.report.add('category_id_of_train', f'{ids[entry["name"]]} ({entry["name"]})')
  content = {
    **source.content,
    'categories': [{**entry, 'id': new_ids[entry['id']]} for entry in categories],
    'annotations': [
      {**entry, 'category_id': new_ids[entry['category_id']]}
      for entry in source.content['annotations']
    ],
  }
  # Records of other ids are made anew.
  digest = f'{source.digest} {sorted(ids.items())}'
  return dataclasses.replace(source, content=content, digest=digest)
