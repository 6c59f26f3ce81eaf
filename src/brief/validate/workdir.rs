//! The rule for `workdir`: a place where a checkout can be mounted without covering the system.

use super::{MAX_PART_BYTES, Problem, misleading, shown};
use crate::brief::codes;

/// Linux takes paths of 4,096 bytes; a quarter leaves room for what lies in the checkout.
pub const MAX_WORKDIR_BYTES: usize = 1024;

/// Folders in and below which nothing is mounted: the system's own, and the kernel's views.
const SYSTEM: &[&str] = &[
    "/proc", "/sys", "/dev", "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/boot",
    "/run", "/var/run",
];

/// Folders that hold other things too, so that only a folder below them can be the checkout.
const SHARED: &[&str] =
    &["/home", "/root", "/var", "/var/tmp", "/var/lib", "/opt", "/srv", "/mnt", "/media", "/tmp"];

/// Checks a working directory and returns it without `.` parts, doubled or trailing slashes.
///
/// # Errors
/// Tells why no checkout can be mounted there.
pub fn workdir(path: &str) -> Result<String, Problem> {
    let problem = |reason: String| {
        let help = match path.strip_prefix("$HOME/").or_else(|| path.strip_prefix("${HOME}/")) {
            Some(rest) => format!("Write {}.", shown(&format!("~/{rest}"))),
            None => {
                "Write a path such as `~/work/example` or `/work/example`; the checkout is mounted there."
                    .to_owned()
            }
        };
        Problem::new(
            codes::WORKDIR,
            format!("{} cannot be the working directory: {reason}.", shown(path)),
            help,
        )
    };
    let (root, rest) = match path.split_at_checked(1) {
        Some(("/", rest)) => ("", rest),
        Some(("~", rest)) if rest.is_empty() || rest.starts_with('/') => ("~", rest),
        _ => return Err(problem("it begins neither with `/` nor with `~/`".to_owned())),
    };
    if path.len() > MAX_WORKDIR_BYTES {
        return Err(problem(format!("it has {} bytes, and {MAX_WORKDIR_BYTES} are the most", path.len())));
    }
    if let Some(c) = misleading(path).or_else(|| path.contains('\\').then(|| "`\\`".to_owned())) {
        return Err(problem(format!("it holds {c}")));
    }
    let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return Err(problem("it holds `..`".to_owned()));
    }
    if parts.iter().any(|part| part.len() > MAX_PART_BYTES) {
        return Err(problem(format!("a part of it has more than {MAX_PART_BYTES} bytes")));
    }
    let normal = format!("{root}/{}", parts.join("/"));
    if parts.is_empty() || SHARED.contains(&normal.as_str()) {
        return Err(problem("other things live there; name a folder below it".to_owned()));
    }
    if let Some(system) = SYSTEM.iter().find(|system| lies_in(&normal, system)) {
        return Err(problem(format!("`{system}` belongs to the system")));
    }
    Ok(normal)
}

fn lies_in(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalized() {
        for (path, normal) in [
            ("~/work/example", "~/work/example"),
            ("/work", "/work"),
            ("/work//./a/", "/work/a"),
            ("~//a b", "~/a b"),
            ("/tmp/x", "/tmp/x"),
            ("/library/x", "/library/x"),
            ("/home/runner/work", "/home/runner/work"),
        ] {
            assert_eq!(workdir(path).as_deref(), Ok(normal));
        }
    }

    #[test]
    fn the_system_stays_uncovered() {
        let wrong = [
            "",
            "work",
            "./work",
            "../x",
            "~",
            "~/",
            "~/.",
            "/",
            "//",
            "/./",
            "/tmp",
            "/tmp/",
            "/home",
            "/root",
            "/etc",
            "/etc/x",
            "//etc//x",
            "/./proc/self",
            "/sys",
            "/dev/shm/x",
            "/usr/local/x",
            "/lib64",
            "/run/x",
            "/var/run/x",
            "/boot",
            "~root/x",
            "$HOME/x",
            "/a/../etc",
            "~/../x",
            "/a\\b",
            "/a\tb",
            "/a\u{FE0F}",
        ];
        for path in wrong {
            assert_eq!(workdir(path).unwrap_err().code, codes::WORKDIR, "{path}");
        }
        assert!(workdir(&format!("/{}", "a".repeat(256))).is_err());
        assert!(workdir(&"/a".repeat(600)).is_err());
        assert_eq!(workdir("$HOME/x").unwrap_err().help, "Write `~/x`.");
    }
}
