"""Programs that damage files at random, and look at the memory it takes."""
