//! Building the test files: each by itself, so that one which does not compile hides no other.

use std::collections::{HashMap, HashSet};
use std::io::BufReader;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::{env, fs};

use anyhow::{Context, Result, bail};
use cargo_metadata::diagnostic::{Diagnostic, DiagnosticLevel};
use cargo_metadata::{Message, TargetKind};

use crate::suite::{Source, Suite};

pub(crate) struct Compiled {
    /// By the name of the test file.
    pub(crate) executables: HashMap<String, PathBuf>,
    errors: HashMap<String, Vec<String>>,
}

impl Compiled {
    /// Builds what compiles of these files. What the compiler says about the others is kept in
    /// full in the scratch folder, as `<file>.errors`.
    pub(crate) fn of(suite: &Suite, files: &[&Source]) -> Result<Self> {
        suite.write_package(files)?;
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
        cargo.args(["build", "--tests", "--quiet", "--keep-going", "--message-format", "json", "--target-dir"]);
        cargo.arg(&suite.target).arg("--manifest-path").arg(suite.scratch.join("Cargo.toml"));
        // It would say of each file that does not compile that it does not.
        let log = suite.scratch.join("cargo.log");
        let mut cargo = cargo.stdout(Stdio::piped()).stderr(fs::File::create(&log)?).spawn()?;
        let messages = BufReader::new(cargo.stdout.take().context("piped")?);

        let mut compiled = Self { executables: HashMap::new(), errors: HashMap::new() };
        let mut said: HashMap<String, String> = HashMap::new();
        for message in Message::parse_stream(messages) {
            match message? {
                Message::CompilerArtifact(made) if made.target.kind.contains(&TargetKind::Test) => {
                    compiled.executables.extend(made.executable.map(|path| (made.target.name, path.into())));
                }
                Message::CompilerMessage(message) if is_error(&message.message) => {
                    *said.entry(message.target.name.clone()).or_default() += &message.message.to_string();
                    compiled.errors.entry(message.target.name).or_default().push(in_short(&message.message));
                }
                _ => {}
            }
        }
        cargo.wait()?;
        for (file, text) in &said {
            fs::write(suite.scratch.join(file).with_extension("errors"), text)?;
        }
        match files.iter().find(|file| !compiled.is_accounted_for(&file.name)) {
            None => Ok(compiled),
            Some(file) => {
                let is_other = |target: &&String| files.iter().all(|file| file.name != **target);
                let others: String = said.keys().filter(is_other).map(|target| said[target].as_str()).collect();
                bail!("{} was not even tried:\n{others}{}", file.name, fs::read_to_string(log)?)
            }
        }
    }

    /// What the compiler says about a file, each thing once.
    pub(crate) fn errors_of(&mut self, file: &str) -> Vec<String> {
        let mut errors = self.errors.remove(file).unwrap_or_default();
        let mut seen = HashSet::new();
        errors.retain(|error| seen.insert(error.clone()));
        errors
    }

    fn is_accounted_for(&self, file: &str) -> bool {
        self.executables.contains_key(file) || self.errors.contains_key(file)
    }
}

/// Whether this is an error about the code, and not the sum of the others.
fn is_error(said: &Diagnostic) -> bool {
    matches!(said.level, DiagnosticLevel::Error) && !said.message.starts_with("aborting due to")
}

/// One line for the table. The labels of some errors say more than their messages.
fn in_short(said: &Diagnostic) -> String {
    let message = said.message.trim_end_matches(" in the current scope");
    let label = said.spans.iter().find(|span| span.is_primary).and_then(|span| span.label.as_deref());
    match label {
        Some(label) if message.starts_with("unresolved import") => format!("{message}: {label}"),
        _ => message.to_owned(),
    }
}
