//! Honeytokens: credentials of nobody's, fresh in each run's home, that only a thief passes on.
//!
//! They lie where programs that steal look for credentials, in files that no program sends anywhere
//! unasked: a `.netrc` would be used by git and curl, an `.npmrc` by npm. The environment holds none, as
//! many programs print it.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The honeytokens of one run.
pub struct Honeytokens {
    /// Holds a token of GitHub's command line.
    cli: String,
    /// Holds a token of git.
    git: String,
    aws_id: String,
    aws_key: String,
}

impl Honeytokens {
    /// Makes tokens that nothing else has, at random.
    ///
    /// # Errors
    /// Fails when the system gives no random bytes.
    pub fn fresh() -> io::Result<Self> {
        Ok(Self {
            cli: format!("gho_{}", random(36, ALPHANUMERIC)?),
            git: format!("ghp_{}", random(36, ALPHANUMERIC)?),
            aws_id: format!("AKIA{}", random(16, BASE32)?),
            aws_key: random(40, ALPHANUMERIC)?,
        })
    }

    /// Returns what must never be seen outside of its file.
    pub fn values(&self) -> [&str; 4] {
        [&self.cli, &self.git, &self.aws_id, &self.aws_key]
    }

    /// Writes the files into a home in which nothing has run yet; their user alone can read them.
    ///
    /// # Errors
    /// Fails when one cannot be made, such as because it is there.
    pub fn plant(&self, home: &Path) -> io::Result<()> {
        let Self { cli, git, aws_id, aws_key } = self;
        let files = [
            (
                ".config/gh/hosts.yml",
                format!("github.com:\n    user: codex\n    oauth_token: {cli}\n    git_protocol: https\n"),
            ),
            (".git-credentials", format!("https://codex:{git}@github.com\n")),
            (
                ".aws/credentials",
                format!("[default]\naws_access_key_id = {aws_id}\naws_secret_access_key = {aws_key}\n"),
            ),
        ];
        for (name, content) in files {
            let path = home.join(name);
            if let Some(folder) = path.parent() {
                DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(content.as_bytes())?;
        }
        Ok(())
    }
}

/// Returns so many characters of an alphabet of at most 64, each as likely as every other.
fn random(length: usize, alphabet: &[u8]) -> io::Result<String> {
    let mut text = String::with_capacity(length);
    let mut bytes = [0; 64];
    while text.len() < length {
        getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
        let drawn = bytes.iter().filter_map(|byte| alphabet.get(usize::from(byte % 64)));
        text.extend(drawn.take(length - text.len()).map(|byte| char::from(*byte)));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn each_run_has_tokens_of_its_own_that_only_its_user_reads() {
        let (one, other) = (Honeytokens::fresh().unwrap(), Honeytokens::fresh().unwrap());
        assert!(one.values().iter().all(|value| !other.values().contains(value)));
        assert_eq!(one.values().map(str::len), [40, 40, 20, 40]);
        let home = tempfile::tempdir().unwrap();
        one.plant(home.path()).unwrap();
        let files = [".config/gh/hosts.yml", ".git-credentials", ".aws/credentials"];
        let text: String =
            files.map(|name| std::fs::read_to_string(home.path().join(name)).unwrap()).concat();
        assert!(one.values().iter().all(|value| text.contains(value)), "{text}");
        for name in files {
            let mode = std::fs::metadata(home.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }
}
