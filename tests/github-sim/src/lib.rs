//! A stateful GitHub on loopback.
