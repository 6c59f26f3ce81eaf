//! Bounds on what a whole step takes, and that it is told which one ended it.

use super::*;

fn memory(bytes: u64) -> Rig {
    Rig::limited(|limits| limits.memory_bytes = bytes)
}

fn disk(bytes: u64) -> Rig {
    Rig::limited(|limits| limits.disk_bytes = bytes)
}

/// Takes memory in steps, so that measuring comes along, and holds it.
const TAKE: &str = "import ctypes, os, sys, time\ndef take(mib):\n    held = []\n    while len(held) < mib:\n        \
    held.append(b'x' * (1 << 20)); time.sleep(0.005)\n    time.sleep(60)\n";

#[rstest]
#[case::one_process("take(1000)")]
#[case::many_processes_each_within_the_bound("[os.fork() for _ in range(3)]; take(40)")]
#[case::a_process_that_hides("ctypes.CDLL(None).prctl(4, 0, 0, 0, 0); take(1000)")]
#[case::shared_memory(
    "import mmap; m = mmap.mmap(-1, 1 << 30)\nfor i in range(0, 1 << 30, 4096):\n    m[i] = 1\n    if i % (1 << 20) == 0: time.sleep(0.005)"
)]
#[tokio::test]
async fn memory_of_a_whole_step_is_bounded(#[case] program: &str) {
    let rig = memory(100 << 20);
    let report = rig.run(&format!("python3 - <<'END'\n{TAKE}{program}\nEND")).await;
    assert_eq!((report.status, report.exit_code), (StepStatus::OverMemory, None), "{report:?}");
    assert_gone(&rig.run);
}

#[tokio::test]
async fn a_sudden_demand_for_memory_is_refused() {
    let told = memory(100 << 20)
        .prints(
            "python3 -c 'try: bytearray(1 << 30); print(\"had\")\nexcept MemoryError: print(\"refused\")'",
        )
        .await;
    assert_eq!(told, "refused");
}

#[tokio::test]
async fn what_is_shared_counts_once_and_a_bound_can_be_lifted() {
    // Four processes with the same 60 MB: no more than one of it.
    let program = "x = b'x' * (60 << 20)\nfor _ in range(3):\n    if os.fork() == 0: time.sleep(0.6); os._exit(0)\ntime.sleep(1); print('fine')";
    let told = memory(100 << 20).prints(&format!("python3 - <<'END'\n{TAKE}{program}\nEND")).await;
    assert_eq!(told, "fine");
    assert_eq!(
        memory(0).prints("ulimit -d; head -c 300M /dev/zero | tail -c 1 | wc -c").await,
        "unlimited\n1"
    );
}

#[rstest]
#[case::one_file("head -c 200M /dev/zero > ~/filler")]
#[case::ten_thousand_files("head -c 20000 /dev/zero > one; for i in {1..10000}; do cat one > $i; done")]
#[case::removed_but_open("exec 3> /tmp/filler; rm /tmp/filler; head -c 200M /dev/zero >&3")]
#[case::in_a_folder_that_is_closed(
    "mkdir -p d/e; exec 3> d/e/filler; chmod 0 d/e d; head -c 200M /dev/zero >&3"
)]
#[case::deep("for i in {1..50}; do mkdir d; cd d; done; head -c 200M /dev/zero > filler")]
#[tokio::test]
async fn the_disk_that_a_run_takes_is_bounded(#[case] script: &str) {
    let rig = disk(64 << 20);
    let report = rig.run(&format!("{script}; sleep 50")).await;
    assert_eq!((report.status, report.exit_code), (StepStatus::OverDisk, None), "{report:?}");
    assert_gone(&rig.run);
    assert!(report.duration_ms < 45_000, "{}", report.duration_ms);
}

#[tokio::test]
async fn what_a_step_removes_or_only_promises_takes_no_disk() {
    let script = "for i in 1 2 3; do head -c 40M /dev/zero > big; sleep 0.3; rm big; done; truncate -s 1G sparse; sleep 0.6; echo fine";
    assert_eq!(disk(64 << 20).prints(script).await, "fine");
}

#[tokio::test]
async fn a_file_of_five_gigabytes_is_not_made() {
    let report = Rig::new().run("truncate -s 5G big").await;
    assert_eq!((report.status, report.signal), (StepStatus::Failed, Some(25)), "{report:?}");
    // Also where the signal is not listened to.
    let script = "trap '' XFSZ; truncate -s 5G big 2> /dev/null || stat -c %s big";
    assert_eq!(Rig::new().prints(script).await, "0");
}
