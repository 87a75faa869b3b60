"""From annotations to records, and from records to training batches."""
