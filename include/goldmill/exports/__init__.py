"""Gold sequences in the file formats that trainers read."""
