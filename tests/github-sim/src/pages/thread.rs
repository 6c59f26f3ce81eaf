//! The page of an issue and of a pull request.

use super::check::check_row;
use super::repository::labels;
use super::{ago, code, diff, escape, missing, page};
use crate::core::Shared;
use crate::model::{Issue, Pull, Repository, Subject, Time};
use crate::repo_git;
use crate::world::World;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};

pub(super) async fn issue(
    State(core): State<Shared>,
    Path((owner, name, number)): Path<(String, String, u64)>,
) -> Response {
    let world = core.read();
    let Ok(repo) = world.repository(&format!("{owner}/{name}")) else { return missing(&world) };
    let Some(issue) = repo.issues.get(&number) else { return missing(&world) };
    if issue.is_pull {
        return Redirect::to(&format!("/{}/pull/{number}", repo.full_name())).into_response();
    }
    let state = if issue.open { "open" } else { "closed" };
    let comments = match world.comments(&repo.full_name(), number).len() {
        1 => "1 comment".to_owned(),
        count => format!("{count} comments"),
    };
    let line = format!(
        "<span class=\"state {state}\">{}</span><b>{}</b> opened this issue {} · {comments} {}",
        if issue.open { "Open" } else { "Closed" },
        escape(&issue.author),
        ago(issue.created_at),
        labels(repo, issue),
    );
    let content = format!("{}{}", head(issue, &line), conversation(&world, repo, issue));
    page(&world, &format!("{} · Issue #{number}", issue.title), Some(repo), &content)
}

pub(super) async fn pull(
    State(core): State<Shared>,
    Path((owner, name, number)): Path<(String, String, String)>,
) -> Response {
    let world = core.read();
    let Ok(repo) = world.repository(&format!("{owner}/{name}")) else { return missing(&world) };
    let (digits, as_diff) =
        number.strip_suffix(".diff").map_or((number.as_str(), false), |digits| (digits, true));
    let Ok(number) = digits.parse::<u64>() else { return missing(&world) };
    let Some(issue) = repo.issues.get(&number) else { return missing(&world) };
    let Some(pull) = repo.pulls.get(&number) else {
        return Redirect::to(&format!("/{}/issues/{number}", repo.full_name())).into_response();
    };
    if as_diff {
        let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
        return (plain, world.pull_diff(repo, pull)).into_response();
    }
    let content = pull_content(&world, repo, pull, issue);
    page(&world, &format!("{} · Pull request #{number}", issue.title), Some(repo), &content)
}

fn pull_content(world: &World, repo: &Repository, pull: &Pull, issue: &Issue) -> String {
    let commits = repo_git::commits_between(&repo.path, &pull.base_sha, &pull.head_sha).unwrap_or_default();
    let files = repo_git::diff(&repo.path, &pull.base_sha, &pull.head_sha).unwrap_or_default();
    let (class, word) = match (issue.open, pull.merged_at.is_some()) {
        (true, _) => ("open", "Open"),
        (false, true) => ("merged", "Merged"),
        (false, false) => ("refused", "Closed"),
    };
    let plural = if commits.len() == 1 { "" } else { "s" };
    let line = format!(
        "<span class=\"state {class}\">{word}</span><b>{}</b> wants to merge {} commit{plural} into \
         <span class=\"branch\">{}</span> from <span class=\"branch\">{}</span> {}",
        escape(&issue.author),
        commits.len(),
        escape(&pull.base),
        escape(&pull.head),
        labels(repo, issue),
    );
    let checks: String = repo
        .check_runs
        .values()
        .filter(|run| run.head_sha == pull.head_sha)
        .map(|run| check_row(repo, run))
        .collect();
    let checks = match checks.is_empty() {
        true => String::new(),
        false => format!("<h2>Checks</h2><div class=\"box\">{checks}</div>"),
    };
    let messages: String = commits.iter().map(|commit| code::message(repo, commit)).collect();
    let sum = |count: fn(&repo_git::FileDiff) -> usize| files.iter().map(count).sum::<usize>();
    format!(
        "{}{}{checks}<h2>Commits</h2>{messages}\
         <h2>Files changed <span class=\"badge\">{}</span> <span class=\"plus-count\">+{}</span> \
         <span class=\"minus-count\">−{}</span></h2>{}",
        head(issue, &line),
        conversation(world, repo, issue),
        files.len(),
        sum(|file| file.additions),
        sum(|file| file.deletions),
        diff::files(&files),
    )
}

fn head(issue: &Issue, line: &str) -> String {
    let title = escape(&issue.title);
    format!(
        "<h1>{title} <span class=\"number\">#{}</span></h1><div class=\"line\">{line}</div>",
        issue.number
    )
}

/// One box of a conversation.
struct Talk<'a> {
    anchor: String,
    author: &'a str,
    verb: &'a str,
    at: Time,
    edited: bool,
    /// A piece of diff that the talk is about, as rows of a table.
    hunk: Option<&'a str>,
    body: &'a str,
    subject: Option<Subject>,
}

/// Renders body, comments, reviews and review comments in the order of time.
fn conversation(world: &World, repo: &Repository, issue: &Issue) -> String {
    let mut talks = vec![Talk {
        anchor: format!("issue-{}", issue.id),
        author: &issue.author,
        verb: "opened",
        at: issue.created_at,
        edited: false,
        hunk: None,
        body: issue.body.as_deref().unwrap_or_default(),
        subject: Some(Subject::Issue(issue.number)),
    }];
    talks.extend(repo.comments.values().filter(|comment| comment.number == issue.number).map(|comment| {
        Talk {
            anchor: format!("issuecomment-{}", comment.id),
            author: &comment.author,
            verb: "commented",
            at: comment.created_at,
            edited: comment.updated_at > comment.created_at,
            hunk: None,
            body: &comment.body,
            subject: Some(Subject::Comment(comment.id)),
        }
    }));
    talks.extend(reviewed(repo, issue.number));
    talks.sort_by_key(|talk| talk.at);
    talks.iter().map(|talk| talk_box(world, repo, talk)).collect()
}

fn reviewed(repo: &Repository, number: u64) -> impl Iterator<Item = Talk<'_>> {
    // A review that only carries line comments has no body and no box of its own.
    let reviews = repo.reviews.values().filter(move |review| {
        review.number == number && !(review.state == "COMMENTED" && review.body.is_empty())
    });
    let reviews = reviews.map(|review| Talk {
        anchor: format!("pullrequestreview-{}", review.id),
        author: &review.author,
        verb: match review.state.as_str() {
            "APPROVED" => "approved these changes",
            "CHANGES_REQUESTED" => "requested changes",
            _ => "reviewed",
        },
        at: review.submitted_at,
        edited: false,
        hunk: None,
        body: &review.body,
        subject: None,
    });
    let remarks = repo.review_comments.values().filter(move |comment| comment.number == number);
    reviews.chain(remarks.map(|comment| Talk {
        anchor: format!("discussion_r{}", comment.id),
        author: &comment.author,
        verb: "commented on the diff",
        at: comment.created_at,
        edited: comment.updated_at > comment.created_at,
        hunk: comment.in_reply_to.is_none().then_some(&comment.diff_hunk),
        body: &comment.body,
        subject: Some(Subject::ReviewComment(comment.id)),
    }))
}

fn talk_box(world: &World, repo: &Repository, talk: &Talk<'_>) -> String {
    let user = world.user(talk.author);
    let is_bot = user.is_some_and(|user| user.kind == "Bot");
    let (class, badge) = if is_bot { ("bot", " <span class=\"badge\">bot</span>") } else { ("", "") };
    let hue = user.map_or(0, |user| user.id * 47 % 360);
    let first = talk.author.chars().next().unwrap_or('?').to_string();
    let hunk = talk.hunk.map(|hunk| format!("<table class=\"diff\">{}</table>", diff::rows(hunk)));
    format!(
        "<div class=\"talk {class}\" id=\"{}\"><div class=\"avatar {class}\" style=\"background:hsl({hue} 45% 45%)\">{}</div>\
         <div class=\"box\"><div class=\"top\"><b>{}</b>{badge} {} {}{}</div>{}\
         <div class=\"body md\">{}</div>{}</div></div>",
        talk.anchor,
        escape(&first),
        escape(talk.author.trim_end_matches("[bot]")),
        talk.verb,
        ago(talk.at),
        if talk.edited { " · edited" } else { "" },
        hunk.unwrap_or_default(),
        world.markdown(repo, talk.body),
        talk.subject.map(|subject| reactions(repo, subject)).unwrap_or_default(),
    )
}

fn reactions(repo: &Repository, subject: Subject) -> String {
    let signs = ["👍", "👎", "😄", "😕", "❤️", "🎉", "🚀", "👀"];
    let pills: String = crate::render::reaction_contents()
        .iter()
        .zip(signs)
        .filter_map(|(content, sign)| {
            let mine = repo.reactions.iter().filter(|one| one.subject == subject && one.content == *content);
            let who: Vec<&str> = mine.map(|one| one.user.as_str()).collect();
            let title = escape(&who.join(", "));
            (!who.is_empty()).then(|| format!("<span title=\"{title}\">{sign} {}</span>", who.len()))
        })
        .collect();
    if pills.is_empty() { pills } else { format!("<div class=\"reactions\">{pills}</div>") }
}
