"""Evaluation reports and sample sheets: HTML, CSV, pictures."""
