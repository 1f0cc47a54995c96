"""Readers and writers of real formats, and the catalogue of datasets."""
