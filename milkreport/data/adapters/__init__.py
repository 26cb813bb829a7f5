"""From what lies on disk to cases: MILK10k, tables and folders of images."""
