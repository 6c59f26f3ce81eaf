//! What GitHub says of the App: its key, what it may do and hears, where deliveries go and whether they come, and
//! where it is installed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::check;
use crate::config::Config;
use crate::error::UserError;
use crate::github::app::{AppProfile, HookConfig};
use crate::github::hook::HookDelivery;
use crate::github::installation::Installation;
use crate::github::{GitHub, GitHubError};
use crate::lane::escape::{Finding, Verdict};
use crate::setup::manifest::Wanted;

/// How long a repeated delivery is waited for: GitHub gives a receiver 10 seconds.
const ARRIVAL: Duration = Duration::from_secs(30);

/// How often the delivery log is looked at meanwhile.
const LOOK: Duration = Duration::from_secs(1);

/// The path at which the server takes deliveries.
const PATH: &str = "/webhooks/github";

/// Asks GitHub about the App of a configuration, and has a ping delivered again.
pub(super) async fn examine(config: &Config) -> Result<Vec<Finding>, UserError> {
    let wanted = Wanted::read()?;
    let key = config.github.private_key.read().map_err(|error| error.to_string());
    let made = key.and_then(|key| GitHub::new(&config.github, &key).map_err(|error| error.to_string()));
    let github = match made {
        Ok(github) => github,
        Err(why) => {
            let help = "Make a new key on the App's page and put it where github.private_key says.";
            return Ok(vec![check("App", Verdict::NotHeld, why, help)]);
        }
    };
    let profile = match github.profile().await {
        Ok(profile) => profile,
        Err(error) => return Ok(vec![unreached(&error, config.github.app_id)]),
    };
    let mut found = vec![
        check("App", Verdict::Held, format!("{} answers as {}", config.github.api_url, profile.slug), ""),
        clock(github.clock_ahead_s()),
        permissions(&wanted.default_permissions, &profile),
    ];
    if config.webhook.is_polling() {
        found.push(check("webhook", Verdict::Held, "none: the server asks GitHub".to_owned(), ""));
    } else {
        found.push(events(&wanted.default_events, &profile));
        found.push(match github.hook_config().await {
            Ok(hook) => webhook(&hook, &profile),
            Err(error) => unknown("webhook", &error),
        });
        found.push(delivery(&github).await);
    }
    match github.installations().await {
        Ok(installations) => found.extend(installed(&wanted.default_permissions, &profile, &installations)),
        Err(error) => found.push(unknown("installations", &error)),
    }
    Ok(found)
}

fn unknown(what: &str, error: &GitHubError) -> Finding {
    check(what, Verdict::NotTried, error.to_string(), "Run it again; GitHub's status page may tell more.")
}

fn unreached(error: &GitHubError, app_id: u64) -> Finding {
    let help = match error.status() {
        Some(401) => "Make a new key on the App's page and put it where github.private_key says.",
        Some(404) => "Compare github.app_id with the App's page, and github.api_url with your GitHub.",
        _ => "Look at the network, a proxy's certificate, and github.api_url; --offline leaves GitHub out.",
    };
    check("App", Verdict::NotHeld, format!("as App {app_id}: {error}"), help)
}

fn clock(ahead_s: i64) -> Finding {
    let (verdict, seen) = match ahead_s {
        0 => (Verdict::Held, "it goes with GitHub's".to_owned()),
        ahead if ahead > 0 => (Verdict::NotHeld, format!("it is {ahead} s behind GitHub's")),
        behind => (Verdict::NotHeld, format!("it is {} s ahead of GitHub's", -behind)),
    };
    check("GitHub's clock", verdict, seen, "Set this machine's clock (`timedatectl set-ntp true`).")
}

fn rank(level: &str) -> usize {
    ["read", "write", "admin"].iter().position(|known| *known == level).map_or(0, |at| at + 1)
}

/// Lists what is wanted and not granted, and what is granted and not wanted, each as `name: level`.
fn compare(
    wanted: &BTreeMap<String, String>,
    granted: &BTreeMap<String, String>,
) -> (Vec<String>, Vec<String>) {
    let level = |map: &BTreeMap<String, String>, name: &str| map.get(name).map_or(0, |level| rank(level));
    let over = |one: &BTreeMap<String, String>, other: &BTreeMap<String, String>| {
        let more = one.iter().filter(|(name, held)| rank(held) > level(other, name));
        more.map(|(name, held)| format!("{name}: {held}")).collect()
    };
    (over(wanted, granted), over(granted, wanted))
}

fn permissions(wanted: &BTreeMap<String, String>, profile: &AppProfile) -> Finding {
    let (missing, more) = compare(wanted, &profile.permissions);
    let page = format!("On the App's settings, \"Permissions & events\" ({}),", profile.html_url);
    let (verdict, seen, help) = match (missing.is_empty(), more.is_empty()) {
        (false, _) => (
            Verdict::NotHeld,
            format!("missing: {}", missing.join(", ")),
            format!("{page} grant these; then the owner of each installation has to accept them."),
        ),
        (true, false) => (
            Verdict::Open,
            format!("more than app.yml asks for: {}", more.join(", ")),
            format!(
                "{page} take these away, unless you know why (`members: read` is for policies that name teams)."
            ),
        ),
        (true, true) => (Verdict::Held, "those of app.yml".to_owned(), String::new()),
    };
    check("permissions", verdict, seen, &help)
}

fn events(wanted: &[String], profile: &AppProfile) -> Finding {
    let missing: Vec<&str> =
        wanted.iter().filter(|event| !profile.events.contains(event)).map(String::as_str).collect();
    if missing.is_empty() {
        return check("events", Verdict::Held, "those of app.yml".to_owned(), "");
    }
    let help = format!(
        "On the App's settings, \"Permissions & events\" ({}), subscribe to them; until then the server does not hear of these.",
        profile.html_url
    );
    check("events", Verdict::NotHeld, format!("missing: {}", missing.join(", ")), &help)
}

fn webhook(hook: &HookConfig, profile: &AppProfile) -> Finding {
    let url = hook.url.as_deref().unwrap_or_default();
    let loopback = ["http://127.0.0.1", "http://localhost"].iter().any(|start| url.starts_with(start));
    let path = url.split("://").nth(1).and_then(|rest| rest.find('/').map(|at| &rest[at..]));
    let verifies = hook.insecure_ssl.as_ref().is_none_or(|value| value == "0" || value == 0);
    let mut wrong = Vec::new();
    if url.is_empty() {
        wrong.push("it has no URL".to_owned());
    } else if !url.starts_with("https://") && !loopback {
        wrong.push("its URL is not https".to_owned());
    }
    if hook.content_type.as_deref() != Some("json") {
        wrong.push("its content type is not application/json".to_owned());
    }
    if !verifies {
        wrong.push("SSL verification is off".to_owned());
    }
    if hook.secret.as_deref().unwrap_or_default().is_empty() {
        wrong.push("it has no secret".to_owned());
    }
    let shown = if url.is_empty() { "no URL" } else { url };
    if !wrong.is_empty() {
        let help = format!("Change it on the App's settings, \"General\" ({}).", profile.html_url);
        return check("webhook", Verdict::NotHeld, format!("{shown}: {}", wrong.join(", ")), &help);
    }
    if path != Some(PATH) {
        let help =
            format!("The server takes deliveries at {PATH}: see that your proxy passes this one on to it.");
        return check("webhook", Verdict::Open, shown.to_owned(), &help);
    }
    check("webhook", Verdict::Held, format!("{shown}, JSON, signed"), "")
}

/// Has GitHub deliver a ping again, which does nothing, and tells what was answered.
async fn delivery(github: &GitHub) -> Finding {
    const WHAT: &str = "delivery";
    let earlier = match github.harmless_delivery().await {
        Ok(Some(earlier)) => earlier,
        Ok(None) => {
            let help = "Open an issue where the App is installed, and run this again: GitHub keeps its log for three days.";
            return check(
                WHAT,
                Verdict::NotTried,
                "GitHub's log holds nothing to deliver again".to_owned(),
                help,
            );
        }
        Err(error) => return unknown(WHAT, &error),
    };
    if let Err(error) = github.redeliver(earlier.id).await {
        return unknown(WHAT, &error);
    }
    let begun = Instant::now();
    while begun.elapsed() < ARRIVAL {
        match github.repeated(&earlier).await {
            Ok(Some(again)) if again.status_code != 0 || begun.elapsed() > ARRIVAL / 2 => {
                return arrived(&again);
            }
            Ok(_) => {}
            Err(error) => return unknown(WHAT, &error),
        }
        tokio::time::sleep(LOOK).await;
    }
    let seen = format!("GitHub did not deliver a {} again within {} s", earlier.event, ARRIVAL.as_secs());
    check(WHAT, Verdict::NotTried, seen, "Run it again; GitHub's status page may tell more.")
}

fn arrived(again: &HookDelivery) -> Finding {
    let seen = |answer: String| format!("a repeated {} {answer}", again.event);
    match again.status_code {
        200..300 => check("delivery", Verdict::Held, seen("arrived".to_owned()), ""),
        0 => check(
            "delivery",
            Verdict::NotHeld,
            seen("got no answer".to_owned()),
            "GitHub does not reach the server: start it, and look at name, certificate, proxy and firewall.",
        ),
        401 => check(
            "delivery",
            Verdict::NotHeld,
            seen("was refused with 401".to_owned()),
            "The secrets differ: write the same into the App's settings and where github.webhook_secret says.",
        ),
        404 | 405 => check(
            "delivery",
            Verdict::NotHeld,
            seen(format!("was answered {}", again.status_code)),
            "Something else answers there: let the proxy pass /webhooks/github on to the server.",
        ),
        status => check(
            "delivery",
            Verdict::NotHeld,
            seen(format!("was answered {status}")),
            "Is the server running? docs/messages.md tells what the webhook answers; another status is the proxy's.",
        ),
    }
}

fn installed(
    wanted: &BTreeMap<String, String>,
    profile: &AppProfile,
    installations: &[Installation],
) -> Vec<Finding> {
    if installations.is_empty() {
        let help = format!(
            "Install it on the repositories in which briefs shall run: {}/installations/new",
            profile.html_url
        );
        return vec![check("installations", Verdict::NotHeld, "none".to_owned(), &help)];
    }
    let of_one = |one: &Installation| {
        let what = format!("installation on {}", one.name());
        if one.suspended_at.is_some() {
            let help = format!("Its owner can let it go on: {}", one.html_url);
            return check(&what, Verdict::NotHeld, "suspended".to_owned(), &help);
        }
        let (missing, _) = compare(wanted, &one.permissions);
        if missing.is_empty() {
            return check(&what, Verdict::Held, "it works".to_owned(), "");
        }
        let help = format!("Its owner has to accept the App's new permissions: {}", one.html_url);
        check(&what, Verdict::NotHeld, format!("not granted: {}", missing.join(", ")), &help)
    };
    installations.iter().map(of_one).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, level)| ((*name).to_owned(), (*level).to_owned())).collect()
    }

    fn profile(permissions: &[(&str, &str)]) -> AppProfile {
        AppProfile {
            id: 1,
            slug: "x".to_owned(),
            html_url: "https://github.com/apps/x".to_owned(),
            permissions: map(permissions),
            events: vec!["issues".to_owned()],
        }
    }

    #[test]
    fn a_lesser_level_is_missing_and_a_greater_one_is_more() {
        let wanted = map(&[("contents", "write"), ("metadata", "read")]);
        let judged = |granted: &[(&str, &str)]| {
            let found = permissions(&wanted, &profile(granted));
            (found.verdict, found.seen)
        };
        let word = |text: &str| text.to_owned();
        assert_eq!(
            judged(&[("contents", "read"), ("metadata", "read")]),
            (Verdict::NotHeld, word("missing: contents: write"))
        );
        assert_eq!(
            judged(&[("contents", "write"), ("metadata", "read")]),
            (Verdict::Held, word("those of app.yml"))
        );
        let (verdict, seen) = judged(&[("contents", "write"), ("metadata", "read"), ("workflows", "write")]);
        assert_eq!((verdict, seen.as_str()), (Verdict::Open, "more than app.yml asks for: workflows: write"));
    }

    #[test]
    fn a_webhook_is_https_json_verified_and_signed() {
        let told = |url: &str, content_type: &str, insecure_ssl: serde_json::Value, secret: Option<&str>| {
            let hook = HookConfig {
                url: Some(url.to_owned()).filter(|url| !url.is_empty()),
                content_type: Some(content_type.to_owned()),
                insecure_ssl: Some(insecure_ssl),
                secret: secret.map(str::to_owned),
            };
            let found = webhook(&hook, &profile(&[]));
            (found.verdict, found.seen)
        };
        let (good, stars) = ("https://h.example.com/webhooks/github", Some("********"));
        for zero in [json!("0"), json!(0)] {
            assert_eq!(told(good, "json", zero, stars).0, Verdict::Held);
        }
        assert_eq!(told("http://127.0.0.1:1/webhooks/github", "json", json!("0"), stars).0, Verdict::Held);
        assert_eq!(told("https://smee.io/abc", "json", json!("0"), stars).0, Verdict::Open);
        for (wrong, why) in [
            (told("", "json", json!("0"), stars), "no URL"),
            (told("http://h.example.com/webhooks/github", "json", json!("0"), stars), "not https"),
            (told(good, "form", json!("0"), stars), "not application/json"),
            (told(good, "json", json!("1"), stars), "SSL verification is off"),
            (told(good, "json", json!("0"), None), "no secret"),
        ] {
            assert!(wrong.0 == Verdict::NotHeld && wrong.1.contains(why), "{why}: {wrong:?}");
        }
    }
}
