//! Names the branch that a run's commit is pushed to; a pure rule.

/// Bounds the part that comes from the title, in characters.
const SLUG: usize = 40;

/// Returns the branch's name, such as `codex-brief/12-add-report-0a1b2c3d4e5f`, from the number of
/// the thread (where there is one), a title, and the first digits of the brief's digest. Always
/// valid as a branch's name, whatever the title holds.
pub fn branch_name(number: Option<u64>, title: &str, brief_short: &str) -> String {
    let number = number.map(|number| number.to_string());
    let slug = slug(title, SLUG);
    let brief = slug_of_digest(brief_short);
    let parts: Vec<&str> =
        [number.as_deref(), Some(slug.as_str()), Some(brief.as_str())].into_iter().flatten().collect();
    let name = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
    format!("codex-brief/{}", if name.is_empty() { "brief" } else { &name })
}

fn slug_of_digest(digest: &str) -> String {
    slug(digest, 64)
}

/// Returns the ASCII letters and digits in lower case, with one `-` for whatever lies between.
fn slug(text: &str, bound: usize) -> String {
    let mut slug = String::new();
    for char in text.chars() {
        if slug.len() >= bound {
            break;
        }
        if char.is_ascii_alphanumeric() {
            slug.push(char.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_name_tells_thread_title_and_brief() {
        let name = branch_name(Some(12), "  Add: report!", "0a1b2c3d4e5f");
        assert_eq!(name, "codex-brief/12-add-report-0a1b2c3d4e5f");
        assert_eq!(branch_name(None, "報告", "0a1b"), "codex-brief/0a1b");
        assert_eq!(branch_name(None, "", ""), "codex-brief/brief");
        let long = branch_name(Some(1), &"ab ".repeat(99), "00ff");
        assert_eq!(long, format!("codex-brief/1-{}a-00ff", "ab-".repeat(13)));
    }

    proptest! {
        #[test]
        fn any_text_gives_a_valid_name(number: Option<u64>, title in ".*", digest in ".*") {
            let name = branch_name(number, &title, &digest);
            let full = format!("refs/heads/{name}");
            prop_assert!(git2::Reference::is_valid_name(&full), "{}", name);
            prop_assert!(name.len() <= 12 + 20 + 1 + SLUG + 1 + 64);
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-/".contains(&byte)));
        }
    }
}
