"""Readers of annotation formats: each gives the content of a COCO instances file."""
