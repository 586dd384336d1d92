"""One file a group of scenarios; catalogue.py says which run where."""
