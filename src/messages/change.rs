//! A run whose change is not what was declared.

use super::Message;

pub(super) const MESSAGES: &[Message] = &[
    Message {
        id: "no-changes",
        happened: "Nothing in the repository changed.",
        cause: "The steps wrote outside `workdir`, or what they wrote was there already.",
        todo: "Check where the steps write. If the content is there already, nothing needs to be done.",
    },
    Message {
        id: "too-many-changes",
        happened: "The run changed more files or bytes than the lane allows, or the checkout holds more entries than are looked at.",
        cause: "A build folder or dependencies inside the repository.",
        todo: "Write less, have `.gitignore` name what is built, or ask the operator to raise `limits` of the lane.",
    },
    Message {
        id: "protected-paths",
        happened: "The brief declares, or the run changed, a path that no brief may change; the comment says which. In the first case nothing was run.",
        cause: "A workflow, `CODEOWNERS`, `.gitattributes`, `.gitmodules`, an action, or what the operator protects.",
        todo: "Leave it to a person, or ask the operator to look at the lane's [`protected_paths` and `allow_protected`](configuration.md#lane).",
    },
    Message {
        id: "refused-files",
        happened: "The run left something that is never taken into a commit; the comment says what and why.",
        cause: "A link that leaves the repository, a device or socket, a second hard link, a set-id file, something named like `.git`.",
        todo: "Let the steps write plain files inside the repository, or remove the rest.",
    },
    Message {
        id: "not-taken-by-lane",
        happened: "The run left files of a kind that this lane does not take: too large, not text, or a link; the comment names file and setting.",
        cause: "A build result or an archive in the repository; `binaries = \"refuse\"` or `links = \"refuse\"`.",
        todo: "Let the steps leave it out, choose another lane, or ask the operator to change `changed_file_bytes`, `binaries` or `links`.",
    },
    Message {
        id: "undeclared-changes",
        happened: "The run changed files that the brief does not declare.",
        cause: "A tool left caches or results behind; a file is missing under `files`.",
        todo: "Declare them, keep the steps from writing them, or have `.gitignore` name them.",
    },
    Message {
        id: "declared-unchanged",
        happened: "A file that the brief declares did not change.",
        cause: "A misspelt path, a step that wrote elsewhere, or content that was there already.",
        todo: "Compare the paths under `files` with the list of changes in the comment.",
    },
];
