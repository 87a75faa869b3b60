"""Tests of the look-up of the files in experiments/."""

import pathlib

import pytest

from htc_tf.configs import experiment_files
from htc_tf.errors import ConfigError

ROOT = pathlib.Path(__file__).parents[2]


def test_a_checkout_has_the_files_beside_the_package():
  path = experiment_files.path_of('htc_resnet101fpn_20e_coco')
  assert pathlib.Path(path) == ROOT / 'experiments' / 'htc_resnet101fpn_20e_coco.yaml'


def test_an_installed_package_has_them_inside(tmp_path, monkeypatch):
  packed = tmp_path / 'htc_tf' / 'experiments'
  packed.mkdir(parents=True)
  (packed / 'some.yaml').touch()
  monkeypatch.setattr(experiment_files, '_FOLDERS', (packed, tmp_path / 'experiments'))
  assert experiment_files.path_of('some') == str(packed / 'some.yaml')


def test_an_unknown_file_is_an_error():
  with pytest.raises(ConfigError, match=r'no experiment file htc_resnet102\.yaml') as error:
    experiment_files.path_of('htc_resnet102')
  assert 'experiments' in str(error.value)
