"""Tests of file names that must stay in their folder."""

import pytest

from htc_tf.data import image_paths
from htc_tf.errors import DataError


@pytest.mark.parametrize('name', [
    '../a.jpg', '/etc/passwd', 'b/../../a.jpg', '..', '.', '', '..\\a.jpg', 'C:\\a.jpg', 'a\0.jpg'
])
def test_names_that_leave_the_folder_are_refused(name):
  with pytest.raises(DataError, match='leaves the image folder'):
    image_paths.path_inside('/images', name)


@pytest.mark.parametrize('name,path', [('a.jpg', '/images/a.jpg'),
                                       ('b/c/a.jpg', '/images/b/c/a.jpg'),
                                       ('b/../a.jpg', '/images/a.jpg'),
                                       ('..a.jpg', '/images/..a.jpg')])
def test_names_inside_the_folder(name, path):
  assert image_paths.path_inside('/images', name) == path
