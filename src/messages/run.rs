//! A run that fails.

use super::Message;

pub(super) const MESSAGES: &[Message] = &[
    Message {
        id: "brief-of-another",
        happened: "A text holds a brief that somebody else wrote into it, and that was refused then; an edit by another person does not run it.",
        cause: "Somebody who may not run briefs wrote it into the text, or wrote it wrongly.",
        todo: "Whoever wants it to run posts it in a comment of their own.",
    },
    Message {
        id: "branch-not-found",
        happened: "The branch that the brief names does not exist. On a lane that needs approval this is told at once, since there is no commit to approve.",
        cause: "A misspelt name, or a branch that was merged and removed.",
        todo: "Write an existing branch as `branch`, or push it.",
    },
    Message {
        id: "step-failed",
        happened: "A step ended with an exit code other than 0, or by a signal. Later steps ran only where their `if` said so.",
        cause: "The script found an error; a tool or a file is missing in the sandbox; the network is off on this lane, or the host is not on its list (the comment tells what was refused); signal 25: a file grew over the lane's `file_bytes`; signal 31: a system call that the sandbox forbids, as by programs of 32 bits.",
        todo: "Read the last lines of its log in the comment; mend the script or the repository, and edit the brief.",
    },
    Message {
        id: "policy-not-held",
        happened: "The lane cannot hold the run to what the policy allows, so nothing was run.",
        cause: "A policy narrows the network of a lane that has no sandbox, or whose variables name a proxy.",
        todo: "Choose another lane, or ask whoever keeps the policy.",
    },
    Message {
        id: "step-timeout",
        happened: "A step ran longer than the lane, or its own `timeout`, allows and was ended, with all its processes.",
        cause: "An endless loop, a download, too much work for one step.",
        todo: "Make it faster, split it, give it a longer `timeout`, or ask the operator to raise `wall_seconds` of the lane.",
    },
    Message {
        id: "step-idle",
        happened: "A step printed nothing for as long as the lane allows and was ended.",
        cause: "It waits: for a lock, for a network that is off.",
        todo: "Let it print progress, keep it from waiting, or ask the operator to raise `idle_seconds` of the lane.",
    },
    Message {
        id: "step-memory",
        happened: "A step's processes used more memory than the lane allows, and were ended. The run is not made again by itself.",
        cause: "A large build, many jobs at a time, a program that leaks.",
        todo: "Use less (fewer jobs at a time), or ask the operator to raise `memory_bytes` of the lane.",
    },
    Message {
        id: "step-disk",
        happened: "The run's folders (checkout, home, `/tmp`) held more than the lane allows, and the step was ended.",
        cause: "Downloads, build folders, a log without end.",
        todo: "Remove what is needed no more, write less, or ask the operator to raise `disk_bytes` of the lane.",
    },
    Message {
        id: "run-stopped",
        happened: "Somebody stopped the run; the comment names them and the step that it was in. After its end it was looked for processes of it, and none is left.",
        cause: "`/stop` in the thread, `codex-brief stop` on the server, a comment that was deleted or a thread that was closed where `queue.running_on_withdrawal = \"stop\"`; Ctrl-C in `codex-brief run`. (A server that ends puts its runs back into the queue instead.)",
        todo: "Nothing. What it had changed is kept: `codex-brief patch` prints it. Post the brief again to run it anew.",
    },
    Message {
        id: "stop-unproven",
        happened: "Somebody stopped the run, and processes of it were still there 10 s after they were killed.",
        cause: "A process waits for a disk or a device that does not answer.",
        todo: "The operator ends what is left, by the log (`processes of a run cannot be ended`). The lane is tried before it takes the next brief.",
    },
    Message {
        id: "honeytoken-seen",
        happened: "A made-up credential that the server had put into the run's home was seen in what the run printed or changed. The run was ended; it is not tried again, and nothing of it can be published.",
        cause: "A program that looks for credentials: in a step, or in something that it downloads or installs. Seldom a step that copies or prints its whole home.",
        todo: "Do not run it again before you know which command read `~/.config/gh/hosts.yml`, `~/.git-credentials` or `~/.aws/credentials`. Look at the steps, at their dependencies, and at who wrote the brief; change what the lane does give to steps, such as its `secrets`. If a step copies its home on purpose, let it leave these files out.",
    },
    Message {
        id: "workdir-unusable",
        happened: "The checkout cannot be mounted where `workdir` says.",
        cause: "The path would hide a part of the sandbox or a folder that the lane shows, or an earlier step put a link in its way.",
        todo: "Write another `workdir`, such as `~/work/` and the repository's name.",
    },
    Message {
        id: "lane-unavailable",
        happened: "The lane could not run the steps: its sandbox could not be set up, or processes could not be ended. The comment holds an id.",
        cause: "Something changed on the machine since the lane was tried; a full disk.",
        todo: "Give the id to the operator, who finds the cause under it in the log; then post the brief again.",
    },
    Message {
        id: "permission-missing",
        happened: "The person who asked for the run, or wrote its text, may not run briefs any more; the work, if there is any, was not published.",
        cause: "Their permission on the repository was taken away while the brief waited or ran.",
        todo: "Somebody with the permission posts the brief in a comment of their own.",
    },
    Message {
        id: "approval-missing",
        happened: "The work is done and kept, and was not published: its approval does not count for it any more.",
        cause: "Who approved it lost the permission while it ran, or the lane needs approval since.",
        todo: "Post the brief again, and let somebody approve it who may.",
    },
    Message {
        id: "brief-outdated",
        happened: "The brief was accepted by an earlier version of the server, and today's rules refuse it.",
        cause: "The server was replaced by a newer version while the brief waited.",
        todo: "Post it again; the answer tells what to write instead.",
    },
    Message {
        id: "github-unreachable",
        happened: "GitHub could not be reached for a day, so the run could not begin.",
        cause: "GitHub, the network of the server, or the App's installation.",
        todo: "Look at GitHub's status and the log, then post the brief again.",
    },
    Message {
        id: "brief-withdrawn",
        happened: "The brief waited while the server was away, and meanwhile its text was deleted or edited, or its thread closed.",
        cause: "Somebody withdrew it.",
        todo: "Post it again if it shall run all the same.",
    },
    Message {
        id: "quarantined",
        happened: "The lane or the server was lost twice while this brief ran; its task is blocked and not tried a third time.",
        cause: "The brief itself takes the machine down, the lane's sandbox fails, or two restarts in a row.",
        todo: "The operator finds the cause in the log. If the brief is not the cause, post it again.",
    },
    Message {
        id: "retries-exhausted",
        happened: "A time-out, exit 130 or exit 137 ended the run, and the run that was made again because of one ended so, too.",
        cause: "The step needs more time or memory than the lane gives.",
        todo: "Make the step faster or lighter, or ask the operator for higher limits; then post the brief again.",
    },
    Message {
        id: "internal-error",
        happened: "Something failed that is not the brief's fault. The comment holds an id and no details. On the command line: the program could not start its threads.",
        cause: "The repository could not be fetched, a full disk, GitHub out of reach, a defect.",
        todo: "Give the id to the operator, who finds the cause under it in the log.",
    },
];
