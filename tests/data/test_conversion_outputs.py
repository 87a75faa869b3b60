"""Tests of the files that a conversion finds in its folder."""

from htc_tf import files
from htc_tf.data import conversion_outputs
from htc_tf.data.conversion_options import ConversionOptions


def test_shards_that_are_not_kept_are_removed_with_the_temporary_ones_of_killed_runs(tmp_path):
  kept, old, other = (
    str(tmp_path / f'{name}-of-00002.tfrecord')
    for name in ('train-00000', 'train-00001', 'train-more-00000')
  )
  temporary = files.temporary_path(old)
  for path in (kept, old, other, temporary):
    files.write_bytes(path, b'')
  options = ConversionOptions(
    annotation_file='a.json',
    image_folder='images',
    output_folder=str(tmp_path),
    prefix='train',
  )
  conversion_outputs.remove_shards(options, {kept})
  assert {str(path) for path in tmp_path.iterdir()} == {kept, other}
