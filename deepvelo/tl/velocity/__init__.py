"""From moments to rates and velocities: ours, scVelo's and GraphVelo's."""
