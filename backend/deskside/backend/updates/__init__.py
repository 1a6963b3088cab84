"""Whether there is a newer Deskside: a look at a signed file each day. Nothing is ever installed by it."""
