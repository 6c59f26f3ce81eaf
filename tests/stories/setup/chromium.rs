//! The whole of it in Chromium, which holds pages to their content security policies.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::Nothing;
use crate::support::SOON;

/// A Chromium that is driven by WebDriver; it ends when this is dropped.
struct Chromium {
    driver: Child,
    session: String,
}

/// What a browser on a machine of tests does without.
const FLAGS: [&str; 8] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// Names what an element is called by in WebDriver's answers.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

async fn call(method: &str, url: &str, body: Value) -> anyhow::Result<Value> {
    let client = reqwest::Client::new();
    let request = match method {
        "GET" => client.get(url),
        "DELETE" => client.delete(url),
        _ => client.post(url).json(&body),
    };
    let answer = request.send().await?;
    let (good, told) = (answer.status().is_success(), answer.json::<Value>().await?);
    anyhow::ensure!(good, "{method} {url}: {told}");
    Ok(told["value"].clone())
}

impl Chromium {
    async fn start(folder: &Path) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is missing: `deploy/bootstrap.sh test` installs it");
        let base = format!("http://127.0.0.1:{port}");
        let mut this = Self { driver, session: String::new() };
        let profile = format!("--user-data-dir={}", folder.join("profile").display());
        let flags: Vec<&str> = FLAGS.into_iter().chain([profile.as_str()]).collect();
        let wanted = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": flags}}}});
        let session = async {
            loop {
                match call("POST", &format!("{base}/session"), wanted.clone()).await {
                    Ok(told) => return told["sessionId"].as_str().unwrap().to_owned(),
                    // It does not listen yet.
                    Err(error) if error.is::<reqwest::Error>() => {
                        tokio::time::sleep(Duration::from_millis(50)).await
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        };
        let session = tokio::time::timeout(SOON, session).await.expect("chromedriver does not answer");
        this.session = format!("{base}/session/{session}");
        this
    }

    async fn go(&self, url: &str) {
        call("POST", &format!("{}/url", self.session), json!({ "url": url })).await.unwrap();
    }

    /// Clicks what is called so on the page whose title this is, once it is there.
    async fn click(&self, title: &str, xpath: &str) {
        let clicked = async {
            loop {
                let shown = call("GET", &format!("{}/title", self.session), Value::Null).await.unwrap();
                let find = json!({ "using": "xpath", "value": xpath });
                if shown == title
                    && let Ok(found) = call("POST", &format!("{}/element", self.session), find).await
                {
                    let id = found[ELEMENT].as_str().unwrap();
                    let click = format!("{}/element/{id}/click", self.session);
                    return call("POST", &click, json!({})).await.unwrap();
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(SOON, clicked).await.is_err() {
            let page = call("GET", &format!("{}/source", self.session), Value::Null).await;
            panic!("no `{xpath}` on `{title}`: {page:?}");
        }
    }

    async fn quit(mut self) {
        let _ = call("DELETE", &self.session, Value::Null).await;
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

#[tokio::test]
async fn a_person_makes_and_installs_the_app_in_chromium() {
    let nothing = Nothing::new().await;
    let mut setup = nothing.setup(&["--webhook-url", "http://127.0.0.1:9"]);
    let browser = Chromium::start(nothing.folder.path()).await;
    browser.go(&setup.address().await).await;
    browser.click("codex-brief: Create the GitHub App", "//button[.='Create the App on GitHub']").await;
    browser.click("Create GitHub App", "//button[.='Create GitHub App']").await;
    browser.click("codex-brief: The App is there", "//a[.='Install the App']").await;
    browser.click("Install", "//button[.='Install']").await;
    let (code, printed, told) = setup.end().await;
    browser.quit().await;
    assert!(code == 0 && printed.contains("reaches octo/example"), "{printed}{told}");
}
