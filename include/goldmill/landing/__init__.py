"""The landing area: which objects have arrived, and the records inside them."""
