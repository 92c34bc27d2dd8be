"""What a program needs that dials and listens through a visor."""
