//! Permissions on a repository, in GitHub's order.

use std::fmt;

use crate::config::MinimumPermission;

/// What a user may do on a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Nothing that needs to be given.
    None,
    /// Read.
    Read,
    /// Read, and sort issues.
    Triage,
    /// Push.
    Write,
    /// Push, and manage the repository.
    Maintain,
    /// Everything.
    Admin,
}

impl Permission {
    /// Reads GitHub's answer to the permission look-up.
    ///
    /// `role_name` tells more than `permission` but may be the name of an organisation's own role;
    /// then `permission`, GitHub's own summary of it, decides. Unknown words mean [`Self::None`].
    pub fn from_api(permission: &str, role_name: Option<&str>) -> Self {
        role_name.and_then(Self::from_word).or_else(|| Self::from_word(permission)).unwrap_or(Self::None)
    }

    fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "none" => Self::None,
            "read" => Self::Read,
            "triage" => Self::Triage,
            "write" => Self::Write,
            "maintain" => Self::Maintain,
            "admin" => Self::Admin,
            _ => return None,
        })
    }

    /// Returns GitHub's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Triage => "triage",
            Self::Write => "write",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<MinimumPermission> for Permission {
    fn from(minimum: MinimumPermission) -> Self {
        match minimum {
            MinimumPermission::Write => Self::Write,
            MinimumPermission::Maintain => Self::Maintain,
            MinimumPermission::Admin => Self::Admin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_custom_role_counts_as_what_github_sums_it_up_to() {
        assert_eq!(Permission::from_api("write", Some("release-crew")), Permission::Write);
        assert_eq!(Permission::from_api("write", Some("maintain")), Permission::Maintain);
        assert_eq!(Permission::from_api("read", Some("triage")), Permission::Triage);
        assert_eq!(Permission::from_api("owner-of-all", None), Permission::None);
        assert!(Permission::Triage < Permission::Write && Permission::Write < Permission::Admin);
    }
}
