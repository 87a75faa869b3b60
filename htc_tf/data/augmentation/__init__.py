"""Random augmentations of training images, one module each.

A new augmentation is a new module in this package, with a class decorated by
`@registry.register('name')`, and a field of that name in `configs.augmentation.Augmentation`.
"""
