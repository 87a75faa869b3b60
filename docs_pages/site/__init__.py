"""What `mkdocs.yml` needs to build the site from the pages of the repository: `make site`."""
