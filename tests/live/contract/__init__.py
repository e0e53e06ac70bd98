"""The contract of an API server: one suite, run on the sandbox and on a real control plane."""
