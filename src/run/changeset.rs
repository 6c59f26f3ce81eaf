//! What a run changed against its base commit: paths, modes and content by name, never a commit.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::run::report::ChangeKind;
use crate::store::blobs::BlobId;

/// Names a commit; shown and stored as 40 lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommitId(git2::Oid);

impl CommitId {
    /// Returns the name as git2 knows it.
    pub fn oid(&self) -> git2::Oid {
        self.0
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<git2::Oid> for CommitId {
    fn from(oid: git2::Oid) -> Self {
        Self(oid)
    }
}

impl From<CommitId> for String {
    fn from(id: CommitId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for CommitId {
    type Error = NotACommitId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl FromStr for CommitId {
    type Err = NotACommitId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // git2 alone would take a shortened name and fill it with zeros.
        if text.len() != 40 {
            return Err(NotACommitId);
        }
        git2::Oid::from_str(text).map(Self).map_err(|_| NotACommitId)
    }
}

/// The text is not 40 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a commit id of 40 hex digits")]
pub struct NotACommitId;

/// What git knows of a file beside its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileMode {
    /// A file, `100644`.
    Regular,
    /// A file that its owner may execute, `100755`.
    Executable,
    /// A symbolic link, `120000`; its content is its target.
    Symlink,
}

impl FileMode {
    /// Returns git's number for the mode.
    pub fn git(self) -> i32 {
        match self {
            Self::Regular => 0o100_644,
            Self::Executable => 0o100_755,
            Self::Symlink => 0o120_000,
        }
    }
}

/// One changed path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Holds the path relative to the repository's root, `/` between its parts.
    pub path: String,
    /// Tells what happened to it.
    pub kind: ChangeKind,
    /// Holds the mode after the run; `None` for a deleted path.
    pub mode: Option<FileMode>,
    /// Names the content after the run; `None` for a deleted path.
    pub blob: Option<BlobId>,
    /// Holds the content's size in bytes; 0 for a deleted path.
    pub size: u64,
}

/// A path that the publisher does not take, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Holds the path for people: what is not printable in it is shown escaped.
    pub path: String,
    /// Tells why.
    pub reason: RefusalReason,
}

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalReason {
    /// A link whose target is an absolute path.
    AbsoluteSymlink,
    /// A link whose target lies outside the repository.
    EscapingSymlink,
    /// A link whose target lies in the repository's `.git`.
    SymlinkIntoGit,
    /// A link whose target leads through another link.
    SymlinkThroughSymlink,
    /// A link whose target is not clean text, or has `..` behind a name.
    SymlinkTarget,
    /// A link in a place where git reads its own settings, such as `.gitmodules`.
    SymlinkAsGitFile,
    /// A block or character device.
    Device,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A file with a second name somewhere.
    HardLink,
    /// A file with the set-user-id or set-group-id bit.
    SetId,
    /// A name that some file system takes for `.git`.
    GitName,
    /// A name that is not UTF-8.
    NameNotUtf8,
    /// A name with control, direction or invisible characters, or with a backslash.
    NameCharacters,
    /// A path that is longer or deeper than is taken.
    PathTooLong,
    /// A file or folder that cannot be read.
    Unreadable,
    /// A file or folder that lies on another file system.
    OtherFileSystem,
    /// A file that changed while it was collected.
    Unstable,
    /// Content in the folder of a submodule.
    InSubmodule,
    /// A file below `.github/workflows`.
    Workflow,
    /// A path that no brief may change.
    Protected,
    /// A file that alone holds more bytes than the lane takes of one.
    TooLarge,
    /// A file that is not text, on a lane that takes none.
    Binary,
    /// A link, on a lane that takes none.
    LinkNotTaken,
}

/// What kind of rule refuses a path; each kind is told with a code of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// Nothing of the sort is ever taken into a commit.
    Never,
    /// The path is protected.
    Protected,
    /// The lane's settings take none.
    ByLane,
}

impl RefusalReason {
    /// Returns the kind of the rule that refuses.
    pub fn kind(self) -> RefusalKind {
        match self {
            Self::Workflow | Self::Protected => RefusalKind::Protected,
            Self::TooLarge | Self::Binary | Self::LinkNotTaken => RefusalKind::ByLane,
            _ => RefusalKind::Never,
        }
    }

    /// Returns the reason for people: the words that follow the path.
    pub fn text(self) -> &'static str {
        match self {
            Self::AbsoluteSymlink => "is a symbolic link to an absolute path",
            Self::EscapingSymlink => "is a symbolic link that leaves the repository",
            Self::SymlinkIntoGit => "is a symbolic link into .git",
            Self::SymlinkThroughSymlink => "is a symbolic link that leads through another one",
            Self::SymlinkTarget => {
                "is a symbolic link whose target is not plain (no control characters, `..` only at its start)"
            }
            Self::SymlinkAsGitFile => "is a symbolic link where git reads its own settings",
            Self::Device => "is a device",
            Self::Fifo => "is a named pipe",
            Self::Socket => "is a socket",
            Self::HardLink => "is a hard link: the file has a second name",
            Self::SetId => "has the set-user-id or set-group-id bit",
            Self::GitName => "has a name that some file system takes for .git",
            Self::NameNotUtf8 => "has a name that is not UTF-8",
            Self::NameCharacters => "has control or invisible characters, or a backslash, in its name",
            Self::PathTooLong => "has a path that is too long or too deep",
            Self::Unreadable => "cannot be read: its permissions forbid it",
            Self::OtherFileSystem => "lies on another file system",
            Self::Unstable => "changed while it was collected",
            Self::InSubmodule => "lies in a submodule, which is another repository",
            Self::Workflow => "is a workflow, which the App has no permission to change",
            Self::Protected => "is protected",
            Self::TooLarge => "is larger than the lane takes of one file (`changed_file_bytes`)",
            Self::Binary => "is not text, and the lane takes text only (`binaries`)",
            Self::LinkNotTaken => "is a symbolic link, and the lane takes none (`links`)",
        }
    }
}

/// The bound that a run went beyond; what was collected up to there is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "bound", content = "limit", rename_all = "snake_case")]
pub enum Exceeded {
    /// More paths changed or were refused than this number.
    Files(usize),
    /// The changed files hold more bytes than this number.
    Bytes(u64),
    /// The checkout holds more entries than this number.
    Entries(u64),
}

/// Everything that a run changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changeset {
    /// Names the commit that the checkout was made from.
    pub base_commit: CommitId,
    /// Holds the changed paths, sorted by their bytes.
    pub entries: Vec<Change>,
    /// Counts what matched the base commit's ignore rules and was neither tracked nor declared; a
    /// folder of such counts as one.
    pub ignored: u64,
    /// Holds the refused paths, sorted; a path can stand here and in `entries`.
    pub refused: Vec<Refusal>,
    /// Tells which bound ended the collection early.
    pub exceeded: Option<Exceeded>,
}

impl Changeset {
    /// Returns the name of the changeset: the SHA-256 of a fixed encoding of all its fields, as 64
    /// lower-case hex digits.
    pub fn digest(&self) -> String {
        let mut hasher = Fields(Sha256::new());
        hasher.text("codex-brief changeset 1");
        hasher.text(&self.base_commit.to_string());
        hasher.number(self.entries.len() as u64);
        for change in &self.entries {
            hasher.text(&change.path);
            hasher.text(match change.kind {
                ChangeKind::Added => "added",
                ChangeKind::Modified => "modified",
                ChangeKind::Deleted => "deleted",
            });
            hasher.number(change.mode.map_or(0, |mode| u64::from(mode.git().unsigned_abs())));
            hasher.text(&change.blob.map_or_else(String::new, String::from));
            hasher.number(change.size);
        }
        hasher.number(self.ignored);
        hasher.number(self.refused.len() as u64);
        for refusal in &self.refused {
            hasher.text(&refusal.path);
            hasher.text(refusal.reason.text());
        }
        let (bound, limit) = match self.exceeded {
            None => (0, 0),
            Some(Exceeded::Files(limit)) => (1, limit as u64),
            Some(Exceeded::Bytes(limit)) => (2, limit),
            Some(Exceeded::Entries(limit)) => (3, limit),
        };
        hasher.number(bound);
        hasher.number(limit);
        hex::encode(hasher.0.finalize())
    }
}

/// Hashes fields with their lengths, so that no two sequences of fields look the same.
struct Fields(Sha256);

impl Fields {
    fn number(&mut self, number: u64) {
        self.0.update(number.to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.update(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changeset() -> Changeset {
        Changeset {
            base_commit: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
            entries: vec![Change {
                path: "a".into(),
                kind: ChangeKind::Added,
                mode: Some(FileMode::Regular),
                blob: Some(BlobId::of(b"x")),
                size: 1,
            }],
            ignored: 2,
            refused: vec![Refusal { path: "b".into(), reason: RefusalReason::Fifo }],
            exceeded: Some(Exceeded::Files(3)),
        }
    }

    #[test]
    fn the_json_form_keeps_everything() {
        let json = serde_json::to_string(&changeset()).unwrap();
        assert_eq!(serde_json::from_str::<Changeset>(&json).unwrap(), changeset());
    }

    #[test]
    fn each_field_counts_in_the_digest() {
        let original = changeset().digest();
        let changes: [fn(&mut Changeset); 8] = [
            |c| c.entries[0].path = "b".into(),
            |c| c.entries[0].kind = ChangeKind::Modified,
            |c| c.entries[0].mode = Some(FileMode::Executable),
            |c| c.entries[0].blob = Some(BlobId::of(b"y")),
            |c| c.ignored = 3,
            |c| c.refused[0].reason = RefusalReason::Socket,
            |c| c.exceeded = None,
            |c| c.base_commit = "1123456789abcdef0123456789abcdef01234567".parse().unwrap(),
        ];
        for change in changes {
            let mut other = changeset();
            change(&mut other);
            assert_ne!(other.digest(), original);
        }
        assert_eq!(changeset().digest(), original);
    }

    #[test]
    fn a_shortened_commit_id_is_not_taken() {
        assert_eq!("0123456".parse::<CommitId>(), Err(NotACommitId));
        assert_eq!("z".repeat(40).parse::<CommitId>(), Err(NotACommitId));
    }
}
