//! Stories of users, told against the simulated GitHub.

mod briefs;
mod changeset;
