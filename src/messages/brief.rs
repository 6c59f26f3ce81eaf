//! A brief that does not run.

use super::Message;

pub(super) const MESSAGES: &[Message] = &[
    Message {
        id: "other-repository",
        happened: "The brief names a repository other than the one its thread belongs to.",
        cause: "It was copied, or `repo` is misspelt.",
        todo: "Write this repository, or post the brief in a thread of the other.",
    },
    Message {
        id: "lane-unknown",
        happened: "No lane has the name that stands in `executor`.",
        cause: "A misspelt name, or a lane of another server.",
        todo: "Write one of the lanes that the comment lists. With `codex-brief run --config` and `rehearse --config`: choose one of the file's lanes by `--lane`.",
    },
    Message {
        id: "lane-disabled",
        happened: "The lane exists and takes no work.",
        cause: "Its operator switched it off.",
        todo: "Choose one of the lanes that the comment lists, or ask the operator.",
    },
    Message {
        id: "lane-not-for-repository",
        happened: "The lane does not serve this repository.",
        cause: "Its configuration lists others.",
        todo: "Choose one of the lanes that the comment lists, or ask the operator to add the repository.",
    },
    Message {
        id: "variable-not-allowed",
        happened: "A step sets a variable by `env` that its lane does not let through.",
        cause: "The lane's `environment` does not name it.",
        todo: "Set it within the script, or ask the operator.",
    },
    Message {
        id: "kubectl-missing",
        happened: "A brief has a `kubectl` step, and its lane has no cluster.",
        cause: "Another lane was meant.",
        todo: "Choose a lane with a cluster, or ask the operator for [`kubectl`](configuration.md#kubectl-of-a-lane).",
    },
    Message {
        id: "kubectl-verb",
        happened: "A `kubectl` step uses a verb that its lane does not allow.",
        cause: "The lane's `kubectl.verbs` does not name it.",
        todo: "Use those that the comment lists, or ask the operator.",
    },
    Message {
        id: "user-not-named",
        happened: "The policy names who may run briefs, and the account is not among them. For the whole thread it is told once.",
        cause: "A policy with `users` or `teams`; a membership that GitHub does not confirm; the App may not read the organization's members, which the log then says.",
        todo: "Ask somebody who is named, or whoever keeps the [policy](policy.md).",
    },
    Message {
        id: "bot-not-named",
        happened: "A bot's text holds a brief that the policy of its lane does not let it run.",
        cause: "It is named for another lane.",
        todo: "The operator names it by `bots` in a `[[policy]]`.",
    },
    Message {
        id: "source-not-allowed",
        happened: "A brief may not stand where it does. Told once for a thread, where no lane takes one from there.",
        cause: "A policy with `sources`.",
        todo: "Post it where the comment says.",
    },
    Message {
        id: "fork-not-allowed",
        happened: "The brief stands at a pull request from a fork, or from a repository that is gone.",
        cause: "No policy says `forks = true`.",
        todo: "Post it in an issue, or ask the operator.",
    },
    Message {
        id: "repository-public",
        happened: "The repository is public, and nothing runs in public ones that the operator does not name. Told once for a thread.",
        cause: "It was made public, or never named.",
        todo: "Make it private, or ask the operator for `public_repositories`.",
    },
    Message {
        id: "policy-file-invalid",
        happened: "`.github/codex-brief.toml` on the default branch cannot be used, so nothing runs in the repository. Told once for a thread.",
        cause: "A mistake of syntax or a key that nobody knows; the comment tells the line.",
        todo: "Mend it there, try it by [`codex-brief policy explain --file`](policy.md#the-repositorys-file), and post the brief again.",
    },
    Message {
        id: "lane-kept-out",
        happened: "The repository's own policy names the lanes that may run briefs here, and not this one.",
        cause: "`lanes` of `.github/codex-brief.toml`.",
        todo: "Choose one of the lanes that the comment lists.",
    },
    Message {
        id: "gate-shut",
        happened: "The policy asks for a label that the thread does not carry, or carries by somebody who may not run briefs; or for `/work start`. A brief that waits for it is not refused; one whose label was taken away before its run began ends with it.",
        cause: "A policy with [`gate`](policy.md#the-gate).",
        todo: "Let somebody who may run briefs add the label, then write `/work start`, or `/work retry` where it has ended.",
    },
    Message {
        id: "budget-spent",
        happened: "The user, or the repository, has run as many briefs within 24 hours as the policy allows.",
        cause: "A policy with `budget`.",
        todo: "Post it again when the comment says that there is room.",
    },
];
