//! The page with the results, docs/conformance.md: how it is written, and how it is read.

use std::collections::{BTreeMap, HashSet};

use crate::results::{File, Outcome, Results, Total};
use crate::reviewed::{self, Reviewed};

const NET: &str = "## Sockets, pipes and descriptors";
const REST: &str = "## The rest";
const FAILING: &str = "## Tests that fail";
const LEFT_OUT: &str = "## Files left out";
const NOT_BUILT: &str = "not built";

/// The files of the first table.
const OF_NET: &[&str] = &[
    "async_send_sync",
    "buffered",
    "io_async_fd*",
    "io_copy*",
    "io_split",
    "net_*",
    "tcp_*",
    "udp",
    "uds_*",
    "unix_shutdown",
];

/// How many of the compiler's errors are shown.
const MOST_ERRORS: usize = 3;

pub(crate) fn render(results: &Results, reviewed: &Reviewed) -> String {
    let of_net = |file: &&File| OF_NET.iter().any(|pattern| reviewed::matches(pattern, &file.name));
    let (net, rest): (Vec<&File>, Vec<&File>) = results.files.iter().partition(of_net);
    let mut page = format!(
        "# tokio's own tests on aio-runtime

The `tokio` crate carries its tests. Here they run unedited, on the library under the name of tokio:
`tests/conformance/Cargo.toml` is a second manifest of the same sources. What needs no runtime
(`sync`, the traits and helpers of `io`, `select!`, `join!`, task-locals) is tokio's own code there.
`Runtime` is `Send` there, which ours is not, so that a file compiles in which a test moves one to
another thread; that test fails.
Each test runs alone, in a process of its own, for a limited time. A file that names something which
is missing here does not build, and then none of its tests counts.

```sh
cargo run --manifest-path tests/conformance/Cargo.toml            # all, and writes this page
cargo run --manifest-path tests/conformance/Cargo.toml 'tcp_*'    # only these
```

tokio {}: {}.
",
        results.version,
        Total::of(&results.files)
    );
    for (heading, files) in [(NET, net), (REST, rest)] {
        page += &format!("\n{heading}\n\n{}.\n\n", Total::of(files.iter().copied()));
        page += "| file | tests | passed | failed | |\n|---|--:|--:|--:|---|\n";
        page.extend(files.into_iter().map(|file| row_of_file(file, reviewed)));
    }
    page += &format!("\n{FAILING}\n\n| test | why |\n|---|---|\n");
    for file in &results.files {
        for test in file.failing() {
            let name = file.full_name(test);
            let why = reviewed.why_it_fails(&name).map_or_else(|| test.verdict.to_string(), str::to_owned);
            page += &row(&[&code(&name), &escaped(&why)]);
        }
    }
    page += &format!("\n{LEFT_OUT}\n\n| file | why |\n|---|---|\n");
    for file in &results.files {
        if let Outcome::LeftOut = file.outcome {
            page += &row(&[&code(&file.name), reviewed.why_left_out(&file.name).unwrap_or_default()]);
        }
    }
    page
}

fn row_of_file(file: &File, reviewed: &Reviewed) -> String {
    let name = code(&file.name);
    let about = reviewed.about(&file.name).map(str::to_owned);
    match &file.outcome {
        Outcome::LeftOut => String::new(),
        Outcome::NotBuilt { tests, errors } => {
            let shown = errors.iter().take(MOST_ERRORS).map(|error| escaped(error));
            let more = errors.len().saturating_sub(MOST_ERRORS);
            let more = (more > 0).then(|| format!("{more} more errors"));
            let why: Vec<_> = about.into_iter().chain(shown).chain(more).collect();
            row(&[&name, &tests.to_string(), NOT_BUILT, "", &why.join("<br>")])
        }
        Outcome::Built(all) => {
            let failed = file.failing().count();
            let failed = if failed == 0 { String::new() } else { failed.to_string() };
            let ignored = all.len() - file.ran();
            let ignored = (ignored > 0).then(|| format!("{ignored} ignored, as by tokio"));
            let about: Vec<_> = about.into_iter().chain(ignored).collect();
            row(&[&name, &file.ran().to_string(), &file.passed().to_string(), &failed, &about.join("; ")])
        }
    }
}

fn row(cells: &[&str]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

fn code(name: &str) -> String {
    format!("`{name}`")
}

/// Text that stays in its cell and is not taken for HTML.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('\n', " ")
}

/// What an earlier page says.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Known {
    /// How many tests each file has that was built.
    built: BTreeMap<String, usize>,
    failing: HashSet<String>,
}

impl Known {
    pub(crate) fn read(page: &str) -> Self {
        let mut known = Self::default();
        let mut section = "";
        for line in page.lines() {
            if line.starts_with("## ") {
                section = line;
            }
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            let Some(name) = cells.get(1).and_then(|cell| cell.strip_prefix('`')?.strip_suffix('`')) else { continue };
            match section {
                NET | REST if cells[3] != NOT_BUILT => {
                    known.built.extend(cells[2].parse().map(|tests| (name.to_owned(), tests)));
                }
                FAILING => drop(known.failing.insert(name.to_owned())),
                _ => {}
            }
        }
        known
    }

    /// Whether the page names this test among those that fail.
    pub(crate) fn fails(&self, test: &str) -> bool {
        self.failing.contains(test)
    }

    /// The tests that passed then and do not now, and the files that are not built any more, that
    /// have fewer tests or that have vanished.
    pub(crate) fn lost(&self, results: &Results) -> Vec<String> {
        let mut lost = Vec::new();
        for (name, &tests) in &self.built {
            let Some(file) = results.files.iter().find(|file| file.name == *name) else {
                lost.push(format!("{name}: is missing"));
                continue;
            };
            if !matches!(file.outcome, Outcome::Built(_)) {
                lost.push(file.to_string());
            } else if file.ran() < tests {
                lost.push(format!("{name}: {} tests, where there were {tests}", file.ran()));
            }
            let failing = file.failing().map(|test| (file.full_name(test), &test.verdict));
            let failing = failing.filter(|(name, _)| !self.fails(name));
            lost.extend(failing.map(|(name, verdict)| format!("{name}: {verdict}")));
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Test, Verdict};

    fn results(files: Vec<(&str, Outcome)>) -> Results {
        let files = files.into_iter().map(|(name, outcome)| File { name: name.to_owned(), outcome });
        Results { version: "1.0.0".to_owned(), files: files.collect() }
    }

    fn built(tests: &[(&str, Verdict)]) -> Outcome {
        let test = |(name, verdict): &(&str, Verdict)| Test { name: (*name).to_owned(), verdict: verdict.clone() };
        Outcome::Built(tests.iter().map(test).collect())
    }

    fn not_built() -> Outcome {
        Outcome::NotBuilt { tests: 3, errors: ["a", "b", "c<d>|e", "f", "g"].map(str::to_owned).to_vec() }
    }

    fn failed() -> Verdict {
        Verdict::Failed("left | right".to_owned())
    }

    fn page(results: &Results) -> String {
        let text = "left-out = [{ why = 'for Windows', names = ['pipe'] }]
                    fails = [{ why = 'known', names = ['udp::hangs'] }]
                    files = [{ why = 'all of it', names = ['fs'] }]";
        render(results, &toml::from_str(text).unwrap())
    }

    #[test]
    fn the_page_shows_all_results() {
        let tests =
            [("works", Verdict::Passed), ("hangs", Verdict::Hung), ("no", failed()), ("later", Verdict::Ignored)];
        let page = page(&results(vec![("fs", not_built()), ("pipe", Outcome::LeftOut), ("udp", built(&tests))]));
        let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
        let expected = [
            "| `udp` | 3 | 1 | 2 | 1 ignored, as by tokio |",
            "| `fs` | 3 | not built |  | all of it<br>a<br>b<br>c&lt;d>\\|e<br>2 more errors |",
            "| `udp::hangs` | known |",
            "| `udp::no` | left \\| right |",
            "| `pipe` | for Windows |",
        ];
        assert_eq!(rows, expected);
        assert!(page.contains("1 of 3 tests pass; 1 files with 3 more tests do not build"), "{page}");
    }

    #[test]
    fn a_test_that_passed_is_missed() {
        let tests = |a, b, c| built(&[("a", a), ("b", b), ("c", c)]);
        let before = results(vec![
            ("fs", not_built()),
            ("tcp", built(&[("a", Verdict::Passed)])),
            ("udp", tests(Verdict::Passed, Verdict::Passed, failed())),
        ]);
        let known = Known::read(&page(&before));
        assert_eq!(known.lost(&before), [""; 0]);

        let now = results(vec![
            ("fs", built(&[("a", failed())])),
            ("tcp", not_built()),
            ("udp", tests(failed(), Verdict::Passed, Verdict::Hung)),
        ]);
        let lost = known.lost(&now);
        assert_eq!(lost.len(), 2, "{lost:?}");
        assert!(lost[0].starts_with("tcp: does not build"), "{lost:?}");
        assert_eq!(lost[1], "udp::a: left | right");
    }

    #[test]
    fn tests_and_files_that_vanish_are_missed() {
        let passing =
            |names: &[&'static str]| built(&names.iter().map(|name| (*name, Verdict::Passed)).collect::<Vec<_>>());
        let before = results(vec![("fs", not_built()), ("tcp", passing(&["a"])), ("udp", passing(&["a", "b"]))]);
        let known = Known::read(&page(&before));
        let lost = known.lost(&results(vec![("udp", built(&[("a", Verdict::Passed), ("b", Verdict::Ignored)]))]));
        assert_eq!(lost, ["tcp: is missing", "udp: 1 tests, where there were 2"]);
        assert_eq!(known.lost(&results(vec![("tcp", passing(&["a", "b"])), ("udp", passing(&["a", "b"]))])), [""; 0]);
    }

    #[test]
    fn only_what_the_page_names_is_known_to_fail() {
        // `reviewed.toml` of this page names `udp::hangs` as well.
        let before = results(vec![("udp", built(&[("hangs", Verdict::Passed), ("no", failed())]))]);
        let known = Known::read(&page(&before));
        assert!(known.fails("udp::no"));
        assert!(!known.fails("udp::hangs"));
    }
}
