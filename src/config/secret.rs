//! Secrets: written nowhere in the configuration, only where they are to be found (row A6).

use std::path::PathBuf;
use std::process::Command;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::invalid;
use crate::error::UserError;

/// Where a secret comes from; exactly one of the three is set.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecretSource {
    /// Names a file that holds it.
    pub file: Option<PathBuf>,
    /// Names a variable of the server's environment that holds it.
    pub environment: Option<String>,
    /// Holds a program and its arguments that print it, such as a secret manager's client.
    pub command: Option<Vec<String>>,
}

/// A secret that the steps of a lane get as a variable of their environment.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "WrittenLaneSecret")]
pub struct LaneSecret {
    /// Names the variable.
    pub name: String,
    /// Tells where the value comes from.
    pub source: SecretSource,
}

/// A lane's secret as it is written; serde cannot refuse unknown keys of a flattened source.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLaneSecret {
    name: String,
    file: Option<PathBuf>,
    environment: Option<String>,
    command: Option<Vec<String>>,
}

impl From<WrittenLaneSecret> for LaneSecret {
    fn from(written: WrittenLaneSecret) -> Self {
        let WrittenLaneSecret { name, file, environment, command } = written;
        Self { name, source: SecretSource { file, environment, command } }
    }
}

/// Why a secret could not be read; never holds the secret.
#[derive(Debug, Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("the file {0} cannot be read: {1}")]
    File(PathBuf, std::io::Error),
    /// The file can be read by others.
    #[error("the file {0} can be read by others (mode {1:o}); run `chmod 600` on it")]
    Mode(PathBuf, u32),
    /// The variable is not set.
    #[error("the variable {0} is not set, or is not UTF-8")]
    Environment(String),
    /// The program did not run, or did not succeed.
    #[error("the command {0} did not succeed: {1}")]
    Command(String, String),
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
}

impl SecretSource {
    pub(crate) fn check(&self, key: &str) -> Result<(), UserError> {
        let set = [
            self.file.is_some(),
            self.environment.is_some(),
            self.command.as_ref().is_some_and(|command| !command.is_empty()),
        ];
        if set.iter().filter(|is| **is).count() == 1 {
            return Ok(());
        }
        Err(invalid(format!("{key} needs exactly one of `file`, `environment` and `command`.")))
    }

    /// Reads the secret and strips the white space around it.
    pub fn read(&self) -> Result<SecretString, SecretError> {
        let text = if let Some(file) = &self.file {
            read_file(file)?
        } else if let Some(name) = &self.environment {
            std::env::var(name).map_err(|_| SecretError::Environment(name.clone()))?
        } else {
            run_command(self.command.as_deref().unwrap_or_default())?
        };
        let text = text.trim();
        if text.is_empty() {
            return Err(SecretError::Empty);
        }
        Ok(SecretString::from(text.to_owned()))
    }
}

fn read_file(file: &std::path::Path) -> Result<String, SecretError> {
    use std::os::unix::fs::MetadataExt;
    let failed = |error| SecretError::File(file.to_owned(), error);
    let mode = std::fs::metadata(file).map_err(failed)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SecretError::Mode(file.to_owned(), mode));
    }
    std::fs::read_to_string(file).map_err(failed)
}

fn run_command(command: &[String]) -> Result<String, SecretError> {
    let [program, arguments @ ..] = command else {
        return Err(SecretError::Empty);
    };
    let failed = |why: String| SecretError::Command(program.clone(), why);
    let output = Command::new(program).args(arguments).output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    String::from_utf8(output.stdout).map_err(|_| failed("its output is not UTF-8".to_owned()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_secret_is_read_from_a_private_file_only() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "hush").unwrap();
        let source = SecretSource { file: Some(file.path().to_owned()), ..SecretSource::default() };
        assert_eq!(source.read().unwrap().expose_secret(), "hush");
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(source.read(), Err(SecretError::Mode(_, 0o644))));
    }

    #[test]
    fn a_command_prints_a_secret() {
        let source = SecretSource {
            command: Some(vec!["printf".to_owned(), "from-a-manager\n".to_owned()]),
            ..SecretSource::default()
        };
        assert_eq!(source.read().unwrap().expose_secret(), "from-a-manager");
        let failing = SecretSource { command: Some(vec!["false".to_owned()]), ..SecretSource::default() };
        assert!(matches!(failing.read(), Err(SecretError::Command(..))));
    }
}
