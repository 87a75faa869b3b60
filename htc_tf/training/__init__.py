"""What a run needs besides its steps: its last good checkpoint, its seeds, its record."""
