"""Gates: what is expected of a build before it may be published, as data, and the operator that checks it."""
