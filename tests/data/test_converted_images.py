"""Tests of missing, unreadable and turned images in a conversion to records."""

import os

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from tests.data import conversions


def test_a_missing_image_is_an_error_unless_skipped(coco):
  (coco.images / '9.png').unlink()
  conversions.check_fails(
    coco, '1 of 3 files named by .* are missing.*no .*9.png.*--skip_missing_images'
  )
  assert not coco.output.exists()
  info, summary = coco.convert(skip_missing_images=True)
  assert (info.num_images, info.num_instances) == (2, 3)
  assert '1 images whose file is missing (dropped)' in summary
  assert sorted(COCO(os.path.join(coco.output, info.annotation_file)).getAnnIds()) == [
    101,
    102,
    103,
  ]


def test_a_data_set_without_any_image_file_is_refused(coco):
  for path in coco.images.iterdir():
    path.unlink()
  conversions.check_fails(coco, 'No image is left', skip_missing_images=True)


@pytest.mark.parametrize(
  'content,reason', [(b'', 'The file is empty'), (b'hello', 'cannot identify')]
)
@pytest.mark.parametrize('num_processes', [1, 2])
def test_an_unreadable_image_is_an_error(coco, content, reason, num_processes):
  (coco.images / '9.png').write_bytes(content)
  conversions.check_fails(
    coco, f'9.png cannot be read as an image.*{reason}', num_processes=num_processes
  )
  assert not (coco.output / 'train.json').exists()


def test_an_unreadable_image_is_skipped_on_request(coco):
  (coco.images / '9.png').write_bytes(b'')
  info, summary = coco.convert(skip_missing_images=True)
  assert (info.num_images, info.num_instances) == (2, 3)
  assert '1 images that are empty or cannot be decoded (dropped): e.g. 9.png' in summary
  assert sorted(coco.records()) == [7, 12]


def test_a_data_set_of_unreadable_images_is_refused(coco):
  for path in coco.images.iterdir():
    path.write_bytes(b'')
  conversions.check_fails(
    coco, 'No image is left.*3 images that are empty', skip_missing_images=True
  )


def test_an_image_of_another_size_is_counted_and_dropped(coco):
  coco.content['images'][1]['height'] = 41
  _, summary = coco.convert()
  assert '(dropped): e.g. 9.png is 24x40, annotated as 24x41' in summary
  assert sorted(coco.records()) == [7, 12]


def test_an_image_name_that_leaves_the_folder_is_refused(coco):
  coco.content['images'][1]['file_name'] = '../9.png'
  conversions.check_fails(
    coco, "The file name '../9.png' in the annotations leaves the image folder"
  )


def test_images_without_size_are_converted(coco):
  expected, _ = coco.convert()
  for image in coco.content['images']:
    del image['height'], image['width']
  info, summary = coco.convert()
  assert info.num_instances == expected.num_instances
  assert '3 image entries without height and width (read from the image)' in summary


def save_with_orientation(coco, name, orientation):
  """Store an image so that it looks the same once it is turned upright."""
  image = Image.open(coco.images / name)
  back = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90}[orientation]
  exif = Image.Exif()
  exif[274] = orientation
  image.transpose(back).save(coco.images / name, exif=exif)


def stored_images(coco):
  return {id_: record['image'] for id_, record in coco.records().items()}


@pytest.mark.parametrize('exif', ['auto', 'upright'])
def test_images_are_turned_upright_as_annotation_tools_show_them(coco, exif):
  coco.convert()
  expected = stored_images(coco)
  save_with_orientation(coco, '7.png', 3)
  save_with_orientation(coco, '9.png', 6)
  _, summary = coco.convert(exif=exif)
  for id_, image in stored_images(coco).items():
    np.testing.assert_array_equal(image, expected[id_])
  assert '2 images turned upright by their EXIF orientation: e.g. 7.png, 9.png' in summary


def test_sizes_of_stored_images_decide_for_the_whole_data_set(coco):
  """The size of an image that is only turned by 180 degrees does not tell."""
  save_with_orientation(coco, '7.png', 3)
  save_with_orientation(coco, '9.png', 6)
  entry = coco.content['images'][1]
  entry['height'], entry['width'] = entry['width'], entry['height']
  _, summary = coco.convert()
  for id_, image in stored_images(coco).items():
    stored = Image.open(coco.images / f'{id_}.png')
    np.testing.assert_array_equal(image, np.asarray(stored.convert('RGB')))
  assert '2 images with an EXIF orientation that are not turned' in summary


def test_the_orientation_is_ignored_on_request(coco):
  save_with_orientation(coco, '7.png', 3)
  _, summary = coco.convert(exif='stored')
  stored = np.asarray(Image.open(coco.images / '7.png').convert('RGB'))
  np.testing.assert_array_equal(stored_images(coco)[7], stored)
  assert '1 images with an EXIF orientation that are not turned (see --exif): e.g. 7' in summary


@pytest.mark.parametrize('num_missing', [4, 12, 14])
def test_a_file_that_only_pillow_can_decode_is_encoded_again(coco, num_missing):
  expected = np.asarray(Image.open(coco.images / '7.png').convert('RGB'))
  content = (coco.images / '7.png').read_bytes()
  (coco.images / '7.png').write_bytes(content[:-num_missing])
  _, summary = coco.convert()
  np.testing.assert_array_equal(stored_images(coco)[7], expected)
  assert '1 images converted to 8-bit RGB PNG' in summary
