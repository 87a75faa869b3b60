"""Commands, one per file: flags and one call into the library."""
