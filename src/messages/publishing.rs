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
        happened: "The branch for this brief exists already and holds something else. With `codex-brief run`: the branch could not be made.",
        cause: "A person pushed to it.",
        todo: "Look at that branch; delete it if it is not needed, and post the brief again. Nothing was overwritten.",
    },
    Message {
        id: "pull-request-refused",
        happened: "GitHub refused the pull request or something before it, or failed for an hour.",
        cause: "The App lacks a permission, pull requests are restricted, or GitHub is down.",
        todo: "Mend what the comment names, then post the brief again.",
    },
];
