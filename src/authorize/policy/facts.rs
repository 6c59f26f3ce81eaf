//! What GitHub says about a text when a policy decides about it.

use crate::authorize::permission::Permission;
use crate::config::{Team, TextSource};

/// Who can see a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Those whom its owner let in.
    Private,
    /// Everybody of the enterprise.
    Internal,
    /// Everybody.
    Public,
}

impl Visibility {
    /// Reads GitHub's word; an unknown one counts as public.
    pub fn from_api(visibility: Option<&str>, private: bool) -> Self {
        match (visibility, private) {
            (Some("internal"), _) => Self::Internal,
            (Some("private") | None, true) => Self::Private,
            _ => Self::Public,
        }
    }

    /// Returns GitHub's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Internal => "internal",
            Self::Public => "public",
        }
    }
}

/// Somebody behind a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// A person, or whoever is not known as a bot.
    Person {
        /// Holds the name.
        login: String,
        /// Holds the id.
        id: u64,
        /// Tells what they may do on the repository.
        permission: Permission,
        /// Lists of the teams that were asked for those of which they are an active member.
        teams: Vec<Team>,
    },
    /// An App's account, as GitHub says.
    Bot {
        /// Holds the name.
        login: String,
        /// Holds the id.
        id: u64,
        /// Tells whether it is this App's own.
        own: bool,
    },
}

impl Account {
    /// Returns the account's name.
    pub fn login(&self) -> &str {
        match self {
            Self::Person { login, .. } | Self::Bot { login, .. } => login,
        }
    }
}

/// What is the case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Tells who sees the repository.
    pub visibility: Visibility,
    /// Tells where the text stands.
    pub source: TextSource,
    /// Tells whether its pull request comes from another repository, or from one that is gone.
    pub from_fork: bool,
    /// Holds who asked, and who wrote the text.
    pub accounts: Vec<Account>,
    /// Holds the bots that the policy names, each with the id that GitHub has for the name.
    pub bots: Vec<(String, u64)>,
}
