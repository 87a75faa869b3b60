"""Tests of the ids and names of images to predict on."""

import os

import pytest

from htc_tf.serving import input_files


def test_names_that_are_different_numbers_are_the_ids():
  images = input_files.plan_images(['b/000000000285.jpg', 'b/139.png'])
  assert [image.id for image in images] == [285, 139]
  assert [image.name for image in images] == ['000000000285.jpg', '139.png']


@pytest.mark.parametrize(
  'names',
  [
    ['7.png', '²³.png'],  # Python calls superscripts digits.
    ['7.png', '\u0663.png'],  # Python converts the Arabic three to 3.
    ['7.png', '0.png'],
    ['7.png', '007.jpg'],
    ['7.png', f'{2**53 + 1}.png'],
    ['7.png', 'a.png'],
    ['7.png', '-3.png'],
  ],
)
def test_other_names_are_numbered_from_1(names):
  assert [image.id for image in input_files.plan_images(names)] == [1, 2]


def test_a_file_that_is_given_twice_is_one_image(tmp_path):
  (tmp_path / 'link').symlink_to(tmp_path)
  paths = [
    f'{tmp_path}/a.png',
    f'{tmp_path}/./a.png',
    f'{tmp_path}/link/a.png',
    f'{tmp_path}/b.png',
  ]
  assert [image.path for image in input_files.plan_images(paths)] == [paths[0], paths[3]]


def test_files_of_one_name_in_two_folders_have_relative_names():
  paths = ['set/first/a.png', 'set/second/a.png', 'set/second/B.png', 'set/second/b.jpg']
  images = input_files.plan_images(paths)
  assert [image.name for image in images] == [path[4:] for path in paths]
  assert [image.overlay for image in images] == ['a.png', 'a_2_png.png', 'B.png', 'b_2_jpg.png']


def test_names_without_text_and_with_colons_and_accents_are_kept():
  names = [os.fsdecode(b'caf\xe9.png'), 'a:b.png', 'cafe\u0301.png']
  images = input_files.plan_images(names)
  assert [image.name for image in images] == names
  assert [image.overlay for image in images] == names


def test_the_overlay_of_a_long_name_can_be_written(tmp_path):
  names = ['é' * 120 + '.jpg', 'é' * 120 + '2.jpg']
  overlays = [image.overlay for image in input_files.plan_images(names)]
  assert len(set(overlays)) == 2
  for overlay in overlays:
    (tmp_path / f'.{overlay}.0123456789ab.part.png').touch()


def test_a_long_name_is_cut_between_characters():
  (image,) = input_files.plan_images(['字' * 80 + '.png'])
  assert image.overlay == '字' * 66 + '.png'
  no_text = os.fsdecode(b'\xe9' * 210)
  (image,) = input_files.plan_images([f'{no_text}.png'])
  assert image.overlay == f'{no_text[:200]}.png'


@pytest.mark.parametrize('names', [['a.png', 'A_classes.png'], ['a_classes.png', 'a.png']])
def test_no_overlay_has_the_name_of_the_classes_of_another_image(names):
  first, second = input_files.overlay_names(names)
  assert first == names[0] and second == f'{names[1][:-4]}_2_png.png'
  assert input_files.overlay_names(['b_classes.png', 'a.png']) == ['b_classes.png', 'a.png']


def test_a_name_that_repeats_is_numbered_without_a_search_from_the_start(monkeypatch):
  names, searched = input_files.OverlayNames(), []
  is_taken = names._is_taken
  monkeypatch.setattr(names, '_is_taken', lambda stem: searched.append(stem) or is_taken(stem))
  given = [names(name) for _ in range(100) for name in ('frame.png', 'Frame.PNG', 'frame.jpg')]
  assert given[:4] == ['frame.png', 'Frame_2_PNG.png', 'frame_2_jpg.png', 'frame_3_png.png']
  assert len({name.lower() for name in given}) == 300
  assert len(searched) < 1000
