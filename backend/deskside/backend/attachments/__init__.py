"""Files that the user puts to their questions, kept once by content and read in a child process."""
