"""What a prediction writes for each image, one file a kind."""
