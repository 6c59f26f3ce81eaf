//! Stories of users, told against the simulated GitHub.

mod architecture;
mod briefs;
mod changeset;
mod sandbox;
