"""What `interlock doctor` looks at on a Jenkins controller, in its jobs, and on the way of their callbacks."""
