"""How a job runs, and never what it computes: devices, locks, progress, fingerprints."""
