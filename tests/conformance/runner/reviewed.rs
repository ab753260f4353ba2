//! What people have found out about the tests that do not pass: `reviewed.toml`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::results::{Outcome, Results};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Reviewed {
    /// Files that are not tried.
    #[serde(default)]
    left_out: Vec<Reason>,
    /// What is to be said about files that are tried.
    #[serde(default)]
    files: Vec<Reason>,
    /// Tests that fail.
    #[serde(default)]
    fails: Vec<Reason>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    why: String,
    /// Names, of which each may end with a `*`.
    names: Vec<String>,
}

impl Reviewed {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{}", path.display()))
    }

    pub(crate) fn why_left_out(&self, file: &str) -> Option<&str> {
        why(&self.left_out, file)
    }

    pub(crate) fn about(&self, file: &str) -> Option<&str> {
        why(&self.files, file)
    }

    /// `test`: with its file, `tcp_stream::try_read_write`.
    pub(crate) fn why_it_fails(&self, test: &str) -> Option<&str> {
        why(&self.fails, test)
    }

    /// Names of tests that pass, and of files that do not exist.
    pub(crate) fn outdated(&self, results: &Results) -> Vec<String> {
        let failing = |name: &str| {
            results.files.iter().any(|file| {
                matches!(file.outcome, Outcome::NotBuilt { .. })
                    || file.failing().any(|test| matches(name, &file.full_name(test)))
            })
        };
        let exists = |name: &str| results.files.iter().any(|file| matches(name, &file.name));
        let names = |reasons: &'_ [Reason]| reasons.iter().flat_map(|reason| reason.names.clone()).collect::<Vec<_>>();
        let passing = names(&self.fails).into_iter().filter(|name| !failing(name));
        let missing = [names(&self.left_out), names(&self.files)].concat().into_iter().filter(|name| !exists(name));
        passing
            .map(|name| format!("{name} does not fail"))
            .chain(missing.map(|name| format!("no file {name}")))
            .collect()
    }
}

fn why<'r>(reasons: &'r [Reason], name: &str) -> Option<&'r str> {
    let reason = reasons.iter().find(|reason| reason.names.iter().any(|pattern| matches(pattern, name)));
    reason.map(|reason| reason.why.as_str())
}

/// Whether `name` is `pattern`, in which a `*` stands for anything.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => name == pattern,
        Some((start, end)) => name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{File, Test, Verdict};

    #[test]
    fn a_star_stands_for_anything() {
        let names = ["tcp_split", "tcp_", "tcp", "udp_split"];
        let found = |pattern| names.into_iter().filter(|name| matches(pattern, name)).collect::<Vec<_>>();
        assert_eq!(found("tcp_*"), ["tcp_split", "tcp_"]);
        assert_eq!(found("*_split"), ["tcp_split", "udp_split"]);
        assert_eq!(found("tcp"), ["tcp"]);
        assert!(!matches("ab*ba", "aba"));
    }

    #[test]
    fn reasons_for_what_passes_or_is_missing_are_outdated() {
        let test = |name: &str, verdict| Test { name: name.to_owned(), verdict };
        let outcome = Outcome::Built(vec![test("good", Verdict::Passed), test("bad", Verdict::Hung)]);
        let files = vec![File { name: "tcp".to_owned(), outcome }];
        let text = r#"
            left-out = [{ why = "x", names = ["gone*", "tc*"] }]
            fails = [{ why = "y", names = ["tcp::good", "tcp::bad", "tcp::b*"] }]
        "#;
        let reviewed: Reviewed = toml::from_str(text).unwrap();
        let outdated = reviewed.outdated(&Results { version: String::new(), files });
        assert_eq!(outdated, ["tcp::good does not fail", "no file gone*"]);
    }
}
