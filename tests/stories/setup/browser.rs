//! A browser that knows pages and forms, and a set-up that it is sent from.

use std::path::Path;
use std::process::Stdio;

use regex::Regex;
use reqwest::{Client, Url};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::support::{PROGRAM, SOON};

/// A page as it came.
#[derive(Debug)]
pub(crate) struct Page {
    url: Url,
    pub(crate) status: u16,
    pub(crate) html: String,
}

/// Returns the value of an attribute of a tag.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let found = Regex::new(&format!(r#"\s{name}=(?:"([^"]*)"|([^\s>]+))"#)).unwrap().captures(tag)?;
    let value = found.get(1).or_else(|| found.get(2)).unwrap().as_str();
    let plain = [("&quot;", "\""), ("&#39;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];
    Some(plain.iter().fold(value.to_owned(), |text, (entity, sign)| text.replace(entity, sign)))
}

async fn page(request: reqwest::RequestBuilder) -> Page {
    let answer = request.send().await.unwrap();
    let (url, status) = (answer.url().clone(), answer.status().as_u16());
    Page { url, status, html: answer.text().await.unwrap() }
}

impl Page {
    pub(crate) async fn open(url: &str) -> Self {
        page(Client::new().get(url)).await
    }

    /// Presses the button of the page's form that is called so, with other values in some fields.
    pub(crate) async fn press(&self, button: &str, typed: &[(&str, &str)]) -> Self {
        let form = self.html.split("<form").nth(1).unwrap_or_else(|| panic!("no form: {}", self.html));
        let form = form.split("</form>").next().unwrap();
        let tags = Regex::new(r"<(?:input|button)\s?[^>]*>[^<]*").unwrap();
        let mut fields = Vec::new();
        let mut pressed = false;
        for tag in tags.find_iter(form).map(|tag| tag.as_str()) {
            let is_button = tag.starts_with("<button");
            if is_button && !tag.ends_with(&format!(">{button}")) {
                continue;
            }
            pressed |= is_button;
            let Some(name) = attribute(tag, "name") else { continue };
            let other = typed.iter().find(|(field, _)| *field == name).map(|(_, value)| (*value).to_owned());
            fields.push((name.clone(), other.or_else(|| attribute(tag, "value")).unwrap_or_default()));
        }
        assert!(pressed, "no button `{button}`: {form}");
        let action = attribute(&format!("<form{}", form.split('>').next().unwrap()), "action");
        let to = action.map_or_else(|| self.url.clone(), |action| self.url.join(&action).unwrap());
        let encode = |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02X}")).collect() };
        let body: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let request = Client::new().post(to).header("content-type", "application/x-www-form-urlencoded");
        page(request.body(body.join("&"))).await
    }

    /// Follows the link that is called so.
    pub(crate) async fn follow(&self, link: &str) -> Self {
        let tags = Regex::new(&format!(r"<a\s[^>]*>{}</a>", regex::escape(link))).unwrap();
        let tag = tags.find(&self.html).unwrap_or_else(|| panic!("no link `{link}`: {}", self.html));
        let to = self.url.join(&attribute(tag.as_str(), "href").unwrap()).unwrap();
        Self::open(to.as_str()).await
    }
}

/// A `codex-brief setup` that runs; it is killed when this is dropped.
pub(crate) struct Setup {
    child: Child,
    told: watch::Receiver<String>,
}

impl Setup {
    /// Starts one in a folder.
    pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(PROGRAM)
            .arg("setup")
            .args(arguments)
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (tell, told) = watch::channel(String::new());
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                tell.send_modify(|told| *told += &(line + "\n"));
            }
        });
        Self { child, told }
    }

    /// Waits until it has told something.
    pub(crate) async fn tells(&mut self, text: &str) -> String {
        let found = self.told.wait_for(|told| told.contains(text));
        let found = tokio::time::timeout(SOON, found).await.map(|found| found.map(|told| told.clone()));
        match found {
            Ok(Ok(told)) => told,
            _ => panic!("`{text}` is not told: {}", self.told.borrow().as_str()),
        }
    }

    /// Waits for the address of its page.
    pub(crate) async fn address(&mut self) -> String {
        let told = self.tells("ssh -L").await;
        told.split_whitespace().find(|word| word.contains("/setup/")).unwrap().to_owned()
    }

    /// Interrupts it, as Ctrl-C does.
    pub(crate) async fn interrupt(mut self) -> String {
        let pid = nix::unistd::Pid::from_raw(self.child.id().unwrap().try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
        self.child.wait().await.unwrap();
        self.told.borrow().clone()
    }

    /// Waits for its end; returns its exit code, what it printed and what it told.
    pub(crate) async fn end(mut self) -> (i32, String, String) {
        let mut printed = String::new();
        let read = async {
            self.child.stdout.take().unwrap().read_to_string(&mut printed).await.unwrap();
            self.child.wait().await.unwrap()
        };
        let status = tokio::time::timeout(SOON, read).await;
        let Ok(status) = status else { panic!("it does not end: {}", self.told.borrow().as_str()) };
        // All of it is read when the writer is gone.
        while self.told.changed().await.is_ok() {}
        let told = self.told.borrow().clone();
        (status.code().unwrap_or(-1), printed, told)
    }
}
