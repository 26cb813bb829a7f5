"""Who trains what, and where: in this process, in processes, on Ray."""
