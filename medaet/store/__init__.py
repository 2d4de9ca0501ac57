"""Tables and files that outlive a process."""
