//! The one GraphQL query that is known: texts by their global ids, with who edited each last.

use super::respond::{Answer, Reply, Sent};
use crate::auth::Caller;
use crate::core::Shared;
use crate::model::{Edit, Repository, stamp};
use crate::refusal::Refusal;
use crate::render::node_id;
use crate::world::World;
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use serde::Deserialize;
use serde_json::{Value, json};

/// The query, with any white space in it.
const KNOWN: &str = "query($ids: [ID!]!) { nodes(ids: $ids) { id ... on Comment { body lastEditedAt editor \
    { login __typename ... on User { databaseId } ... on Bot { databaseId } } } } }";

/// GitHub's limit of ids in one query.
const MOST_IDS: usize = 100;

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/graphql", post(answer))
}

#[derive(Deserialize)]
struct Query {
    query: String,
    variables: Variables,
}

#[derive(Deserialize)]
struct Variables {
    ids: Vec<String>,
}

async fn answer(State(core): State<Shared>, caller: Caller, Sent(asked): Sent<Query>) -> Answer {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    if words(&asked.query) != words(KNOWN) {
        return Err(Refusal::new(400, "The simulated GitHub knows one GraphQL query only, and not this one"));
    }
    if asked.variables.ids.len() > MOST_IDS {
        let error =
            json!({"type": "ARGUMENT_LIMIT", "message": "You may not provide more than 100 node ids"});
        return Ok(Reply::ok(json!({"errors": [error]})));
    }
    let world = core.read();
    let (mut nodes, mut errors) = (Vec::new(), Vec::new());
    for (at, id) in asked.variables.ids.iter().enumerate() {
        let node = world.text_json(&caller, id);
        if node.is_null() {
            let message = format!("Could not resolve to a node with the global id of '{id}'");
            errors.push(json!({"type": "NOT_FOUND", "path": ["nodes", at], "message": message}));
        }
        nodes.push(node);
    }
    let mut answer = json!({"data": {"nodes": nodes}});
    if !errors.is_empty() {
        answer["errors"] = Value::Array(errors);
    }
    Ok(Reply::ok(answer))
}

impl World {
    /// Gives a text by its global id; null when there is none that the caller reaches.
    fn text_json(&self, caller: &Caller, id: &str) -> Value {
        let mut reached = self.repositories.iter().filter(|repo| caller.reaches(repo));
        let found = reached.find_map(|repo| self.text_in(repo, id));
        let Some((body, edited)) = found else { return Value::Null };
        json!({
            "id": id,
            "body": body,
            "lastEditedAt": edited.map(|edit| stamp(edit.at)),
            "editor": edited.map(|edit| self.editor_json(&edit.by)),
        })
    }

    fn text_in<'w>(&self, repo: &'w Repository, id: &str) -> Option<(&'w str, Option<&'w Edit>)> {
        if let Some(issue) = repo.issues.values().find(|issue| self.thread_node_id(repo, issue) == id) {
            return Some((issue.body.as_deref().unwrap_or_default(), issue.edited.as_ref()));
        }
        let comments = repo.comments.values();
        let comments = comments.map(|one| (node_id("IC", one.id), one.body.as_str(), one.edited.as_ref()));
        let remarks = repo.review_comments.values();
        let remarks = remarks.map(|one| (node_id("PRRC", one.id), one.body.as_str(), one.edited.as_ref()));
        let reviews = repo.reviews.values();
        let reviews = reviews.map(|one| (node_id("PRR", one.id), one.body.as_str(), one.edited.as_ref()));
        let mut all = comments.chain(remarks).chain(reviews);
        all.find(|(node, ..)| node == id).map(|(_, body, edited)| (body, edited))
    }

    /// Gives an account as GraphQL does, which leaves `[bot]` out of a bot's name.
    fn editor_json(&self, login: &str) -> Value {
        let Some(user) = self.user(login) else { return Value::Null };
        json!({
            "login": user.login.trim_end_matches("[bot]"),
            "__typename": user.kind,
            "databaseId": user.id,
        })
    }
}
