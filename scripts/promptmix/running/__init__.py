"""How a job runs, never what it computes: devices, locks, progress, fingerprints."""
