"""Tests of the generated pictures."""

import json

import cv2
import numpy as np
from pycocotools.coco import COCO

from benchmarks import still_lifes
from htc_tf.data import segmentation


def mask_of(entry):
  size = (still_lifes.HEIGHT, still_lifes.WIDTH)
  return segmentation.to_bitmap(entry['segmentation'], *size)


def test_annotations_of_coco_are_where_the_fruits_are(tmp_path):
  still_lifes.write(str(tmp_path), 2)
  coco = COCO(str(tmp_path / 'all.json'))
  assert [c['name'] for c in coco.loadCats(coco.getCatIds())] == list(still_lifes.CLASSES)
  for image in coco.imgs.values():
    pixels = cv2.imread(str(tmp_path / 'images' / image['file_name'])).astype(np.float32)
    assert pixels.shape[:2] == (image['height'], image['width'])
    masks = [mask_of(entry) for entry in coco.imgToAnns[image['id']]]
    assert len(masks) >= 6
    ground = np.median(pixels[np.sum(masks, 0) == 0], axis=0)
    for mask, entry in zip(masks, coco.imgToAnns[image['id']]):
      assert np.abs(np.median(pixels[mask > 0], axis=0) - ground).max() > 20
      assert abs(mask.sum() - entry['area']) < 0.05 * entry['area']


def test_files_of_labelme_have_the_same_fruits(tmp_path):
  for labelme in (False, True):
    still_lifes.write(str(tmp_path / str(labelme)), 1, labelme=labelme)
  coco = json.loads((tmp_path / 'False' / 'all.json').read_text(encoding='utf-8'))
  shapes = json.loads((tmp_path / 'True' / 'images' / 'picture_01.json').read_text('utf-8'))
  outlines = [np.ravel(shape['points']).tolist() for shape in shapes['shapes']]
  assert outlines == [entry['segmentation'][0] for entry in coco['annotations']]
  pictures = sorted(tmp_path.glob('*/images/picture_01.jpg'))
  assert len(pictures) == 2
  assert pictures[0].read_bytes() == pictures[1].read_bytes()


def test_pictures_that_were_skipped_change_no_others(tmp_path):
  for skip in (0, 1):
    arguments = [f'--output={tmp_path / str(skip)}', '--number=2', f'--skip={skip}']
    assert still_lifes.main(arguments) == 0
  (rest,) = (tmp_path / '1' / 'images').iterdir()
  assert rest.name == 'picture_02.jpg'
  assert rest.read_bytes() == (tmp_path / '0' / 'images' / rest.name).read_bytes()
  contents = [json.loads((tmp_path / skip / 'all.json').read_text()) for skip in '01']
  masks = [
    [entry['segmentation'] for entry in content['annotations'] if entry['image_id'] == id_]
    for content, id_ in zip(contents, (2, 1))
  ]
  assert [image['file_name'] for image in contents[1]['images']] == [rest.name]
  assert masks[0] == masks[1] != []


def test_an_interruption_says_how_to_go_on(monkeypatch, tmp_path, capsys):
  def interrupt(*_):
    raise KeyboardInterrupt

  monkeypatch.setattr(still_lifes, '_coco_content', interrupt)  # Pictures are there by then.
  assert still_lifes.main([f'--output={tmp_path}', '--number=1']) == 130
  assert list((tmp_path / 'images').iterdir())
  assert 'the same command writes all files again' in capsys.readouterr().err
