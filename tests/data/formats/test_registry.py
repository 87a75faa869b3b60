"""Tests that each format is recognized by its content and gives the same objects."""

import collections
import os
import random
import shutil

import numpy as np
import pytest

from htc_tf.data import coco_annotations, coco_to_tfrecord, segmentation
from htc_tf.data.conversion_options import ANNOTATION_FORMATS, ConversionOptions
from htc_tf.data.formats import registry
from htc_tf.errors import DataError, HTCError, InputError
from tests.data.formats import small_sets

# Classes of the small sets in the formats that have their own.
_NAMES = {'cityscapes': {'cat': 'person', 'dog': 'car'}}


def read(path, **options):
  return registry.read(ConversionOptions(str(path), '', str(path) + '_records', **options))


def objects_of(source):
  """Stem of the picture, class and bitmap of each object, in a form that can be compared."""
  cleaned = coco_annotations.clean_content(source.content, 'x', source.report)
  names = {entry['id']: entry['name'] for entry in cleaned.categories}
  found = []
  for image in cleaned.images:
    assert os.path.isfile(os.path.join(source.image_folder, image['file_name']))
    stem = os.path.basename(image['file_name'])[0]
    for entry in cleaned.annotations[image['id']]:
      bitmap = segmentation.to_bitmap(entry['segmentation'], image['height'], image['width'])
      assert not entry['iscrowd']
      assert entry['area'] == bitmap.sum()
      found.append((stem, names[entry['category_id']], bitmap.tobytes()))
  return collections.Counter(found)


def expected(names=None):
  return collections.Counter(
    (item[0], (names or {}).get(item[1], item[1]), small_sets.mask(item).tobytes())
    for item in small_sets.OBJECTS
  )


@pytest.mark.parametrize('name', small_sets.FORMATS)
def test_a_format_is_recognized_and_gives_the_objects_of_the_others(tmp_path, name):
  path = small_sets.FORMATS[name](tmp_path / 'set')
  source = read(path)
  assert source.format == registry.FORMATS[name].name
  assert objects_of(source) == expected(_NAMES.get(name))
  assert read(path).content == source.content and read(path).digest == source.digest


def test_every_format_has_a_reader_and_a_small_set():
  assert {'auto', *registry.FORMATS} == set(ANNOTATION_FORMATS)
  assert {'coco', *small_sets.FORMATS} == set(registry.FORMATS)


@pytest.mark.parametrize('name', small_sets.FORMATS)
def test_a_changed_annotation_file_changes_the_digest(tmp_path, name):
  path = small_sets.FORMATS[name](tmp_path / 'set')
  before = read(path).digest
  names = [item for item in _files(tmp_path / 'set') if item.endswith(('json', 'xml', 'txt'))]
  if not names:
    names = [item for item in _files(tmp_path / 'set') if 'asks' in item or 'Object' in item]
  with open(names[0], 'rb') as file:
    content = file.read()
  with open(names[0], 'wb') as file:
    file.write(content + b'\n')
  assert read(path).digest != before


def _files(folder):
  return sorted(os.path.join(p, name) for p, _, names in os.walk(folder) for name in names)


def test_a_coco_file_in_a_folder_is_found_with_its_images(tmp_path):
  small_sets.write_images(tmp_path / 'images')
  content = {
    'images': [{'id': 1, 'file_name': 'a.png', 'height': 24, 'width': 32}],
    'annotations': [],
    'categories': [{'id': 1, 'name': 'cat'}],
  }
  small_sets.write_json(tmp_path / 'annotations' / 'instances.json', content)
  source = read(tmp_path / 'annotations')
  assert source.content == content
  assert os.path.realpath(source.image_folder) == str(tmp_path / 'images')


def coco_of(*names):
  images = [
    {'id': i, 'file_name': f'{n}.png', 'height': 24, 'width': 32} for i, n in enumerate(names)
  ]
  return {'images': images, 'annotations': [], 'categories': [{'id': 1, 'name': 'cat'}]}


def test_a_split_of_coco_is_in_the_name_of_the_file_or_of_its_folder(tmp_path):
  for part, name in (('train', 'a'), ('valid', 'b')):
    small_sets.write_images(tmp_path / part)
    small_sets.write_json(tmp_path / part / '_annotations.coco.json', coco_of(name))
  for split, name in (('train', 'a'), ('valid', 'b'), ('val', 'b')):
    source = read(tmp_path, split=split)
    assert [image['file_name'] for image in source.content['images']] == [f'{name}.png']
    assert os.path.realpath(source.image_folder).endswith({'a': 'train', 'b': 'valid'}[name])


@pytest.mark.parametrize('name', ['', 'instances_train2017.json'])
def test_a_split_that_no_coco_file_has_is_an_error(tmp_path, name):
  """The only file is not taken for another split."""
  small_sets.write_json(tmp_path / 'instances_train2017.json', coco_of('a'))
  with pytest.raises(DataError, match=r"no coco file of the split 'val'.*instances_train2017"):
    read(tmp_path / name, split='val')
  assert read(tmp_path / name, split='train').content == coco_of('a')


@pytest.mark.parametrize('name', ['labelme', 'labelme3', 'cvat'])
def test_a_split_is_read_alone_in_every_format(tmp_path, name):
  """Formats without lists have splits as folders, CVAT also as subsets."""
  small_sets.FORMATS[name](tmp_path / 'train')
  small_sets.FORMATS[name](tmp_path / 'Validation')
  if name == 'cvat':
    path = tmp_path / 'train' / 'annotations.xml'
    text = path.read_text(encoding='utf-8')
    text = text.replace('name="b.png"', 'name="b.png" subset="Validation"')
    path.write_text(text, encoding='utf-8')
    source = read(tmp_path / 'train', split='val')
  else:
    source = read(tmp_path, split='val')
  number = 1 if name == 'cvat' else 2  # of the images that are read, and of the others
  assert len(source.content['images']) == number
  assert source.report.counts == {'other_split': number}


@pytest.mark.parametrize('name', ['labelme', 'labelme3'])
def test_a_format_is_recognized_behind_many_other_files(tmp_path, name):
  """JSON and XML files that belong to another program come first in the order of their names."""
  suffix = 'json' if name == 'labelme' else 'xml'
  for number in range(70):
    small_sets.write_text(
      tmp_path / '_meta' / f'{number}.{suffix}', '{}' if suffix == 'json' else '<x/>'
    )
  small_sets.FORMATS[name](tmp_path)
  source = read(tmp_path)
  assert objects_of(source) == expected() and source.report.counts['other_file'] == 70


def with_voc_lists(root):
  for split in ('train', 'val', 'trainval'):
    small_sets.write_text(root / 'ImageSets' / 'Main' / f'{split}.txt', 'a\n')
  return small_sets.voc(root)


def with_cvat_subsets(root):
  path = small_sets.cvat(root) / 'annotations.xml'
  text = path.read_text(encoding='utf-8').replace('name="a', 'subset="Train" name="a')
  small_sets.write_text(path, text.replace('name="b', 'subset="Validation" name="b'))
  return root


def with_coco_folders(root):
  small_sets.write_json(root / 'x.json', coco_of('train/a', 'x/val/a', 'Training/b'))
  return root


def with_labelme_folders(root):
  for split, name in (('train', 'a'), ('valid', 'b')):
    small_sets.labelme(root / split)
    for path in (root / split).glob(f'{name}.*'):
      path.unlink()
  return root


@pytest.mark.parametrize(
  'write', [with_voc_lists, with_cvat_subsets, with_coco_folders, with_labelme_folders]
)
def test_splits_that_are_read_together_are_counted(tmp_path, write):
  assert read(write(tmp_path)).report.examples['split_joined'] == ['train', 'val']


def test_two_formats_in_a_folder_are_refused_unless_one_is_chosen(tmp_path):
  small_sets.labelme(tmp_path)
  small_sets.labelme3(tmp_path)
  with pytest.raises(DataError, match=r'several formats.*labelme .*labelme3 '):
    read(tmp_path)
  assert objects_of(read(tmp_path, annotation_format='labelme3')) == expected()


def test_a_folder_of_images_alone_is_no_annotation(tmp_path):
  small_sets.write_images(tmp_path / 'set')
  with pytest.raises(DataError, match=r'is unknown.*LabelMe.*Got: files: 2 .png'):
    read(tmp_path / 'set')


def test_records_inside_the_folder_of_annotations_are_not_read(tmp_path):
  small_sets.labelme(tmp_path)
  small_sets.write_json(tmp_path / 'out' / 'x.json', {'images': [], 'categories': []})
  options = ConversionOptions(str(tmp_path), '', str(tmp_path / 'out'))
  assert objects_of(registry.read(options)) == expected()


def _damaged(content, generator):
  """A truncated file, or one with bytes replaced, removed or repeated."""
  kind = generator.randrange(5)
  start = generator.randrange(len(content) or 1)
  end = min(start + generator.choice((1, 3, 20)), len(content))
  if kind == 0:
    return content[:start]
  if kind == 1:
    return content[:start] + content[end:]
  if kind == 2:
    return content[:end] + content[start:]
  values = (b'null', b'-1', b'1e400', b'"x"', b'[]', b'{}', b'99999999999', b'<', b'\xff', b'nan')
  if kind == 3:
    return content[:start] + generator.choice(values) + content[end:]
  digits = [index for index, value in enumerate(content) if 48 <= value <= 57]
  if not digits:
    return b''
  place = generator.choice(digits)
  return content[:place] + generator.choice(values) + content[place + 1 :]


@pytest.mark.parametrize('name', small_sets.FORMATS)
@pytest.mark.parametrize('number', [25, pytest.param(300, marks=pytest.mark.slow)])
def test_damaged_files_are_read_counted_or_refused(tmp_path, name, number):
  """No other error than an HTCError, and what is left passes the cleaning."""
  path = small_sets.FORMATS[name](tmp_path / 'set')
  files, generator = _files(tmp_path / 'set'), random.Random(7)
  annotations = [item for item in files if 'mages' not in item and '_left' not in item]
  annotations = [
    item for item in annotations if name in ('voc', 'masks', 'panoptic') or item[-4:] != '.png'
  ]
  outcomes = collections.Counter()
  for _ in range(number):
    chosen = generator.choice(annotations)
    with open(chosen, 'rb') as file:
      content = file.read()
    with open(chosen, 'wb') as file:
      file.write(_damaged(content, generator))
    try:
      source = read(path, annotation_format=name)
      cleaned = coco_annotations.clean_content(source.content, 'x', source.report)
      same = sum(map(len, cleaned.annotations.values())) == len(small_sets.OBJECTS)
      counted = any(key not in ('category_ids_mapped',) for key in source.report.counts)
      outcomes['same' if same else 'counted' if counted else 'lost'] += 1
      '\n'.join(source.report.lines()).encode()
    except HTCError:
      outcomes['refused'] += 1
    with open(chosen, 'wb') as file:
      file.write(content)
  assert sum(outcomes.values()) == number and outcomes['refused'] < number
  assert outcomes['counted'] + outcomes['refused'] > 0


def test_a_missing_file_is_named(tmp_path):
  with pytest.raises(DataError, match=r'nothing\.json cannot be read'):
    read(tmp_path / 'nothing.json')


def test_an_image_name_that_stands_for_several_files_is_refused(tmp_path):
  path = small_sets.via(tmp_path / 'set')
  shutil.copytree(tmp_path / 'set' / 'images', tmp_path / 'set' / 'copies')
  with pytest.raises(DataError, match=r"'a.png' stands for several files"):
    read(path)


def cvat_of(*names):
  box = '<box label="cat" xtl="1" ytl="1" xbr="9" ybr="9"/>'
  images = ''.join(f'<image name="{name}" width="20" height="20">{box}</image>' for name in names)
  return f'<annotations>{images}</annotations>'


def test_the_image_of_another_folder_is_not_taken_twice(tmp_path):
  """Without the images of val, those of train with the same names are not annotated as both."""
  small_sets.write_images(tmp_path / 'images' / 'train')
  small_sets.write_text(tmp_path / 'a.xml', cvat_of('train/b.png', 'val/b.png'))
  names = [image['file_name'] for image in read(tmp_path).content['images']]
  assert names == ['images/train/b.png', 'val/b.png']
  small_sets.write_text(tmp_path / 'a.xml', cvat_of('other/b.png'))
  names = [image['file_name'] for image in read(tmp_path).content['images']]
  assert names == ['images/train/b.png']


def test_several_annotations_of_an_image_are_refused(tmp_path):
  small_sets.cityscapes(tmp_path)
  for path in (tmp_path / 'gtFine').rglob('*.json'):
    coarse = path.relative_to(tmp_path / 'gtFine').with_name(path.name.replace('Fine', 'Coarse'))
    small_sets.write_text(tmp_path / 'gtCoarse' / coarse, path.read_text(encoding='utf-8'))
  with pytest.raises(DataError, match=r'several annotations.*gtCoarse.*gtFine'):
    read(tmp_path)


@pytest.mark.parametrize('name', small_sets.FORMATS)
def test_a_missing_image_folder_is_named_in_every_format(tmp_path, name):
  path = small_sets.FORMATS[name](tmp_path / 'set')
  options = ConversionOptions(str(path), str(tmp_path / 'typo'), str(tmp_path / 'records'))
  with pytest.raises(InputError, match='typo'):
    coco_to_tfrecord.convert(options)


@pytest.mark.parametrize('name', ['yolo', 'masks', 'voc', 'via'])
def test_formats_without_sizes_say_that_no_image_is_found(tmp_path, name):
  path = small_sets.FORMATS[name](tmp_path / 'set')
  for folder in ('images', 'JPEGImages'):
    shutil.rmtree(tmp_path / 'set' / folder, ignore_errors=True)
  with pytest.raises(DataError, match=r'No image of .* can be read.*--image_folder'):
    read(path)


def test_a_science_bowl_folder_has_one_class(tmp_path):
  source = read(small_sets.science_bowl(tmp_path / 'set'), class_name='nucleus')
  assert objects_of(source) == expected({'cat': 'nucleus', 'dog': 'nucleus'})
  assert not np.any([key == 'class_assumed' for key in source.report.counts])
