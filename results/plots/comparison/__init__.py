"""Pictures of a comparison.  Importing this brings in matplotlib, so the command line imports it late."""
