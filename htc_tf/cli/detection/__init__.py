"""What the commands that detect have in common beside their flags."""
