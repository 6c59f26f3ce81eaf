//! Reactions on issues, issue comments and review comments.

use super::comments::comment_home;
use super::respond::{Answer, Asked, Reply, Sent};
use super::thread;
use crate::auth::{Caller, Level};
use crate::core::Shared;
use crate::model::Subject;
use crate::refusal::Refusal;
use crate::world::World;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{delete, get};
use serde::Deserialize;

pub(super) fn routes() -> Router<Shared> {
    let mut routes = Router::new();
    for kind in [Kind::Issue, Kind::Comment, Kind::ReviewComment] {
        let at = match kind {
            Kind::Issue => "/repos/{owner}/{repo}/issues/{id}/reactions",
            Kind::Comment => "/repos/{owner}/{repo}/issues/comments/{id}/reactions",
            Kind::ReviewComment => "/repos/{owner}/{repo}/pulls/comments/{id}/reactions",
        };
        let list = get(move |state, caller, path, asked| list(kind, state, caller, path, asked));
        let add = move |state, caller, path, sent| add(kind, state, caller, path, sent);
        let remove = move |state, caller, path| remove(kind, state, caller, path);
        routes = routes.route(at, list.post(add)).route(&format!("{at}/{{reaction}}"), delete(remove));
    }
    routes
}

#[derive(Clone, Copy)]
enum Kind {
    Issue,
    Comment,
    ReviewComment,
}

impl Kind {
    fn subject(self, id: u64) -> Subject {
        match self {
            Self::Issue => Subject::Issue(id),
            Self::Comment => Subject::Comment(id),
            Self::ReviewComment => Subject::ReviewComment(id),
        }
    }

    /// Finds the repository of the subject, when the caller may read or react there.
    fn home(
        self,
        caller: &Caller,
        world: &World,
        at: (&str, &str),
        id: u64,
        level: Level,
    ) -> Result<String, Refusal> {
        match self {
            Self::Issue => thread(caller, world, at, id, level).map(|(repo, _)| repo.full_name()),
            Self::Comment => comment_home(caller, world, at, id, level),
            Self::ReviewComment => {
                let repo = caller.repository(world, at.0, at.1)?;
                caller.needs("pull_requests", level)?;
                repo.review_comments.get(&id).ok_or_else(Refusal::not_found)?;
                Ok(repo.full_name())
            }
        }
    }
}

type Spot = Path<(String, String, u64)>;

async fn list(kind: Kind, state: State<Shared>, caller: Caller, path: Spot, asked: Asked) -> Answer {
    let (State(core), Path((owner, repo, id))) = (state, path);
    let world = core.read();
    let full = kind.home(&caller, &world, (&owner, &repo), id, Level::Read)?;
    let content = asked.get("content");
    let found = world.reactions(&full, kind.subject(id)).into_iter();
    let found = found.filter(|reaction| content.is_none_or(|content| reaction.content == content));
    let items = found.map(|reaction| world.reaction_json(&reaction)).collect();
    Ok(Reply::page(&world.base, &asked, items))
}

#[derive(Deserialize)]
struct NewReaction {
    #[serde(default)]
    content: String,
}

async fn add(
    kind: Kind,
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, id)): Spot,
    Sent(new): Sent<NewReaction>,
) -> Answer {
    let mut world = core.write();
    let full = kind.home(&caller, &world, (&owner, &repo), id, Level::Write)?;
    let bot = world.bot();
    let (reaction, is_new) = world.react(&full, kind.subject(id), &bot, &new.content)?;
    let shown = world.reaction_json(&reaction);
    Ok(if is_new { Reply::created(shown) } else { Reply::ok(shown) })
}

async fn remove(
    kind: Kind,
    State(core): State<Shared>,
    caller: Caller,
    Path((owner, repo, id, reaction)): Path<(String, String, u64, u64)>,
) -> Answer {
    let mut world = core.write();
    let full = kind.home(&caller, &world, (&owner, &repo), id, Level::Write)?;
    world.unreact(&full, kind.subject(id), reaction)?;
    Ok(Reply::nothing())
}
