"""Let it go: the plan, the kernel, the build, the manifest and its check."""
