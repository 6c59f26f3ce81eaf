//! The commands there are: one table for reading them, for `/help`, for usage, and for what each needs.

/// Names a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// `/work start`
    Start,
    /// `/work status`
    Status,
    /// `/work plan`
    Plan,
    /// `/work retry`
    Retry,
    /// `/work publish`
    Publish,
    /// `/work cancel`
    Cancel,
    /// `/stop`
    Stop,
    /// `/approve`
    Approve,
    /// `/reject`
    Reject,
    /// `/status`
    Health,
    /// `/task list`
    TaskList,
    /// `/task show`
    TaskShow,
    /// `/ask`
    Ask,
    /// `/help`
    Help,
}

/// What people are told of a command.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Names it.
    pub name: Name,
    /// Holds the words that it begins with.
    pub words: &'static str,
    /// Tells what stands behind them.
    pub arguments: &'static str,
    /// Tells what it does, as the end of a sentence.
    pub does: &'static str,
}

/// All commands, in the order in which people are told of them.
pub const TABLE: [Entry; 14] = [
    entry(Name::Start, "/work start", " [task]", "starts what waits for somebody to start it"),
    entry(Name::Status, "/work status", " [task]", "tells where each brief stands"),
    entry(Name::Plan, "/work plan", " [task]", "tells what the newest would do"),
    entry(Name::Retry, "/work retry", " [task]", "runs a brief once more that failed or was cancelled"),
    entry(Name::Publish, "/work publish", " [task]", "publishes again what GitHub did not take"),
    entry(Name::Cancel, "/work cancel", " [task]", "cancels what waits"),
    entry(Name::Stop, "/stop", " [task]", "ends what runs and cancels what waits"),
    entry(Name::Approve, "/approve", " DIGEST", "lets a brief run that waits for approval"),
    entry(Name::Reject, "/reject", " DIGEST reason", "cancels a brief that waits for approval"),
    entry(Name::TaskList, "/task list", "", "lists the newest briefs of this repository"),
    entry(Name::TaskShow, "/task show", " TASK", "tells everything about one of them"),
    entry(Name::Health, "/status", "", "tells how the server and its lanes are"),
    entry(Name::Ask, "/ask", " question", "asks for a plan, where the server has a model for it"),
    entry(Name::Help, "/help", "", "lists these commands"),
];

const fn entry(name: Name, words: &'static str, arguments: &'static str, does: &'static str) -> Entry {
    Entry { name, words, arguments, does }
}

impl Name {
    /// Returns the words that the command begins with.
    pub fn words(self) -> &'static str {
        TABLE.iter().find(|entry| entry.name == self).map_or("", |entry| entry.words)
    }

    /// Tells whether other programs listen to its word too, so that somebody who may not use it is left alone.
    pub fn is_shared(self) -> bool {
        matches!(self, Self::Help | Self::Health | Self::Ask | Self::TaskList | Self::TaskShow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_stands_in_the_table_once_and_reads_as_itself() {
        for (at, entry) in TABLE.iter().enumerate() {
            assert!(!TABLE[..at].iter().any(|other| other.name == entry.name || other.words == entry.words));
            let arguments = entry.arguments.replace("[task]", "ab12cd").replace("TASK", "ab12cd");
            let line = format!("{}{}", entry.words, arguments.replace("DIGEST", &"ab".repeat(16)));
            let read = super::super::find(&line).found.pop().unwrap();
            assert_eq!(read.command.unwrap().name(), entry.name, "{line}");
        }
    }
}
