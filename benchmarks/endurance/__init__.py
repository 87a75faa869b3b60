"""A long training on several devices, with processes that are killed on the way."""
