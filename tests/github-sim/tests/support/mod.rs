//! What the simulator's own tests share: a client, a webhook receiver and the git command.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail as tests do")]

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use github_sim::{GithubSim, Permission};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// As long as any wait of a test may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Starts a simulator with `octo/example` and maria, who may write.
pub(crate) async fn sim_with_repository() -> GithubSim {
    let sim = GithubSim::start().await.unwrap();
    let files = [("README.md", "# Example\n\nOne.\nTwo.\nThree.\n"), ("src/main.rs", "fn main() {}\n")];
    sim.create_repository("octo/example", &files).unwrap();
    sim.set_permission("octo/example", "maria", Permission::Write).unwrap();
    sim
}

/// An answer of the API.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

/// A client that signs as the App or uses a token.
pub(crate) struct Api {
    base: String,
    token: String,
    client: reqwest::Client,
    key: &'static str,
    app_id: u64,
}

impl Api {
    pub(crate) fn of(sim: &GithubSim) -> Self {
        Self {
            base: sim.url(),
            token: sim.installation_token(),
            client: reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap(),
            key: sim.private_key_pem(),
            app_id: sim.app_id(),
        }
    }

    pub(crate) fn now(&self) -> i64 {
        chrono::Utc::now().timestamp()
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let key = jsonwebtoken::EncodingKey::from_rsa_pem(self.key.as_bytes()).unwrap();
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
        jsonwebtoken::encode(&header, claims, &key).unwrap()
    }

    pub(crate) async fn as_app(&self, method: &str, path: &str, body: Value) -> Answer {
        let claims = json!({"iss": self.app_id, "iat": self.now() - 60, "exp": self.now() + 540});
        self.with_token(&self.sign(&claims), method, path, body).await
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        self.try_call(method, path, body).await.unwrap()
    }

    pub(crate) async fn with_token(&self, token: &str, method: &str, path: &str, body: Value) -> Answer {
        self.send(token, method, path, body).await.unwrap()
    }

    pub(crate) async fn try_call(&self, method: &str, path: &str, body: Value) -> reqwest::Result<Answer> {
        self.send(&self.token, method, path, body).await
    }

    async fn send(&self, token: &str, method: &str, path: &str, body: Value) -> reqwest::Result<Answer> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, format!("{}{path}", self.base)).bearer_auth(token);
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await?;
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok(Answer { status, headers, body })
    }
}

/// One webhook as it arrived.
#[derive(Clone)]
pub(crate) struct Hook {
    headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Hook {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Takes webhooks and keeps them.
pub(crate) struct Receiver {
    pub(crate) url: String,
    got: Arc<Mutex<Vec<Hook>>>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let got: Arc<Mutex<Vec<Hook>>> = Arc::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let keep = got.clone();
        let take = move |headers: HeaderMap, body: Bytes| async move {
            keep.lock().unwrap().push(Hook { headers, body: body.to_vec() });
            StatusCode::ACCEPTED
        };
        let app = axum::Router::new().route("/hook", post(take));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, got }
    }

    pub(crate) fn received(&self) -> Vec<Hook> {
        self.got.lock().unwrap().clone()
    }
}

/// Computes the signature on its own, so that the simulator's is not held against itself.
pub(crate) fn signature(secret: &str, body: &[u8]) -> String {
    let mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    format!("sha256={}", hex::encode(mac.chain_update(body).finalize().into_bytes()))
}

/// Runs git without any configuration of this machine.
pub(crate) async fn git(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().await.unwrap()
}

/// Runs git with a token, given by the environment as the real server does it.
pub(crate) async fn git_env(folder: &Path, arguments: &[&str], token: &str) -> Output {
    with_token(folder, arguments, token).output().await.unwrap()
}

/// Runs git with a token, and lets it tell every header on its standard error.
pub(crate) async fn git_traced(folder: &Path, arguments: &[&str], token: &str) -> Output {
    with_token(folder, arguments, token).env("GIT_CURL_VERBOSE", "1").output().await.unwrap()
}

fn with_token(folder: &Path, arguments: &[&str], token: &str) -> tokio::process::Command {
    use base64::Engine as _;
    let basic = base64::prelude::BASE64_STANDARD.encode(format!("x-access-token:{token}"));
    let mut command = command(folder, arguments);
    command
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "http.extraHeader")
        .env("GIT_CONFIG_VALUE_0", format!("Authorization: Basic {basic}"));
    command
}

fn command(folder: &Path, arguments: &[&str]) -> tokio::process::Command {
    let mut command = tokio::process::Command::new("git");
    command.args(arguments).current_dir(folder);
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0");
    for role in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{role}_NAME"), "maria")
            .env(format!("GIT_{role}_EMAIL"), "maria@example.com");
    }
    command
}
