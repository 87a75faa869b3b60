"""Commands, one a file: flags and one call into the library."""
