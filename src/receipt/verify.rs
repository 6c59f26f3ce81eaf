//! What of a receipt holds: each item is compared with what is at hand, and told by name.

use serde::Serialize;

use super::envelope::Receipt;
use super::key::PublicKey;
use super::statement::Statement;
use crate::brief::{extract, text_digest};

/// What came of comparing one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is as the receipt says.
    Matches,
    /// It is not.
    Differs,
    /// Nothing was at hand to tell.
    Unchecked,
}

/// One item of a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Names the item.
    pub item: &'static str,
    /// Tells whether it holds.
    pub outcome: Outcome,
    /// Tells more, for people.
    pub says: String,
}

/// A commit as a repository has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundCommit {
    /// Names its tree.
    pub tree: String,
    /// Names its parents.
    pub parents: Vec<String>,
}

/// A pull request as GitHub has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPull {
    /// Names the commit that its branch is at.
    pub head: String,
    /// Holds the id of the repository that it is in.
    pub repository: u64,
}

/// A log as a file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundLog {
    /// Names the file.
    pub name: String,
    /// Holds the SHA-256 of its content, in hex.
    pub sha256: String,
}

/// Everything that a receipt is compared with; `None` is what is not at hand, an error what could not be read.
#[derive(Debug, Default)]
pub struct AtHand {
    /// Holds the keys that are trusted.
    pub keys: Option<Vec<PublicKey>>,
    /// Holds the text of a brief, or of a page that holds briefs.
    pub brief: Option<String>,
    /// Holds what a repository has under the receipt's commit.
    pub commit: Option<Result<Option<FoundCommit>, String>>,
    /// Holds logs.
    pub logs: Option<Vec<FoundLog>>,
    /// Holds the number of the entry of the audit log that names the receipt.
    pub audit: Option<Result<Option<i64>, String>>,
    /// Holds the pull request that the receipt was read from.
    pub pull: Option<FoundPull>,
}

/// Tells whether something is proven: the signature holds, and nothing that was looked at differs.
pub fn proven(findings: &[Finding]) -> bool {
    let signed = |finding: &Finding| finding.item == SIGNATURE && finding.outcome == Outcome::Matches;
    findings.iter().any(signed) && findings.iter().all(|finding| finding.outcome != Outcome::Differs)
}

const SIGNATURE: &str = "signature";

/// Compares every item of a receipt with what is at hand.
pub fn verify(receipt: &Receipt, at_hand: &AtHand) -> Vec<Finding> {
    let statement = &receipt.statement;
    let mut findings = vec![signature(receipt, at_hand.keys.as_deref())];
    findings.extend(commit(statement, at_hand.commit.as_ref()));
    findings.push(brief(statement, at_hand.brief.as_deref()));
    findings.extend(logs(statement, at_hand.logs.as_deref()));
    findings.push(audit(at_hand.audit.as_ref()));
    findings.extend(at_hand.pull.as_ref().map(|pull| pull_finding(statement, pull)));
    findings
}

fn finding(item: &'static str, outcome: Outcome, says: impl Into<String>) -> Finding {
    Finding { item, outcome, says: says.into() }
}

fn holds(item: &'static str, holds: bool, matches: String, differs: String) -> Finding {
    if holds { finding(item, Outcome::Matches, matches) } else { finding(item, Outcome::Differs, differs) }
}

fn signature(receipt: &Receipt, keys: Option<&[PublicKey]>) -> Finding {
    let Some(keys) = keys else {
        return finding(SIGNATURE, Outcome::Unchecked, "give the server's public key by --key");
    };
    if let Some(key) = keys.iter().find(|key| receipt.signed_by(key)) {
        return finding(SIGNATURE, Outcome::Matches, format!("by the key {}", key.id()));
    }
    let known = keys.iter().any(|key| key.id() == receipt.key_id);
    let why = match known {
        true => format!("the key {} did not sign this: the receipt was changed", receipt.key_id),
        false => format!("it is by the key {}, which is not among those given", receipt.key_id),
    };
    finding(SIGNATURE, Outcome::Differs, why)
}

fn commit(statement: &Statement, found: Option<&Result<Option<FoundCommit>, String>>) -> Vec<Finding> {
    const ITEMS: [&str; 3] = ["commit", "tree", "parent"];
    let wanted = statement.commit();
    let base = &statement.predicate.base.git_commit;
    let (first, may_follow) = match &statement.predicate.base.onto {
        Some(onto) => (onto, Some(base)),
        None => (base, None),
    };
    let unchecked = |why: &str| ITEMS.map(|item| finding(item, Outcome::Unchecked, why)).to_vec();
    match found {
        None => unchecked("give a clone of the repository by --repo"),
        Some(Err(why)) => unchecked(why),
        Some(Ok(None)) => vec![finding(
            ITEMS[0],
            Outcome::Differs,
            format!("the repository has no commit {}; fetch its branch first", wanted.git_commit),
        )],
        Some(Ok(Some(found))) => vec![
            finding(ITEMS[0], Outcome::Matches, wanted.git_commit.clone()),
            holds(
                ITEMS[1],
                found.tree == wanted.git_tree,
                found.tree.clone(),
                format!("the commit's tree is {}, the receipt's {}", found.tree, wanted.git_tree),
            ),
            holds(
                ITEMS[2],
                found.parents.first() == Some(first)
                    && (found.parents.len() == 1
                        || (found.parents.len() == 2 && found.parents.get(1) == may_follow)),
                first.clone(),
                format!("the commit's parents are [{}], the receipt's {first}", found.parents.join(", ")),
            ),
        ],
    }
}

fn brief(statement: &Statement, text: Option<&str>) -> Finding {
    const ITEM: &str = "brief";
    let wanted = &statement.predicate.brief.sha256;
    let Some(text) = text else {
        return finding(
            ITEM,
            Outcome::Unchecked,
            "give the brief, or the text that it stands in, by --brief",
        );
    };
    let of = |text: &str| text_digest(text).to_string();
    let fences = extract(text).fences;
    let one =
        |text: &str| of(text) == *wanted || of(&format!("{}\n", text.trim_end_matches('\n'))) == *wanted;
    let matches =
        one(&crate::brief::extract::normalize(text)) || fences.iter().any(|fence| of(&fence.text) == *wanted);
    let looked =
        if fences.is_empty() { "the text is".to_owned() } else { format!("{} briefs are", fences.len()) };
    holds(ITEM, matches, wanted.clone(), format!("{looked} another: the receipt's has the SHA-256 {wanted}"))
}

fn logs(statement: &Statement, found: Option<&[FoundLog]>) -> Vec<Finding> {
    const ITEM: &str = "log";
    let Some(found) = found else {
        return vec![finding(ITEM, Outcome::Unchecked, "give the logs of the run by --log")];
    };
    let steps = || {
        let numbered = (1..).zip(&statement.predicate.steps);
        numbered.filter_map(|(number, step)| Some((number, &step.name, &step.log.as_ref()?.sha256)))
    };
    let mut findings: Vec<Finding> = steps()
        .map(|(number, name, sha256)| match found.iter().find(|log| log.sha256 == *sha256) {
            Some(log) => finding(ITEM, Outcome::Matches, format!("step {number} ({name}): {}", log.name)),
            None => {
                finding(ITEM, Outcome::Unchecked, format!("step {number} ({name}): not among those given"))
            }
        })
        .collect();
    let strange = found.iter().filter(|log| steps().all(|(_, _, sha256)| *sha256 != log.sha256));
    findings.extend(strange.map(|log| {
        finding(ITEM, Outcome::Differs, format!("{} is not the log of any step of the receipt", log.name))
    }));
    findings
}

fn audit(found: Option<&Result<Option<i64>, String>>) -> Finding {
    const ITEM: &str = "audit";
    match found {
        None => finding(ITEM, Outcome::Unchecked, "ask for it by --audit, with the server's store or a sink"),
        Some(Err(why)) => finding(ITEM, Outcome::Differs, why.as_str()),
        Some(Ok(Some(sequence))) => finding(ITEM, Outcome::Matches, format!("entry {sequence} names it")),
        Some(Ok(None)) => finding(ITEM, Outcome::Differs, "no entry of the log names the receipt"),
    }
}

fn pull_finding(statement: &Statement, pull: &FoundPull) -> Finding {
    const ITEM: &str = "pull request";
    let (wanted, repository) = (&statement.commit().git_commit, statement.predicate.repository.id);
    if pull.repository != repository {
        let other = format!("it is in the repository {}, the receipt's is {repository}", pull.repository);
        return finding(ITEM, Outcome::Differs, other);
    }
    holds(
        ITEM,
        pull.head == *wanted,
        format!("its branch is at {wanted}"),
        format!("its branch is at {}, the receipt is for {wanted}", pull.head),
    )
}

#[cfg(test)]
mod tests {
    use super::super::envelope::seal;
    use super::super::envelope::tests::{key, statement};
    use super::super::key::SigningKey;
    use super::*;
    use sha2::{Digest as _, Sha256};

    fn all() -> AtHand {
        let log = FoundLog { name: "step-01.log".to_owned(), sha256: hex::encode(Sha256::digest("one\n")) };
        AtHand {
            keys: Some(vec![key().public()]),
            brief: Some("Text\n\n```codex-brief\nexecutor: devbox-codex\n```\n".to_owned()),
            commit: Some(Ok(Some(FoundCommit { tree: "a".repeat(40), parents: vec!["b".repeat(40)] }))),
            logs: Some(vec![log]),
            audit: Some(Ok(Some(4))),
            pull: Some(FoundPull { head: "c".repeat(40), repository: 7 }),
        }
    }

    fn outcomes(at_hand: &AtHand) -> Vec<(&'static str, Outcome)> {
        let receipt = seal(&statement(), &key()).unwrap();
        verify(&receipt, at_hand).iter().map(|finding| (finding.item, finding.outcome)).collect()
    }

    #[test]
    fn what_is_at_hand_and_right_matches_and_proves() {
        let receipt = seal(&statement(), &key()).unwrap();
        let findings = verify(&receipt, &all());
        assert!(findings.iter().all(|finding| finding.outcome == Outcome::Matches), "{findings:#?}");
        assert_eq!(findings.len(), 8);
        assert!(proven(&findings));
        let raw = AtHand { brief: Some("executor: devbox-codex".to_owned()), ..all() };
        assert_eq!(outcomes(&raw), outcomes(&all()));
    }

    #[test]
    fn each_thing_that_is_another_is_named_and_nothing_is_proven() {
        let differs = |change: &dyn Fn(&mut AtHand)| -> Vec<&'static str> {
            let mut at_hand = all();
            change(&mut at_hand);
            let findings = verify(&seal(&statement(), &key()).unwrap(), &at_hand);
            assert!(!proven(&findings));
            let other = findings.iter().filter(|finding| finding.outcome == Outcome::Differs);
            other.map(|finding| finding.item).collect()
        };
        let other = || SigningKey::from_seed(&[8; 32]).unwrap().public();
        let commit = |tree: &str, parents: &[&str]| {
            let parents = parents.iter().map(|parent| parent.repeat(40)).collect();
            Some(Ok(Some(FoundCommit { tree: tree.repeat(40), parents })))
        };
        assert_eq!(differs(&|a| a.keys = Some(vec![other()])), ["signature"]);
        assert_eq!(differs(&|a| a.keys = Some(Vec::new())), ["signature"]);
        assert_eq!(differs(&|a| a.commit = Some(Ok(None))), ["commit"]);
        assert_eq!(differs(&|a| a.commit = commit("1", &["b"])), ["tree"]);
        assert_eq!(differs(&|a| a.commit = commit("a", &["1"])), ["parent"]);
        assert_eq!(differs(&|a| a.commit = commit("a", &["b", "1"])), ["parent"]);
        assert_eq!(differs(&|a| a.commit = commit("a", &[])), ["parent"]);
        let mut onto = statement();
        onto.predicate.base.onto = Some("d".repeat(40));
        let parents = |parents: &[&str]| {
            let parents = parents.iter().map(|parent| parent.repeat(40)).collect();
            let found = Ok(Some(FoundCommit { tree: "a".repeat(40), parents }));
            super::commit(&onto, Some(&found))[2].outcome
        };
        for (given, outcome) in [
            (&["d"][..], Outcome::Matches),
            (&["d", "b"], Outcome::Matches),
            (&["b"], Outcome::Differs),
            (&["d", "1"], Outcome::Differs),
            (&["b", "d"], Outcome::Differs),
        ] {
            assert_eq!(parents(given), outcome, "{given:?}");
        }
        assert_eq!(differs(&|a| a.brief = Some("executor: other\n".to_owned())), ["brief"]);
        assert_eq!(differs(&|a| a.logs.as_mut().unwrap()[0].sha256 = "0".repeat(64)), ["log"]);
        assert_eq!(differs(&|a| a.audit = Some(Ok(None))), ["audit"]);
        assert_eq!(differs(&|a| a.audit = Some(Err("broken".to_owned()))), ["audit"]);
        assert_eq!(differs(&|a| a.pull.as_mut().unwrap().head = "1".repeat(40)), ["pull request"]);
        assert_eq!(differs(&|a| a.pull.as_mut().unwrap().repository = 8), ["pull request"]);
    }

    #[test]
    fn a_receipt_that_was_changed_is_told_from_one_by_another_key() {
        let receipt = seal(&statement(), &key()).unwrap();
        let mut forged = statement();
        forged.predicate.requested_by.login = "olga".to_owned();
        let other = SigningKey::from_seed(&[8; 32]).unwrap();
        let foreign = seal(&forged, &other).unwrap();
        let changed = foreign.json().replace(&other.public().id(), &receipt.key_id);
        let told = |receipt: &Receipt| signature(receipt, Some(&[key().public()])).says;
        assert!(told(&foreign).contains("not among those given"));
        assert!(told(&Receipt::read(&changed).unwrap()).contains("was changed"));
    }

    #[test]
    fn without_anything_at_hand_nothing_is_proven() {
        let findings = verify(&seal(&statement(), &key()).unwrap(), &AtHand::default());
        assert!(findings.iter().all(|finding| finding.outcome == Outcome::Unchecked));
        assert!(!proven(&findings));
        let unsigned = AtHand { keys: None, ..all() };
        assert!(!proven(&verify(&seal(&statement(), &key()).unwrap(), &unsigned)));
    }
}
