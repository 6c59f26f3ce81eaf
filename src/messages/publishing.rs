//! A change that GitHub does not take.

use super::Message;

pub(super) const MESSAGES: &[Message] = &[
    Message {
        id: "push-rejected",
        happened: "GitHub refused the push of the branch.",
        cause: "A rule for branches, a push protection for secrets, or a repository that is archived.",
        todo: "Read GitHub's words in the comment; change the brief, or let an administrator allow the App's branches.",
    },
    Message {
        id: "branch-conflict",
        happened: "The branch for this brief exists already and holds something else, or has no open pull request of the App. With `codex-brief run`: the branch could not be made.",
        cause: "A person pushed to it, or closed the pull request of [`branch_name`](brief-reference.md#outputs).",
        todo: "Look at that branch; delete it if it is not needed and write `/work publish`, or post the brief with another `branch_name`. Nothing was overwritten.",
    },
    Message {
        id: "comment-refused",
        happened: "GitHub does not take a comment that the brief asks for; what else it asks for was made.",
        cause: "The thread of `link_issue` is not there, or is locked.",
        todo: "Mend that, then write `/work publish`; what was made is not made again.",
    },
    Message {
        id: "comment-file-unusable",
        happened: "There is no comment from a `body_file`: it is not there, empty, not text, no plain file, or lies behind a link.",
        cause: "A misspelt path, a step that wrote elsewhere.",
        todo: "Let a step write the text there, then post the brief again.",
    },
    Message {
        id: "labels-refused",
        happened: "The pull request is open, without its labels.",
        cause: "The App lacks a permission, or the label is not one.",
        todo: "Add them by hand.",
    },
    Message {
        id: "reviewers-refused",
        happened: "The pull request is open, and some people were not asked to review it.",
        cause: "They are no collaborators of the repository, or the name is misspelt.",
        todo: "Ask them by hand, or give them access.",
    },
    Message {
        id: "assignees-refused",
        happened: "The pull request is open, and not assigned to some people.",
        cause: "They have no write access, or the name is misspelt.",
        todo: "Assign it by hand.",
    },
    Message {
        id: "commit-unverified",
        happened: "GitHub made the commit and did not sign it, where the policy asks for [signed ones](configuration.md#signed-commits); nothing was published.",
        cause: "GitHub Enterprise Server without signing of commits by its API.",
        todo: "The operator switches that on, or sets `commit = \"git\"`; then write `/work publish`.",
    },
    Message {
        id: "commit-differs",
        happened: "GitHub made another tree of the changes than the server; nothing was published.",
        cause: "A path that GitHub reads in another way.",
        todo: "Write `/work publish`; if it stays so, ask the operator to set `commit = \"git\"` for the lane.",
    },
    Message {
        id: "pull-request-refused",
        happened: "GitHub refused the pull request or something before it, or failed for an hour.",
        cause: "The App lacks a permission, pull requests are restricted, or GitHub is down.",
        todo: "Mend what the comment names, then post the brief again.",
    },
];
