//! The pages on which somebody makes an App from a manifest and installs it. Whoever looks is signed in as the
//! owner of the account.

use super::{escape, missing, page_with};
use crate::act::{Manifest, Standing};
use crate::core::Shared;
use crate::world::World;
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Wanted {
    state: Option<String>,
}

/// What the page of a set-up posts, and the form of this page again, with the name as somebody left it.
#[derive(Deserialize)]
pub(super) struct Posted {
    manifest: Option<String>,
    name: Option<String>,
    state: Option<String>,
    create: Option<String>,
}

pub(super) async fn new_here(state: State<Shared>, query: Query<Wanted>, form: Form<Posted>) -> Response {
    let owner = state.read().app.account.clone();
    new(state, Path(owner), query, form).await
}

pub(super) async fn new(
    State(core): State<Shared>,
    Path(owner): Path<String>,
    Query(wanted): Query<Wanted>,
    Form(posted): Form<Posted>,
) -> Response {
    let mut world = core.write();
    if world.user(&owner).is_none() {
        return missing(&world);
    }
    let text = posted.manifest.unwrap_or_default();
    let manifest = match Manifest::read(&text) {
        Ok(manifest) => manifest,
        Err(why) => return invalid(&world, &why),
    };
    let state = posted.state.or(wanted.state).unwrap_or_default();
    let name = posted.name.unwrap_or_else(|| manifest.name.clone());
    if posted.create.is_none() {
        return ask(&world, &owner, &manifest, (&text, &name, &state), None);
    }
    match world.register_app(&name, &owner, &manifest) {
        Err(why) => ask(&world, &owner, &manifest, (&text, &name, &state), Some(&why)),
        Ok(code) => {
            let joint = if manifest.redirect_url.contains('?') { '&' } else { '?' };
            let state = crate::render::percent(&state);
            Redirect::to(&format!("{}{joint}code={code}&state={state}", manifest.redirect_url))
                .into_response()
        }
    }
}

fn invalid(world: &World, why: &str) -> Response {
    let content = format!(
        "<h1>Invalid GitHub App configuration</h1><p>The configuration does not appear to be a valid GitHub App \
         manifest.</p><div class=\"box\"><div class=\"row\">{}</div></div>",
        escape(why)
    );
    refused(page_with(world, "Invalid GitHub App configuration", None, &content, "'none'"))
}

fn ask(
    world: &World,
    owner: &str,
    manifest: &Manifest,
    (text, name, state): (&str, &str, &str),
    why: Option<&str>,
) -> Response {
    let permissions: String = manifest
        .default_permissions
        .iter()
        .map(|(name, level)| format!("<div class=\"row\"><b>{}</b> · {}</div>", escape(name), escape(level)))
        .collect();
    let events: Vec<String> = manifest.default_events.iter().map(|event| escape(event)).collect();
    let hook = manifest.hook_url().map_or_else(|| "none".to_owned(), escape);
    let told = why.map(|why| format!("<p role=\"alert\"><b>{}</b></p>", escape(why))).unwrap_or_default();
    let content = format!(
        "<h1>Create GitHub App for {}</h1>{told}<form method=\"post\" action=\"?state={}\">\
         <input type=\"hidden\" name=\"manifest\" value=\"{}\"><input type=\"hidden\" name=\"state\" value=\"{}\">\
         <p><label>GitHub App name <input name=\"name\" value=\"{}\"></label></p>\
         <p><button name=\"create\" value=\"yes\">Create GitHub App</button></p></form>\
         <h2>Permissions</h2><div class=\"box\">{permissions}</div>\
         <p>Events: {}. Webhook: {hook}. {}</p>",
        escape(owner),
        crate::render::percent(state),
        escape(text),
        escape(state),
        escape(name),
        if events.is_empty() { "none".to_owned() } else { events.join(", ") },
        if manifest.public { "Anybody may install it." } else { "Only this account may install it." },
    );
    // A browser holds the redirect after the form to the same list.
    let origin: String = manifest.redirect_url.split('/').take(3).collect::<Vec<_>>().join("/");
    let page = page_with(world, "Create GitHub App", None, &content, &format!("'self' {origin}"));
    if why.is_some() { refused(page) } else { page }
}

fn refused(mut page: Response) -> Response {
    *page.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    page
}

pub(super) async fn app(State(core): State<Shared>, Path(slug): Path<String>) -> Response {
    let world = core.read();
    if world.app.slug != slug {
        return missing(&world);
    }
    let (name, slug) = (escape(&world.app.name), escape(&slug));
    let content = format!("<h1>{name}</h1><p><a href=\"/apps/{slug}/installations/new\">Install</a></p>");
    page_with(&world, &name, None, &content, "'none'")
}

pub(super) async fn install_page(State(core): State<Shared>, Path(slug): Path<String>) -> Response {
    let world = core.read();
    if world.app.slug != slug {
        return missing(&world);
    }
    let boxes: String = of_account(&world)
        .iter()
        .map(|name| {
            let name = escape(name);
            format!(
                "<div class=\"row\"><label><input type=\"checkbox\" name=\"{name}\" value=\"on\" checked> {name}</label></div>"
            )
        })
        .collect();
    let content = format!(
        "<h1>Install {} on {}</h1><form method=\"post\"><div class=\"box\">{boxes}</div>\
         <p><button>Install</button></p></form>",
        escape(&world.app.name),
        escape(&world.app.account),
    );
    page_with(&world, "Install", None, &content, "'self'")
}

pub(super) async fn install(
    State(core): State<Shared>,
    Path(slug): Path<String>,
    Form(chosen): Form<Vec<(String, String)>>,
) -> Response {
    let mut world = core.write();
    if world.app.slug != slug {
        return missing(&world);
    }
    for name in of_account(&world) {
        let installed = chosen.iter().any(|(field, _)| *field == name);
        if let Ok(repo) = world.repository_mut(&name) {
            repo.installed = installed;
        }
    }
    let id = world.install();
    Redirect::to(&format!("/settings/installations/{id}")).into_response()
}

pub(super) async fn installation(State(core): State<Shared>, Path(id): Path<u64>) -> Response {
    let world = core.read();
    if world.app.installation_id != id || world.app.standing == Standing::Gone {
        return missing(&world);
    }
    let content = format!("<h1>{} is installed</h1>", escape(&world.app.name));
    page_with(&world, "Installed", None, &content, "'none'")
}

/// Lists the repositories of the account that owns the App.
fn of_account(world: &World) -> Vec<String> {
    let own = |repo: &&crate::model::Repository| repo.owner.eq_ignore_ascii_case(&world.app.account);
    world.repositories.iter().filter(own).map(crate::model::Repository::full_name).collect()
}
