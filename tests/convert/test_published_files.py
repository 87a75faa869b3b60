"""Tests of the registry of published files."""

import pathlib
import re

import pytest

from htc_tf.configs import parsing
from htc_tf.convert import published_files
from tests.configs.test_experiments import PUBLISHED_AP

FILES = published_files.published_files()
USABLE = [known for known in FILES if not known.refused]
HASHED = [known for known in FILES if known.source == 'mmdetection']


def test_every_published_model_has_a_file_with_its_ap():
  assert {known.model for known in USABLE} == {*PUBLISHED_AP, 'htc_resnet50fpn_1x_coco_paddle'}
  for model, ap in PUBLISHED_AP.items():
    assert ap in {(known.box_ap, known.mask_ap) for known in USABLE if known.model == model}, model


@pytest.mark.parametrize('known', FILES, ids=[known.file for known in FILES])
def test_an_entry_names_an_experiment_and_its_file(known):
  assert known.experiment in parsing.known_experiments()
  for path in known.config_paths:
    text = pathlib.Path(path).read_text(encoding='utf-8')
    assert f'--experiment={known.experiment} ' in text
    if known.source == 'mmdetection' and not known.refused:
      assert f'({known.config})' in re.sub(r'\n# +', ' ', text)
  assert re.fullmatch(r'\d\d\.\d', known.box_ap) and re.fullmatch(r'\d\d\.\d', known.mask_ap)
  assert bool(known.refusal) == bool(known.refused)


@pytest.mark.parametrize('known', USABLE, ids=[known.file for known in USABLE])
def test_the_experiment_of_a_file_trains_as_long_as_its_title_says(known):
  epochs = {'1x': 12, '2x': 24, '20e': 20, '3x': 36}
  (schedule,) = re.findall(r'\b(1x|2x|3x|20e)\b', known.title)
  params = parsing.parse(known.experiment, known.config_paths).params
  assert params.trainer.train_steps == epochs[schedule] * 7330  # Batches of 16 images.


def test_files_of_mmdetection_have_hashes_of_which_none_occurs_twice():
  assert all(len(known.hash) == 8 for known in HASHED)
  assert len({known.hash for known in HASHED}) == len(HASHED) > 50
  assert not any(known.hash for known in FILES if known.source != 'mmdetection')
  assert len({known.file for known in FILES}) == len({known.title for known in FILES}) == len(FILES)


@pytest.mark.parametrize('known', HASHED, ids=[known.hash for known in HASHED])
def test_a_file_is_found_by_its_name_and_by_its_content(known):
  assert published_files.find_name(f'folder/{known.file}') == known
  assert published_files.find_hash(known.hash + '0' * 56) == known


@pytest.mark.parametrize(
  'name',
  [
    'htc-7332cf16.pth',
    '7332cf16.pth',
    'HTC_R50_7332CF16.pth',
    'download (2) 7332cf16 copy.pth',
    f'r50-7332cf16{"0" * 56}.pth',
    'htc_r50_20200317-7332cf16.pth.zip',
  ],
)
def test_a_renamed_file_is_found_while_it_has_its_hash(name):
  assert published_files.find_name(name).title == 'HTC R50-FPN 1x'


@pytest.mark.parametrize(
  'name', ['htc.pth', 'htc_20200317.pth', 'a7332cf16.pth', '7332cf1.pth', '7332cf16/htc.pth', '']
)
def test_another_name_says_nothing(name):
  assert published_files.find_name(name) is None


def test_the_published_resnext_32x8d_reads_bgr_and_nothing_else_does():
  assert {known.file for known in FILES if '32x8d' in known.file} == {
    known.file for known in FILES if published_files.reads_bgr('', known.hash)
  }
  assert published_files.reads_bgr('', '1516f1aa' + '0' * 56)
  assert not published_files.reads_bgr('', '')


KNOWN_RGB = next(known for known in FILES if known.hash and known.channels != 'bgr')


@pytest.mark.parametrize(
  'name, sha256, expected',
  [
    ('mask_rcnn_x101_32x8d_fpn_1x_coco_20220630_173841-0aaf329e_resaved.pth', 'f' * 64, True),
    ('folder/resnext101_32x8d-1516f1aa.pth', '', True),
    ('renamed.pth', '0aaf329e' + '0' * 56, True),
    ('renamed.pth', 'f' * 64, False),
    ('resnet50-0676ba61.pth', 'f' * 64, False),
    # The hash of the content counts more than the name.
    ('x101_32x8d-0aaf329e.pth', KNOWN_RGB.hash + '0' * 56, False),
  ],
)
def test_a_network_of_bgr_images_is_known_by_the_hash_in_the_name_too(name, sha256, expected):
  assert published_files.reads_bgr(name, sha256) == expected
