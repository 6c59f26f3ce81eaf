//! A command that is not obeyed.

use super::Message;

pub(super) const MESSAGES: &[Message] = &[
    Message {
        id: "command-not-allowed",
        happened: "The command needs a higher permission than the person has. Told once for a person, a thread and a command.",
        cause: "`[commands]` of the server asks for more than a brief needs.",
        todo: "Somebody with the permission writes it, or the operator changes [`[commands]`](configuration.md#commands).",
    },
    Message {
        id: "label-not-counted",
        happened: "A label of the gate was added by somebody who may not run briefs, so nothing started. Told once for a person and a thread.",
        cause: "Who may sort issues can label them, and an issue form labels in the name of its author.",
        todo: "Somebody who may run briefs takes the label away and adds it again.",
    },
];
