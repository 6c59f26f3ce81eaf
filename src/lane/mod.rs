//! Lanes: the named executors that briefs address.
