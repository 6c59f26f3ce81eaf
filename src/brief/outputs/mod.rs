//! What a brief asks for: a pull request, comments and reports.

pub(crate) mod read;
pub(crate) mod schema;
mod values;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Brief;

/// How many outputs a brief may have.
pub const MAX_OUTPUTS: usize = 10;
/// How many labels a pull request may be given; GitHub takes 100 on a thread.
pub const MAX_LABELS: usize = 20;
/// How many people may be asked to review (GitHub's limit).
pub const MAX_REVIEWERS: usize = 15;
/// How many people a pull request may be assigned to (GitHub's limit).
pub const MAX_ASSIGNEES: usize = 10;

/// One entry of `outputs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Output {
    /// Asks for one pull request with one commit.
    Pr(PullRequestOutput),
    /// Asks for a comment.
    Comment(CommentOutput),
    /// Asks for a Markdown file below `reports/`, in the brief's pull request or in one of its own.
    Report(ReportOutput),
}

/// A `pr` output.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequestOutput {
    /// Holds the pull request's title.
    pub title: String,
    /// Holds the commit's message without trailers.
    pub commit_message: String,
    /// Holds the paths, relative to the repository's root, that the run must change, and no others.
    pub files: Vec<String>,
    /// Names an issue of the same repository that the pull request refers to.
    pub link_issue: Option<u64>,
    /// Holds Markdown for the top of the pull request's description.
    #[serde(default)]
    pub body: Option<String>,
    /// Tells whether the pull request is opened as a draft.
    #[serde(default)]
    pub draft: bool,
    /// Names the labels that it gets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Names the people, by login, who are asked to review it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reviewers: Vec<String>,
    /// Names the people, by login, to whom it is assigned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assignees: Vec<String>,
    /// Names the branch of the pull request, below `codex-brief/`; without it, the brief has one of its own.
    #[serde(default)]
    pub branch_name: Option<String>,
}

/// A `comment` output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommentOutput {
    /// Holds what the comment says.
    #[serde(flatten)]
    pub text: CommentText,
    /// Names the issue or pull request of the same repository that it goes to; without it, the brief's own thread.
    pub link_issue: Option<u64>,
}

/// Where the text of a comment comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommentText {
    /// Is the text itself, Markdown.
    #[serde(rename = "body")]
    Body(String),
    /// Is the path of a file, relative to the repository's root, as the steps leave it.
    #[serde(rename = "body_file")]
    File(String),
}

/// A `report` output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportOutput {
    /// Holds the file's path, below `reports/`, that the run must change.
    pub path: String,
    /// Names an issue of the same repository that the report's own pull request refers to.
    pub link_issue: Option<u64>,
}

impl Brief {
    /// Returns the one pull request that the outputs come to, if they come to one: that of the `pr` output
    /// with the reports in it, or one for the reports alone.
    pub fn pull_request(&self) -> Option<Cow<'_, PullRequestOutput>> {
        let asked = self.outputs.iter().find_map(|output| match output {
            Output::Pr(pr) => Some(pr),
            _ => None,
        });
        let reports: Vec<&ReportOutput> = self.reports().collect();
        match (asked, reports.as_slice()) {
            (None, []) => None,
            (Some(asked), []) => Some(Cow::Borrowed(asked)),
            (Some(asked), reports) => {
                let mut whole = asked.clone();
                whole.files.extend(reports.iter().map(|report| report.path.clone()));
                Some(Cow::Owned(whole))
            }
            (None, reports) => Some(Cow::Owned(PullRequestOutput::of_reports(reports))),
        }
    }

    /// Returns the reports that the brief asks for.
    pub fn reports(&self) -> impl Iterator<Item = &ReportOutput> {
        self.outputs.iter().filter_map(|output| match output {
            Output::Report(report) => Some(report),
            _ => None,
        })
    }

    /// Returns the comments that the brief asks for.
    pub fn comments(&self) -> impl Iterator<Item = &CommentOutput> {
        self.outputs.iter().filter_map(|output| match output {
            Output::Comment(comment) => Some(comment),
            _ => None,
        })
    }

    /// Returns the paths that the run must change, and no others.
    pub fn declared(&self) -> Vec<String> {
        self.pull_request().map(|output| output.into_owned().files).unwrap_or_default()
    }
}

impl PullRequestOutput {
    /// Makes the pull request of reports for which the brief asks for no other.
    fn of_reports(reports: &[&ReportOutput]) -> Self {
        let files: Vec<String> = reports.iter().map(|report| report.path.clone()).collect();
        let what = match files.as_slice() {
            [path] if path.chars().count() <= 150 => path.clone(),
            [_] => "a report".to_owned(),
            several => format!("{} reports", several.len()),
        };
        Self {
            title: format!("Reports: add {what}"),
            commit_message: format!("reports: add {what}"),
            files,
            link_issue: reports.iter().find_map(|report| report.link_issue),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests;
