//! What the steps of a brief may have on a lane: its variables and its cluster.

use crate::brief::{Brief, Step, Work};
use crate::config::LaneConfig;
use crate::error::UserError;

/// Decides whether a lane gives the steps of a brief what they ask for.
///
/// Fails with `variable-not-allowed`, `kubectl-missing` or `kubectl-verb`, which name the step and what the
/// lane allows.
pub fn decide(brief: &Brief, lane: &LaneConfig) -> Result<(), UserError> {
    (1..).zip(&brief.steps).try_for_each(|(number, step)| {
        variables(number, step, lane)?;
        kubectl(number, step, lane)
    })
}

fn variables(number: usize, step: &Step, lane: &LaneConfig) -> Result<(), UserError> {
    let Some(name) = step.env.keys().find(|name| !lane.environment.contains(name)) else { return Ok(()) };
    let help = if lane.environment.is_empty() {
        "This lane lets none through; set it within the script, or ask the operator to add it to `environment`."
            .to_owned()
    } else {
        format!(
            "Steps of this lane may set {}; ask the operator to add others to `environment`.",
            list(&lane.environment)
        )
    };
    Err(UserError::new(
        "variable-not-allowed",
        format!(
            "Step {number} sets the variable `{name}`, which the lane `{}` does not let through.",
            lane.name
        ),
        help,
    ))
}

fn kubectl(number: usize, step: &Step, lane: &LaneConfig) -> Result<(), UserError> {
    let Work::Kubectl { kubectl: arguments } = &step.work else { return Ok(()) };
    let Some(config) = &lane.kubectl else {
        return Err(UserError::new(
            "kubectl-missing",
            format!("Step {number} needs a cluster, and the lane `{}` has none.", lane.name),
            "Choose a lane for `kubectl` steps, or ask the operator to set `kubectl` for this one.",
        ));
    };
    if config.allows(arguments) {
        return Ok(());
    }
    let verb =
        arguments.iter().take(2).take_while(|word| !word.starts_with('-')).cloned().collect::<Vec<_>>();
    Err(UserError::new(
        "kubectl-verb",
        format!(
            "Step {number} runs `kubectl {}`, which the lane `{}` does not allow.",
            verb.join(" "),
            lane.name
        ),
        format!(
            "Steps of this lane may use {}; ask the operator to add others to `kubectl.verbs`.",
            list(&config.verbs)
        ),
    ))
}

fn list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brief::parse_document;

    fn refused(step: &str, lane: &LaneConfig) -> Option<(&'static str, String)> {
        let text = format!(
            "executor: a\nrepo: o/r\nbranch: main\nworkdir: ~/x\nsteps:\n  - name: a\n    {step}\noutputs:\n  \
             - type: pr\n    title: t\n    commit_message: m\n    files: [a]\n"
        );
        decide(&parse_document(&text).unwrap(), lane).err().map(|error| (error.code, error.help))
    }

    #[test]
    fn a_lane_gives_what_its_operator_lists_and_nothing_else() {
        let mut lane = LaneConfig::named("a");
        let code = |step: &str, lane: &LaneConfig| refused(step, lane).map(|(code, _)| code);
        assert_eq!(code("shell: true && x", &lane), None);
        let set = "shell: env\n    env: { TZ: UTC, LANGUAGE: en }";
        assert_eq!(code(set, &lane), Some("variable-not-allowed"));
        lane.environment = vec!["TZ".into()];
        assert_eq!(code(set, &lane), Some("variable-not-allowed"), "each of them counts");
        lane.environment.push("LANGUAGE".into());
        assert_eq!(code(set, &lane), None);
        assert_eq!(code("kubectl: [get, pods]", &lane), Some("kubectl-missing"));
        lane.kubectl =
            toml::from_str("kubeconfig = 'k'\ncontext = 'c'\nverbs = ['get', 'rollout status']").ok();
        assert_eq!(code("kubectl: [get, pods]", &lane), None);
        let (code, help) = refused("kubectl: [delete, pods]", &lane).unwrap();
        assert!(code == "kubectl-verb" && help.contains("`get`, `rollout status`"), "{help}");
    }
}
