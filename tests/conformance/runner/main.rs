//! Runs tokio's own tests on aio-runtime, and writes down which of them pass.
//!
//! The crate that the registry serves carries its tests. [`suite`] finds them where cargo has
//! unpacked it and [`compile`] compiles them as they are, each file by itself, against the library
//! under the name of tokio. [`trial`] runs each test in a process of its own, within a time limit.
//! [`page`] shows the results, and reads the previous ones back. [`reviewed`] is what people have
//! found out about those that do not pass.

mod compile;
mod page;
mod results;
mod reviewed;
mod suite;
mod trial;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context, Result, bail};
use clap::Parser;

use compile::Compiled;
use page::Known;
use results::{File, Outcome, Results, Total};
use reviewed::Reviewed;
use suite::Suite;
use trial::Limits;

/// How long a test may take that the page names among those that fail. Many of those hang.
const KNOWN_LIMIT: Duration = Duration::from_secs(1);

/// Run tokio's own tests on aio-runtime, and write the results to docs/conformance.md.
#[derive(Parser)]
struct Cli {
    /// Only these files (`tcp_accept`, or `tcp_*`): their results are printed in full, and not
    /// written down.
    files: Vec<String>,
    /// Compare with docs/conformance.md instead of writing it. A test that passed there must pass.
    #[arg(long, conflicts_with = "files")]
    check: bool,
    /// After how many seconds a test counts as hung. At a second try it may take three times that.
    #[arg(long, default_value_t = 10)]
    limit: u64,
}

fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    let package =
        PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").context("to be run by cargo")?).join("..").canonicalize()?;
    let page = package.join("../../docs/conformance.md");
    let reviewed = Reviewed::read(&package.join("reviewed.toml"))?;
    let suite = Suite::find(&package)?;
    let before = fs::read_to_string(&page).with_context(|| format!("{}", page.display()))?;
    let known = Known::read(&before);
    let results = run(&cli, &suite, &reviewed, &known)?;

    println!("\n{}", Total::of(&results.files));
    if !cli.files.is_empty() {
        return Ok(if results.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    for remark in reviewed.outdated(&results) {
        println!("reviewed.toml: {remark}");
    }
    let text = page::render(&results, &reviewed);
    if !cli.check {
        fs::write(&page, text).with_context(|| format!("{}", page.display()))?;
        println!("written to docs/conformance.md");
        return Ok(ExitCode::SUCCESS);
    }
    let lost = known.lost(&results);
    for test in &lost {
        println!("passed before, and does not now: {test}");
    }
    if lost.is_empty() && before != text {
        println!("docs/conformance.md is not up to date: run this without --check to update it");
    }
    Ok(if lost.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run(cli: &Cli, suite: &Suite, reviewed: &Reviewed, known: &Known) -> Result<Results> {
    let wanted = |name: &str| cli.files.is_empty() || cli.files.iter().any(|pattern| reviewed::matches(pattern, name));
    let files: Vec<_> = suite.files.iter().filter(|file| wanted(&file.name)).collect();
    if files.is_empty() {
        bail!("tokio {} has no test file of that name", suite.version);
    }
    let (left_out, files): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|file| reviewed.why_left_out(&file.name).is_some());

    println!("building {} of tokio {}'s test files", files.len(), suite.version);
    let begun = Instant::now();
    let mut compiled = Compiled::of(suite, &files)?;
    println!("took {} s; running them", begun.elapsed().as_secs());

    let limit = Duration::from_secs(cli.limit);
    let mut results = Results { version: suite.version.clone(), files: Vec::new() };
    for source in files {
        let outcome = match compiled.executables.remove(&source.name) {
            Some(executable) => {
                let limits = |test: &str| match known.fails(&results::full_name(&source.name, test)) {
                    true => Limits { first: KNOWN_LIMIT, second: None },
                    false => Limits { first: limit, second: Some(3 * limit) },
                };
                Outcome::Built(trial::run_all(&executable, &suite.scratch, limits)?)
            }
            None => Outcome::NotBuilt { tests: source.count_tests()?, errors: compiled.errors_of(&source.name) },
        };
        let file = File { name: source.name.clone(), outcome };
        println!("{file}");
        results.files.push(file);
    }
    results.files.extend(left_out.iter().map(|source| File { name: source.name.clone(), outcome: Outcome::LeftOut }));
    results.files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(results)
}
