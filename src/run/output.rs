//! What became of each output that a brief asks for, and the texts of comments that steps wrote.

use std::io::Read;
use std::path::Path;

use rustix::fs::FileType;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::brief::{Brief, CommentText, Output};
use crate::run::collect::{CollectError, failed};
use crate::run::handles;
use crate::run::report::Problem;

/// Bounds what is read of a file for a comment, in bytes; a comment holds a quarter of it at most.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// Bounds what is kept of it, in characters: GitHub's limit for a comment.
pub const MAX_TEXT_CHARS: usize = 65_536;

/// What an output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputKind {
    /// A pull request.
    Pr,
    /// A comment.
    Comment,
    /// A file in the pull request.
    Report,
}

/// One output, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputReport {
    /// Tells what it is.
    pub kind: OutputKind,
    /// Holds the report's path, or the path of the file with a comment's text.
    pub path: Option<String>,
    /// Names the thread that a comment goes to; `None` for the brief's own.
    pub thread: Option<u64>,
    /// Holds a comment's text, as it was written but for what is masked.
    pub text: Option<String>,
    /// Tells that the text was longer.
    pub text_cut: bool,
    /// Tells whether it was made.
    pub made: bool,
    /// Holds its address on GitHub.
    pub url: Option<String>,
    /// Tells what of it, or all of it, was not made, and why.
    pub problems: Vec<Problem>,
}

impl OutputReport {
    fn new(kind: OutputKind) -> Self {
        let (path, thread, text, url) = (None, None, None, None);
        Self { kind, path, thread, text, text_cut: false, made: false, url, problems: Vec::new() }
    }

    /// Lists the outputs of a brief, none of them made. Texts that stand in files are not there yet.
    pub fn planned(brief: &Brief) -> Vec<Self> {
        let planned = brief.outputs.iter().map(|output| match output {
            Output::Pr(_) => Self::new(OutputKind::Pr),
            Output::Report(report) => {
                Self { path: Some(report.path.clone()), ..Self::new(OutputKind::Report) }
            }
            Output::Comment(comment) => {
                let (text, path) = match &comment.text {
                    CommentText::Body(text) => (Some(text.clone()), None),
                    CommentText::File(path) => (None, Some(path.clone())),
                };
                Self { text, path, thread: comment.link_issue, ..Self::new(OutputKind::Comment) }
            }
        });
        planned.collect()
    }

    /// Tells whether it goes into the pull request, or is it.
    pub fn is_in_pull_request(&self) -> bool {
        self.kind != OutputKind::Comment
    }
}

/// Lists the files of a brief that are read for comments.
pub fn comment_files(brief: &Brief) -> Vec<String> {
    let files = brief.comments().filter_map(|comment| match &comment.text {
        CommentText::File(path) => Some(path.clone()),
        CommentText::Body(_) => None,
    });
    files.collect()
}

/// Reads a file of a touched checkout, at most [`MAX_FILE_BYTES`] and one more byte of it; no link is followed. The
/// inner error is why there is none, as the words that follow its path.
///
/// # Errors
/// Fails when the machine does, rather than what the steps left.
pub fn read(checkout: &Path, path: &str) -> Result<Result<Vec<u8>, &'static str>, CollectError> {
    let broken = |error: Errno| -> Result<Result<Vec<u8>, &'static str>, CollectError> {
        match (error, handles::reason(error)) {
            (Errno::NOENT, _) => Ok(Err("is not there")),
            (Errno::LOOP, _) => Ok(Err("is a symbolic link, or lies behind one")),
            (Errno::NOTDIR, _) => Ok(Err("lies below a file")),
            (_, Some(reason)) => Ok(Err(reason.text())),
            (_, None) => Err(failed(path.as_bytes(), error)),
        }
    };
    let mut folder = match handles::open_root(checkout) {
        Ok(folder) => folder,
        Err(error) => return Err(failed(b".", error)),
    };
    let (folders, name) = path.rsplit_once('/').map_or((None, path), |(folders, name)| (Some(folders), name));
    for part in folders.into_iter().flat_map(|folders| folders.split('/')) {
        // A link in a folder's place is told as a link.
        match handles::stat(&folder, part.as_bytes()).map(|stat| handles::kind(&stat)) {
            Ok(FileType::Symlink) => return broken(Errno::LOOP),
            Ok(_) => {}
            Err(error) => return broken(error),
        }
        match handles::open_dir(&folder, part.as_bytes()) {
            Ok(next) => folder = next,
            Err(error) => return broken(error),
        }
    }
    let stat = match handles::stat(&folder, name.as_bytes()) {
        Ok(stat) => stat,
        Err(error) => return broken(error),
    };
    match handles::kind(&stat) {
        FileType::RegularFile => {}
        FileType::Symlink => return broken(Errno::LOOP),
        FileType::Directory => return Ok(Err("is a folder")),
        _ => return Ok(Err("is no plain file")),
    }
    let file = match handles::open_file(&folder, name.as_bytes()) {
        Ok(file) => file,
        Err(error) => return broken(error),
    };
    let opened = match rustix::fs::fstat(&file) {
        Ok(opened) => opened,
        Err(error) => return broken(error),
    };
    if handles::kind(&opened) != FileType::RegularFile {
        return Ok(Err("changed while it was read"));
    }
    if opened.st_nlink > 1 {
        return Ok(Err("is a hard link: the file has a second name"));
    }
    let mut bytes = Vec::new();
    match file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes) {
        Ok(_) => Ok(Ok(bytes)),
        Err(error) => Err(CollectError::Checkout { path: path.to_owned(), error }),
    }
}

/// Returns what is kept of a text, and whether it was cut.
pub fn kept(text: &str, bytes_read: u64) -> (String, bool) {
    match text.char_indices().nth(MAX_TEXT_CHARS) {
        Some((at, _)) => (text[..at].to_owned(), true),
        None => (text.to_owned(), bytes_read > MAX_FILE_BYTES),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_plain_files_of_the_checkout_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let (root, outside) = (folder.path().join("checkout"), folder.path().join("secret"));
        std::fs::create_dir_all(root.join("out")).unwrap();
        std::fs::write(&outside, "secret").unwrap();
        std::fs::write(root.join("out/text.md"), "text").unwrap();
        symlink(&outside, root.join("link.md")).unwrap();
        symlink(folder.path(), root.join("up")).unwrap();
        symlink("out/text.md", root.join("inside.md")).unwrap();
        std::fs::hard_link(&outside, root.join("hard.md")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, root.join("pipe"), FileType::Fifo, 0o600.into(), 0).unwrap();
        assert_eq!(read(&root, "out/text.md").unwrap().unwrap(), b"text");
        let link = "is a symbolic link, or lies behind one";
        for (path, why) in [
            ("link.md", link),
            ("inside.md", link),
            ("up/secret", link),
            ("hard.md", "is a hard link: the file has a second name"),
            ("pipe", "is no plain file"),
            ("out", "is a folder"),
            ("none.md", "is not there"),
            ("none/none.md", "is not there"),
            ("out/text.md/more", "lies below a file"),
        ] {
            assert_eq!(read(&root, path).unwrap(), Err(why), "{path}");
        }
    }

    #[test]
    fn a_file_that_never_ends_is_read_in_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(folder.path().join("a")).unwrap();
        file.set_len(1 << 40).unwrap();
        let bytes = read(folder.path(), "a").unwrap().unwrap();
        assert_eq!(bytes.len() as u64, MAX_FILE_BYTES + 1);
        let (text, cut) = kept(&"é".repeat(MAX_TEXT_CHARS + 1), 0);
        assert_eq!((text.chars().count(), cut), (MAX_TEXT_CHARS, true));
        assert_eq!(kept("a", MAX_FILE_BYTES + 1), ("a".to_owned(), true));
        assert_eq!(kept("a", 1), ("a".to_owned(), false));
    }
}
