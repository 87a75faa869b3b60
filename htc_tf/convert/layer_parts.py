"""Published names of the arrays of a layer, and the steps of their layout."""

from htc_tf.convert import transforms as t

WEIGHTS = {'weight': 'kernel', 'bias': 'bias'}
KERNEL = {'weight': 'kernel'}
NORM = {
  'weight': 'gamma',
  'bias': 'beta',
  'running_mean': 'moving_mean',
  'running_var': 'moving_variance',
}
GROUP_NORM = {'weight': 'gamma', 'bias': 'beta'}
CONV = {'kernel': (t.CONV,)}
