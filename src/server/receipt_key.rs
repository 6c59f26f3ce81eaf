//! The key that signs receipts: a file in the state directory, made at the first start.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};

use crate::error::UserError;
use crate::receipt::SigningKey;

/// The name of the key's file in the state directory.
pub const KEY_FILE: &str = "receipt-key.pem";

/// Reads the key in a state directory, or makes it where there is none. Whoever calls holds the directory's
/// lock.
///
/// Fails with `receipt-key-unusable` when others can read the file, or when it holds something else.
pub fn load_or_make(state: &Path) -> Result<SigningKey, UserError> {
    let file = state.join(KEY_FILE);
    let unusable = |why: String| {
        UserError::new(
            "receipt-key-unusable",
            format!("The key that signs receipts, {}, cannot be used: {why}.", file.display()),
            "Mend what is named, or move the file away: then the next start makes a new key, and receipts by \
             the old one can still be checked.",
        )
    };
    match fs::symlink_metadata(&file) {
        Ok(found) if !found.is_file() => Err(unusable("it is no ordinary file".to_owned())),
        Ok(found) if found.mode() & 0o077 != 0 => Err(unusable(format!(
            "others can read it (mode {:o}); run `chmod 600` on it",
            found.mode() & 0o777
        ))),
        Ok(_) => {
            let pem = fs::read_to_string(&file).map_err(|error| unusable(error.to_string()))?;
            SigningKey::read(&SecretString::from(pem)).map_err(unusable)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make(state, &file).map_err(|error| unusable(error.to_string()))
        }
        Err(error) => Err(unusable(error.to_string())),
    }
}

/// Makes a key; a crash leaves the whole file or none.
fn make(state: &Path, file: &Path) -> io::Result<SigningKey> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    let made = SigningKey::from_seed(&seed).and_then(|key| key.pem().map(|pem| (key, pem)));
    seed.fill(0);
    let (key, pem) = made.ok_or_else(|| io::Error::other("no key can be made"))?;
    // Its mode is 600 from the beginning.
    let mut new = tempfile::NamedTempFile::new_in(state)?;
    new.write_all(pem.expose_secret().as_bytes())?;
    new.as_file().sync_all()?;
    new.persist_noclobber(file).map_err(|error| error.error)?;
    File::open(state)?.sync_all()?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_for_the_servers_user() {
        let state = tempfile::tempdir().unwrap();
        let made = load_or_make(state.path()).unwrap();
        let file = state.path().join(KEY_FILE);
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert_eq!(load_or_make(state.path()).unwrap().public(), made.public());
        fs::remove_file(&file).unwrap();
        assert_ne!(load_or_make(state.path()).unwrap().public(), made.public());
        assert_eq!(fs::read_dir(state.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_none_is_refused() {
        let state = tempfile::tempdir().unwrap();
        load_or_make(state.path()).unwrap();
        let file = state.path().join(KEY_FILE);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let told = load_or_make(state.path()).unwrap_err();
        assert!(told.message.contains("mode 640"), "{told}");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, "no key").unwrap();
        assert_eq!(load_or_make(state.path()).unwrap_err().code, "receipt-key-unusable");
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("elsewhere", &file).unwrap();
        assert!(load_or_make(state.path()).unwrap_err().message.contains("no ordinary file"));
    }
}
