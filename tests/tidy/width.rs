//! Comments and prose are at most [`WIDTH`] columns wide. (Code may be wider: rustfmt decides.)
//!
//! Three exceptions, in comments and Markdown alike: what is in a fence (code, pictures), a row of
//! a table, and a line that cannot be broken, as it is a single word (a link) or a link's
//! definition.

use crate::assert_none;
use crate::tree::{REPOSITORY, Source, Tree};

const WIDTH: usize = 100;

/// Written by benches/versus.
const GENERATED: &[&str] = &["docs/benchmarks.md", "docs/benchmarks-net.md"];

fn wide_lines(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for file in tree.files.iter().filter(|file| !GENERATED.contains(&file.path.as_str())) {
        let said = match file.path.rsplit('.').next() {
            Some("rs") => comment,
            Some("md") => whole,
            _ => continue,
        };
        for number in wide_lines_of(file, said) {
            found.push(format!("{}:{number}: wider than {WIDTH} columns", file.path));
        }
    }
    found
}

/// `said`: the part of a line that is prose, if any.
fn wide_lines_of(file: &Source, said: fn(&str) -> Option<&str>) -> Vec<usize> {
    let mut in_fence = false;
    let mut found = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        let Some(text) = said(line).map(str::trim) else {
            in_fence = false;
            continue;
        };
        in_fence ^= text.starts_with("```");
        let is_wide = line.chars().count() > WIDTH;
        if is_wide && !in_fence && !is_table(text) && can_be_broken(text) {
            found.push(at + 1);
        }
    }
    found
}

fn is_table(text: &str) -> bool {
    text.starts_with('|')
}

fn can_be_broken(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().filter(|word| !["-", "*", ">"].contains(word)).collect();
    let is_definition = text.starts_with('[') && words.first().is_some_and(|word| word.ends_with("]:"));
    words.len() > 1 && !is_definition
}

/// What a line of prose says.
fn whole(line: &str) -> Option<&str> {
    Some(line)
}

/// What a line of code says in its comment. Slashes in a string or an address begin none.
fn comment(line: &str) -> Option<&str> {
    let begins = |at: &usize| line[..*at].matches('"').count().is_multiple_of(2) && !line[..*at].ends_with(':');
    let at = line.match_indices("//").map(|(at, _)| at).find(begins)?;
    Some(line[at..].trim_start_matches('/').trim_start_matches('!'))
}

#[test]
fn comments_and_prose_are_not_too_wide() {
    assert_none(&wide_lines(&REPOSITORY));
}

/// The numbers of the lines that are too wide.
fn wide(path: &str, lines: &[&str]) -> Vec<usize> {
    let found = wide_lines(&Tree::of(&[(path, &lines.join("\n"))]));
    let number = |complaint: &String| complaint.split(':').nth(1).unwrap().parse().unwrap();
    found.iter().map(number).collect()
}

#[test]
fn a_wide_comment_is_found() {
    let fits = format!("// {}", "┌─".repeat(48) + "x");
    let wide_by_one = format!("{fits}x y");
    let tree = Tree::of(&[("a.rs", &format!("fn f() {{}}\n{fits}\n{wide_by_one}"))]);
    assert_eq!(wide_lines(&tree), ["a.rs:3: wider than 100 columns"]);
    for marker in ["//", "///", "    //!", "let x = 1; //", "let url = \"//\"; //"] {
        assert_eq!(wide("a.rs", &[&format!("{marker} {}", "word ".repeat(20))]), [1], "{marker}");
    }
}

#[test]
fn wide_code_is_left_to_rustfmt() {
    let words = "word ".repeat(20);
    let lines = [&format!("let text = \"{words}\";"), &format!("let url = \"http://x.y/{words}\";")];
    assert_eq!(wide("a.rs", &lines.map(String::as_str)), []);
}

#[test]
fn pictures_tables_and_links_may_be_wide() {
    let words = "word ".repeat(21);
    let link = format!("[text](https://{})", "x".repeat(100));
    let definition = format!("[text]: https://{}", "x".repeat(100));
    let list = format!("- {link}");
    let row = format!("| {words} |");
    let lines = ["```text", &words, "```", &row, &link, &list, &definition, &words];
    assert_eq!(wide("a.md", &lines), [8]);
    assert_eq!(wide("a.rs", &lines.map(|line| format!("//! {line}")).each_ref().map(String::as_str)), [8]);
    assert_eq!(wide("docs/benchmarks.md", &lines), []);
}

#[test]
fn a_fence_ends_with_its_comment() {
    let words = format!("/// {}", "word ".repeat(20));
    assert_eq!(wide("a.rs", &["/// ```", &words, "fn f() {}", &words]), [4]);
}
