//! Making the GitHub App: the manifest that GitHub is handed, the local page that hands it over, and what is kept
//! of it, so that an interrupted set-up goes on from where it was.

pub mod folder;
pub mod manifest;
pub mod page;
pub mod place;
pub mod progress;
pub mod written;
