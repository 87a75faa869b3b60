"""From predictions to COCO results and average precision."""
