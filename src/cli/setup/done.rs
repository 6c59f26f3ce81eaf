//! What a set-up came to, and what comes next.

use std::path::PathBuf;

use serde::Serialize;

/// What a set-up came to.
#[derive(Debug, Serialize)]
pub(super) struct Done {
    pub(super) format: u32,
    pub(super) app_id: u64,
    pub(super) slug: String,
    pub(super) config: PathBuf,
    pub(super) webhook_url: Option<String>,
    /// Lists the accounts on which the App is installed.
    pub(super) installed_on: Vec<String>,
    /// Lists the repositories that it reaches.
    pub(super) repositories: Vec<String>,
}

impl Done {
    /// Tells what comes next.
    pub(super) fn text(&self) -> String {
        let config = self.config.display();
        let repository = self.repositories.first().map_or("OWNER/NAME", String::as_str);
        let reached = match self.repositories.len() {
            0 => "no repository yet".to_owned(),
            1..=5 => self.repositories.join(", "),
            more => format!("{}, and {} more", self.repositories[..5].join(", "), more - 5),
        };
        let folder = repository.split('/').next_back().unwrap_or(repository);
        let heard = match &self.webhook_url {
            Some(url) => format!("Your proxy passes {url} on to 127.0.0.1:8080."),
            None => "Nothing has to reach it: it asks GitHub every minute.".to_owned(),
        };
        format!(
            "The App {} is installed on {} and reaches {reached}.\n\nNext:\n\
             1. codex-brief doctor --config {config}\n\
             2. codex-brief serve --config {config}\n   {heard}\n\
             3. Open an issue in {repository} with this text, as somebody with write permission:\n\n\
             ```codex-brief\nexecutor: devbox-codex\nrepo: {repository}\nbranch: main\nworkdir: ~/work/{folder}\n\nsteps:\n  \
             - name: count the lines of each file\n    shell: |\n      mkdir -p reports\n      \
             git ls-files | xargs wc -l > reports/lines.txt\n\noutputs:\n  - type: pr\n    \
             title: \"Reports: lines of each file\"\n    commit_message: \"reports: add the lines of each file\"\n    \
             files:\n      - reports/lines.txt\n```\n",
            self.slug,
            self.installed_on.join(", "),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brief;
    use crate::setup::progress::FORMAT;

    #[test]
    fn what_is_told_at_the_end_holds_a_brief_to_copy() {
        let done = |repositories: &[&str]| Done {
            format: FORMAT,
            app_id: 1,
            slug: "x".to_owned(),
            config: PathBuf::from("codex-brief.toml"),
            webhook_url: None,
            installed_on: vec!["octo".to_owned()],
            repositories: repositories.iter().map(|name| (*name).to_owned()).collect(),
        };
        let text = done(&["octo/app", "octo/b", "octo/c", "octo/d", "octo/e", "octo/f"]).text();
        assert!(text.contains("reaches octo/app, octo/b, octo/c, octo/d, octo/e, and 1 more."), "{text}");
        let found = brief::extract(&text);
        let brief = brief::parse(&found.fences[0].text, &found.fences[0].origin()).unwrap();
        assert_eq!((brief.repo.to_string().as_str(), brief.workdir.as_str()), ("octo/app", "~/work/app"));
        assert!(done(&[]).text().contains("no repository yet"));
    }
}
