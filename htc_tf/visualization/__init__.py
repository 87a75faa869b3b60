"""Drawing of detections, and of images side by side."""
