"""The web page that watches and operates visors."""
