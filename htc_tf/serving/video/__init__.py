"""Prediction on videos: reading, tracking, writing."""
