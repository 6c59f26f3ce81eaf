//! Steps that talk to a cluster: by the real kubectl, to a small API server on loopback.

use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::cluster::Cluster;
use super::{brief_of, ran};
use crate::support::{LANE, REPO, Town};

pub(crate) const READER: &str = "reader-token-0123456789abcdef";
const ADMIN: &str = "admin-token-0123456789abcdef";

/// Tells aloud where kubectl is missing, for which Ubuntu has no package; CI has it.
pub(crate) fn is_missing() -> bool {
    let missing = std::process::Command::new("kubectl").arg("options").output().is_err();
    assert!(!missing || std::env::var_os("CI").is_none(), "kubectl is missing in CI");
    if missing {
        eprintln!("left out: kubectl is not installed");
    }
    missing
}

/// Writes a kubeconfig with two contexts, the more powerful of which is the current one.
pub(crate) fn kubeconfig(folder: &Path, cluster: &Cluster) -> String {
    std::fs::write(folder.join("ca.pem"), cluster.certificate()).unwrap();
    let file = folder.join("kubeconfig");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: production\n\
         clusters: [{{name: here, cluster: {{server: {}, certificate-authority: ca.pem}}}}]\n\
         users: [{{name: reader, user: {{token: {READER}}}}}, {{name: admin, user: {{token: {ADMIN}}}}}]\n\
         contexts:\n  - {{name: staging, context: {{cluster: here, user: reader, namespace: web}}}}\n  \
         - {{name: production, context: {{cluster: here, user: admin, namespace: web}}}}\n",
        cluster.url()
    );
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    file.to_str().unwrap().to_owned()
}

fn lane(kubeconfig: &str) -> String {
    format!(
        "[[lane]]\nname = \"devbox-codex\"\nnetwork = \"full\"\n\
         kubectl = {{ kubeconfig = \"{kubeconfig}\", context = \"staging\", verbs = [\"get\", \"rollout status\"] }}\n"
    )
}

#[tokio::test]
async fn a_kubectl_step_reaches_the_lanes_cluster_as_the_lanes_account() {
    if is_missing() {
        return;
    }
    // The name of a pod shows whether what the cluster answers is masked.
    let cluster = Cluster::start(READER, &["web-1", READER]);
    let folder = tempfile::tempdir().unwrap();
    let town = Town::with_lanes(&lane(&kubeconfig(folder.path(), &cluster))).await;
    let steps = format!(
        "\
- name: mislead kubectl
  shell: |
    mkdir -p ~/.kube
    printf 'apiVersion: kubectl.config.k8s.io/v1beta1\\nkind: Preference\\ndefaults: [{{command: get, options: [{{name: \
     output, default: json}}]}}]\\n' > ~/.kube/kuberc
    printf 'apiVersion: v1\\nkind: Config\\ncurrent-context: evil\\n' > ~/.kube/config
- name: look
  kubectl: [get, pods, -o, name]
- name: search
  shell: |
    echo x > x.txt
    if [ -e /run/codex-brief/kubeconfig ] || env | grep -i kube || grep -rs {} / --include='*kube*' --exclude-dir=proc --exclude-dir=sys --exclude-dir=usr; then exit 1; fi
",
        "reader-token"
    );
    let (body, result) = ran(&town, &steps, &["x.txt"]).await;
    assert_eq!(result["status"], "success", "{body}\n{:?}", cluster.requests());
    assert!(body.contains("pod/web-1") && body.contains("pod/***") && !body.contains(READER), "{body}");
    let requests = cluster.requests();
    assert!(requests.iter().any(|(path, _)| path.starts_with("/api/v1/namespaces/web/pods")), "{requests:?}");
    assert!(requests.iter().all(|(_, bearer)| bearer == READER), "{requests:?}");
    let log = std::fs::read_to_string(
        town.state().join("runs").join(result["run"].as_str().unwrap()).join("logs/step-02.log"),
    );
    assert!(!log.unwrap().contains(READER), "it is masked on the disk, too");
}

#[tokio::test]
async fn a_lane_with_a_network_list_reaches_its_cluster_through_the_proxy() {
    // No packet is sent; the system chooses the address that it would come from.
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let own = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr()).map(|own| own.ip());
    let Some(own) = own.ok().filter(|own| !own.is_loopback()).filter(|_| !is_missing()) else {
        return eprintln!("left out: this machine has no address but loopback, or no kubectl");
    };
    let cluster = Cluster::start_at(own, READER, &["web-1"]);
    let folder = tempfile::tempdir().unwrap();
    let listed = cluster.url().trim_start_matches("https://");
    let lane = lane(&kubeconfig(folder.path(), &cluster));
    let town = Town::with_lanes(&lane.replace("\"full\"", &format!("[\"{listed}\"]"))).await;
    let steps = "- name: look\n  kubectl: [get, pods, -o, name]\n- name: note\n  shell: echo x > x.txt\n";
    let (body, result) = ran(&town, steps, &["x.txt"]).await;
    assert_eq!(result["status"], "success", "{body}");
    assert!(body.contains("pod/web-1"), "{body}");
    assert_eq!(result["network"]["allowed"][0]["host"], own.to_string().as_str());
}

#[tokio::test]
async fn what_the_lane_does_not_allow_of_its_cluster_does_not_run() {
    if is_missing() {
        return;
    }
    let cluster = Cluster::start(READER, &[]);
    let folder = tempfile::tempdir().unwrap();
    let town = Town::with_lanes(&lane(&kubeconfig(folder.path(), &cluster))).await;
    for (arguments, code) in [
        ("[delete, pods, --all]", "kubectl-verb"),
        ("[rollout, restart, deploy/web]", "kubectl-verb"),
        ("[get, pods, --context, production]", "brief-kubectl"),
        ("[get, pods, -Ashttps://evil.example]", "brief-kubectl"),
        ("[get, pods, --kubeconfig=/tmp/other]", "brief-kubectl"),
    ] {
        let text = brief_of(&format!("- name: ask\n  kubectl: {arguments}\n"), &["x.txt"]);
        let issue = town.sim.open_issue(REPO, "maria", "Ask", &text).unwrap();
        town.told(issue.number, code).await;
    }
    // Some builds of kubectl ask for the version even to show their configuration.
    let asked = cluster.requests().into_iter().filter(|(path, _)| !path.starts_with("/version"));
    assert_eq!(asked.collect::<Vec<_>>(), []);
    assert!(!town.server.log().contains("run begins"), "{}", town.server.log());
}

#[tokio::test]
async fn a_lane_without_a_cluster_or_with_one_that_cannot_be_used_says_so() {
    if is_missing() {
        return;
    }
    let town = Town::with_lanes(LANE).await;
    let text = brief_of("- name: ask\n  kubectl: [get, pods]\n", &["x.txt"]);
    let issue = town.sim.open_issue(REPO, "maria", "Ask", &text).unwrap();
    town.told(issue.number, "kubectl-missing").await;
    let folder = tempfile::tempdir().unwrap();
    let file = kubeconfig(folder.path(), &Cluster::start(READER, &[]));
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    let town = Town::with_lanes(&lane(&file)).await;
    town.logged("can be read by others (mode 644)").await;
    let town = Town::with_lanes(&lane(&file).replace("staging", "nowhere")).await;
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    let town = town.crash_and_restart();
    town.logged("nowhere").await;
}
