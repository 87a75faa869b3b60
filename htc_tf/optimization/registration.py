"""Registration of the optimizers with Model Garden; importing this module is enough."""

from official.modeling.optimization import optimizer_factory

from htc_tf.configs.optimization import PUBLISHED_ADAMW, PUBLISHED_SGD
from htc_tf.optimization.published_adamw import PublishedAdamW
from htc_tf.optimization.published_sgd import PublishedSGD

optimizer_factory.register_optimizer_cls(PUBLISHED_SGD, PublishedSGD)
optimizer_factory.register_optimizer_cls(PUBLISHED_ADAMW, PublishedAdamW)
