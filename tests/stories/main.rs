//! Stories of users, told against the simulated GitHub.

mod sandbox;
