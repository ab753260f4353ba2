//! The library has two manifests: its own, and the one under the name of tokio, for tokio's tests.
//! Their dependencies are the same, with a few exceptions.

use std::collections::BTreeSet;

use crate::assert_none;
use crate::tree::{REPOSITORY, Tree};

const OURS: &str = "Cargo.toml";
const TOKIOS: &str = "tests/conformance/Cargo.toml";

/// The traits may be from another tokio than the tests, and the rest is for the tests only.
const MAY_DIFFER: &[&str] = &["real_tokio = ", "send_wrapper = "];

fn differences(tree: &Tree) -> Vec<String> {
    let dependencies = |manifest| section(tree, manifest, "[dependencies]");
    let (ours, tokios) = (dependencies(OURS), dependencies(TOKIOS));
    let complain = |manifest: &str, line: &String| format!("only {manifest} has: {line}");
    let only_ours = ours.difference(&tokios).map(|line| complain(OURS, line));
    let only_tokios = tokios.difference(&ours).map(|line| complain(TOKIOS, line));
    let features = feature_names(tree, OURS).into_iter().filter(|name| !feature_names(tree, TOKIOS).contains(name));
    only_ours.chain(only_tokios).chain(features.map(|name| format!("{TOKIOS} has no feature {name}"))).collect()
}

/// The entries of a section, one to a line, as the library's own manifest would write them.
fn section(tree: &Tree, manifest: &str, heading: &str) -> BTreeSet<String> {
    let text = &tree.get(manifest).unwrap_or_else(|| panic!("no {manifest}")).text;
    let lines = text.lines().map(str::trim).skip_while(|line| *line != heading).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    let entries = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let entries = entries.filter(|line| !MAY_DIFFER.iter().any(|name| line.starts_with(name)));
    entries.map(|line| line.replace("path = \"../../", "path = \"")).collect()
}

fn feature_names(tree: &Tree, manifest: &str) -> BTreeSet<String> {
    let name = |line: &String| line.split(" = ").next().map(str::to_owned);
    section(tree, manifest, "[features]").iter().filter_map(name).collect()
}

#[test]
fn both_manifests_have_the_same_dependencies() {
    assert!(section(&REPOSITORY, OURS, "[dependencies]").len() > 5);
    assert_none(&differences(&REPOSITORY));
}

#[test]
fn a_difference_is_found() {
    let ours = "[features]\nhyper = []\n[dependencies]\na = { path = \"a\" }\n# why\nb = \"1\"\n[lints]\nc = \"1\"";
    let tokios = "[features]\nfacade = []\n\n[dependencies]\na = { path = \"../../a\" }\nb = \"2\"\nreal_tokio = \"1\"";
    assert_eq!(
        differences(&Tree::of(&[(OURS, ours), (TOKIOS, tokios)])),
        [
            "only Cargo.toml has: b = \"1\"",
            "only tests/conformance/Cargo.toml has: b = \"2\"",
            "tests/conformance/Cargo.toml has no feature hyper",
        ]
    );
}
