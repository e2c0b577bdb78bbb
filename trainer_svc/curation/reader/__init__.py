"""Reads uploads of any format, row by row, in bounded memory."""
