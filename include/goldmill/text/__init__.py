"""Pure kernels over text: Arrow arrays in, Arrow arrays out."""
