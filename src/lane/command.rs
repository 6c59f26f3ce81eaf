//! What a step starts: the program of its kind, its arguments, and the file that it reads.

use std::ffi::OsString;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use super::LaneError;
use crate::brief::Work;
use crate::config::KubectlConfig;

/// Where a step finds its script.
const SCRIPT: &str = "/run/codex-brief/step";

/// Where a `kubectl` step finds cluster and credential; no other step has it.
const KUBECONFIG: &str = "/run/codex-brief/kubeconfig";

/// A file that a step is given.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    /// Names it for whoever looks at the descriptors of a process.
    pub(super) name: &'static str,
    pub(super) content: &'a str,
    /// Holds its place in a sandbox.
    pub(super) place: &'static str,
}

/// Returns the file that a step needs; a target of make needs none.
///
/// # Errors
/// Fails for a `kubectl` step of a lane without a cluster, which is refused before.
pub(super) fn file<'a>(
    work: &'a Work,
    kubeconfig: Option<&'a SecretString>,
) -> Result<Option<Given<'a>>, LaneError> {
    Ok(match work {
        Work::Shell { shell: content } | Work::Python { python: content, .. } => {
            Some(Given { name: "step", content, place: SCRIPT })
        }
        Work::Make { .. } => None,
        Work::Kubectl { .. } => {
            let content = kubeconfig.ok_or_else(no_cluster)?.expose_secret();
            Some(Given { name: "kubeconfig", content, place: KUBECONFIG })
        }
    })
}

/// Returns the program and its arguments; `file` is where the step's file lies.
///
/// # Errors
/// Fails as [`file`] does.
pub(super) fn command(
    work: &Work,
    bash: &Path,
    file: &str,
    cluster: Option<&KubectlConfig>,
) -> Result<Vec<OsString>, LaneError> {
    let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
    Ok(match work {
        Work::Shell { .. } => {
            let mut command = vec![bash.into()];
            command.extend(words(&["--noprofile", "--norc", "-eo", "pipefail", file]));
            command
        }
        // Unbuffered, so that what is printed is seen when it is; without compiled files, which would count as
        // changes of the repository.
        Work::Python { .. } => {
            let mut command: Vec<OsString> = work.words().into_iter().map(OsString::from).collect();
            command.extend(words(&["-u", "-B", file]));
            command
        }
        Work::Make { make, variables } => {
            let mut command = words(&["make"]);
            command.extend(make.iter().map(OsString::from));
            // The doubled `$` keeps a value a text, also in a make that a recipe starts. (`:=` would not: make
            // hands such a value on as it has expanded it, and the next one expands it again.)
            let variables =
                variables.iter().map(|(name, value)| format!("{name}={}", value.replace('$', "$$")));
            command.extend(variables.map(OsString::from));
            command
        }
        Work::Kubectl { kubectl } => {
            let context = &cluster.ok_or_else(no_cluster)?.context;
            let mut command =
                words(&["kubectl", &format!("--kubeconfig={file}"), &format!("--context={context}")]);
            command.extend(kubectl.iter().map(OsString::from));
            command
        }
    })
}

/// Variables of a `kubectl` step: an earlier step cannot change its flags by a file in the home.
pub(super) const KUBECTL_VARIABLES: [(&str, &str); 2] = [("KUBERC", "off"), ("KUBECTL_KUBERC", "false")];

fn no_cluster() -> LaneError {
    LaneError::Sandbox("the lane has no cluster for a kubectl step".into())
}
