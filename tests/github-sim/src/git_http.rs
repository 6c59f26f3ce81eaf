//! Real git over HTTP: `git http-backend` as a CGI program on the bare repositories.
//!
//! Workflow files and protected branches are held back by hooks of each repository (see `repo_git`), which
//! learn by environment variables whether the token may write workflows, and what is protected.

use crate::auth::{Level, basic_token};
use crate::core::Shared;
use crate::model::Repository;
use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header, request::Parts};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use std::path::PathBuf;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::OnceLock;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio_util::io::ReaderStream;

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/{owner}/{repo}/info/refs", get(serve))
        .route("/{owner}/{repo}/git-upload-pack", post(serve))
        .route("/{owner}/{repo}/git-receive-pack", post(serve))
}

/// What a checked request may do.
struct Pass {
    repository: String,
    folder: PathBuf,
    protected: String,
    workflows: bool,
    writes: bool,
}

impl Pass {
    fn of(repo: &Repository, workflows: bool, writes: bool) -> Self {
        let (folder, protected) = (repo.path.clone(), repo.protected.join("\n"));
        Self { repository: repo.full_name(), folder, protected, workflows, writes }
    }
}

async fn serve(
    State(core): State<Shared>,
    Path((owner, repo)): Path<(String, String)>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let name = repo.strip_suffix(".git").unwrap_or(&repo);
    let pass = match check(&core, &format!("{owner}/{name}"), &parts) {
        Ok(pass) => pass,
        Err(refusal) => return *refusal,
    };
    match run(&core, &pass, &parts, body).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(%error, "git http-backend failed");
            (StatusCode::INTERNAL_SERVER_ERROR, "git http-backend failed\n").into_response()
        }
    }
}

/// Checks the credentials; the refusals are those that a git client meets on GitHub.
fn check(core: &Shared, full_name: &str, parts: &Parts) -> Result<Pass, Box<Response>> {
    let query = parts.uri.query().unwrap_or_default();
    let path = parts.uri.path();
    let writes = path.ends_with("/git-receive-pack") || query.contains("service=git-receive-pack");
    let world = core.read();
    let missing = || Box::new((StatusCode::NOT_FOUND, "Repository not found.\n").into_response());
    let Some(token) = basic_token(&parts.headers) else {
        let public = world.repository(full_name).ok().filter(|repo| !repo.private && !writes);
        return public.map(|repo| Pass::of(repo, false, false)).ok_or_else(unauthorized);
    };
    let grant = world.grant(&token).map_err(|refusal| match refusal.status {
        403 => Box::new((StatusCode::FORBIDDEN, format!("{}\n", refusal.message)).into_response()),
        _ => unauthorized(),
    })?;
    let moved = world.moved_to(full_name);
    let repo = moved.or_else(|| world.repository(full_name).ok()).ok_or_else(missing)?;
    if !grant.reaches(repo) {
        return Err(missing());
    }
    if !grant.allows("contents", if writes { Level::Write } else { Level::Read }) {
        let message = if writes { "Write access to repository not granted.\n" } else { "Access denied.\n" };
        return Err(Box::new((StatusCode::FORBIDDEN, message).into_response()));
    }
    if writes && repo.archived {
        let message = "This repository was archived so it is read-only.\n";
        return Err(Box::new((StatusCode::FORBIDDEN, message).into_response()));
    }
    let workflows = grant.allows("workflows", Level::Write);
    Ok(Pass::of(repo, workflows, writes))
}

fn unauthorized() -> Box<Response> {
    let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"GitHub\"")];
    Box::new((StatusCode::UNAUTHORIZED, challenge, "Invalid username or token.\n").into_response())
}

async fn run(core: &Shared, pass: &Pass, parts: &Parts, body: Body) -> anyhow::Result<Response> {
    let mut child = command(core, pass, parts)?.spawn()?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        anyhow::bail!("git http-backend has no pipes");
    };
    tokio::spawn(feed(body, input));
    let mut output = BufReader::new(output);
    let (status, headers) = read_head(&mut output).await?;
    let body = if parts.uri.path().ends_with("/git-receive-pack") {
        // The answer to a push is short; it waits until pull requests have followed the refs.
        let mut report = Vec::new();
        output.read_to_end(&mut report).await?;
        child.wait().await?;
        follow(core, &pass.repository);
        Body::from(report)
    } else {
        stream(child, output)
    };
    Ok((status, headers, body).into_response())
}

fn follow(core: &Shared, repository: &str) {
    let mut world = core.write();
    let bot = world.bot();
    if let Err(error) = world.follow_branches(repository, &bot) {
        tracing::error!(%error, "pull requests could not follow a push");
    }
}

fn stream(mut child: Child, output: BufReader<ChildStdout>) -> Body {
    tokio::spawn(async move { child.wait().await });
    Body::from_stream(ReaderStream::with_capacity(output, 64 * 1024))
}

fn command(core: &Shared, pass: &Pass, parts: &Parts) -> anyhow::Result<Command> {
    let backend = backend()?;
    let service = parts.uri.path().rsplit_once(".git/").or_else(|| {
        // A clone address without `.git` works on GitHub too.
        let tail = parts.uri.path().splitn(4, '/').nth(3)?;
        Some(("", tail))
    });
    let service = service.map(|(_, tail)| tail).unwrap_or_default();
    let folder = pass.folder.strip_prefix(&core.root)?;
    let mut command = Command::new(backend);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", &core.root)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_PROJECT_ROOT", &core.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", format!("/{}/{service}", folder.display()))
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("GITHUB_SIM_PROTECTED", &pass.protected)
        .env("GITHUB_SIM_WORKFLOWS", if pass.workflows { "write" } else { "none" })
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true);
    if pass.writes {
        command.env("REMOTE_USER", "x-access-token");
    }
    let handed_on = [
        ("content-type", "CONTENT_TYPE"),
        ("content-length", "CONTENT_LENGTH"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
        ("git-protocol", "GIT_PROTOCOL"),
    ];
    for (header, variable) in handed_on {
        if let Some(value) = parts.headers.get(header).and_then(|value| value.to_str().ok()) {
            command.env(variable, value);
        }
    }
    Ok(command)
}

/// Finds the CGI program in git's own folder, once.
fn backend() -> anyhow::Result<&'static PathBuf> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let output = std::process::Command::new("git").arg("--exec-path").output().ok()?;
        let folder = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
        Some(folder.join("git-http-backend")).filter(|program| program.is_file())
    });
    found.as_ref().ok_or_else(|| anyhow::anyhow!("git http-backend is not in `git --exec-path`; install git"))
}

/// Hands the request body to the program as it comes.
async fn feed(mut body: Body, mut input: ChildStdin) {
    loop {
        let frame = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        let Some(Ok(frame)) = frame else { return };
        let Ok(data) = frame.into_data() else { continue };
        // The program may have refused and gone; its answer tells why.
        if input.write_all(&data).await.is_err() {
            return;
        }
    }
}

async fn read_head(output: &mut BufReader<ChildStdout>) -> anyhow::Result<(StatusCode, HeaderMap)> {
    let (mut status, mut headers) = (StatusCode::OK, HeaderMap::new());
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).await? == 0 {
            anyhow::bail!("git http-backend ended before its headers did");
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Ok((status, headers));
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("status") {
            let code = value.trim().split(' ').next().unwrap_or_default();
            status = code.parse()?;
        } else {
            headers.insert(header::HeaderName::try_from(name)?, value.trim().parse()?);
        }
    }
}
