"""Drawing of detections and of panels of pictures."""
