"""A whole private network on one machine, for trying: the parts, and who watches them."""
