//! What a command needs: the permission that its line in `[commands]` asks for.

use super::permission::Permission;
use crate::command::Name;
use crate::config::{AuthorizeConfig, CommandsConfig, Level};

/// Returns the least permission with which a command is obeyed, or `None` where nobody's is.
///
/// What lets a brief run never needs less than a brief does; who may approve is `authorize.approvers`' word.
pub fn needed(authorize: &AuthorizeConfig, commands: &CommandsConfig, name: Name) -> Option<Permission> {
    let brief = Level::from(authorize.minimum_permission);
    let (said, least) = match name {
        Name::Start => (commands.start, brief),
        Name::Retry => (commands.retry, brief),
        Name::Publish => (commands.publish, brief),
        Name::Cancel => (commands.cancel, Level::Triage),
        Name::Stop => (commands.stop, Level::Triage),
        Name::Status => (commands.work_status, Level::Read),
        Name::Plan => (commands.plan, Level::Read),
        Name::TaskList | Name::TaskShow => (commands.task, Level::Read),
        Name::Health => (commands.status, Level::Read),
        Name::Ask => (commands.ask, Level::Read),
        Name::Help => (commands.help, Level::Read),
        Name::Approve | Name::Reject => (None, brief),
    };
    Some(match said.unwrap_or(brief).max(least) {
        Level::Read => Permission::Read,
        Level::Triage => Permission::Triage,
        Level::Write => Permission::Write,
        Level::Maintain => Permission::Maintain,
        Level::Admin => Permission::Admin,
        Level::Off => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::TABLE;
    use crate::config::MinimumPermission;

    #[test]
    fn without_a_word_every_command_needs_what_a_brief_needs() {
        let authorize =
            AuthorizeConfig { minimum_permission: MinimumPermission::Maintain, ..AuthorizeConfig::default() };
        for entry in TABLE {
            let needed = needed(&authorize, &CommandsConfig::default(), entry.name);
            assert_eq!(needed, Some(Permission::Maintain), "{}", entry.words);
        }
    }

    #[test]
    fn what_only_tells_can_need_less_and_what_runs_a_brief_never_does() {
        let authorize =
            AuthorizeConfig { minimum_permission: MinimumPermission::Maintain, ..AuthorizeConfig::default() };
        let commands = CommandsConfig {
            help: Some(Level::Read),
            stop: Some(Level::Triage),
            retry: Some(Level::Write),
            start: Some(Level::Admin),
            status: Some(Level::Off),
            ..CommandsConfig::default()
        };
        let needed = |name| needed(&authorize, &commands, name);
        assert_eq!(needed(Name::Help), Some(Permission::Read));
        assert_eq!(needed(Name::Stop), Some(Permission::Triage));
        assert_eq!(needed(Name::Retry), Some(Permission::Maintain));
        assert_eq!(needed(Name::Start), Some(Permission::Admin));
        assert_eq!(needed(Name::Health), None);
    }
}
