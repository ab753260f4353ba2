//! What became of the tests.

use std::fmt;

#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) version: String,
    pub(crate) files: Vec<File>,
}

#[derive(Debug)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) outcome: Outcome,
}

#[derive(Debug)]
pub(crate) enum Outcome {
    /// Not tried, for a reason that was reviewed.
    LeftOut,
    NotBuilt {
        /// How many tests the file has, as far as its text tells.
        tests: usize,
        errors: Vec<String>,
    },
    Built(Vec<Test>),
}

#[derive(Debug)]
pub(crate) struct Test {
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    Passed,
    /// By tokio's own `#[ignore]`.
    Ignored,
    Failed(String),
    Hung,
}

/// The sum of some files.
#[derive(Debug, Default)]
pub(crate) struct Total {
    passed: usize,
    ran: usize,
    files_not_built: usize,
    tests_not_built: usize,
}

impl Total {
    pub(crate) fn of<'f>(files: impl IntoIterator<Item = &'f File>) -> Self {
        let mut total = Self::default();
        for file in files {
            total.passed += file.passed();
            total.ran += file.ran();
            if let Outcome::NotBuilt { tests, .. } = file.outcome {
                total.files_not_built += 1;
                total.tests_not_built += tests;
            }
        }
        total
    }
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} tests pass", self.passed, self.ran)?;
        match self.files_not_built {
            0 => Ok(()),
            files => write!(f, "; {files} files with {} more tests do not build", self.tests_not_built),
        }
    }
}

impl Results {
    /// Whether all files were built, and all their tests passed.
    pub(crate) fn is_clean(&self) -> bool {
        let not_built = |file: &File| matches!(file.outcome, Outcome::NotBuilt { .. });
        !self.files.iter().any(|file| not_built(file) || file.failing().next().is_some())
    }
}

impl File {
    /// Its tests, but for those that tokio ignores too.
    pub(crate) fn tests(&self) -> impl Iterator<Item = &Test> {
        let tests = match &self.outcome {
            Outcome::Built(tests) => tests.as_slice(),
            Outcome::LeftOut | Outcome::NotBuilt { .. } => &[],
        };
        tests.iter().filter(|test| test.verdict != Verdict::Ignored)
    }

    pub(crate) fn failing(&self) -> impl Iterator<Item = &Test> {
        self.tests().filter(|test| test.verdict != Verdict::Passed)
    }

    pub(crate) fn ran(&self) -> usize {
        self.tests().count()
    }

    pub(crate) fn passed(&self) -> usize {
        self.ran() - self.failing().count()
    }

    pub(crate) fn full_name(&self, test: &Test) -> String {
        full_name(&self.name, &test.name)
    }
}

/// The name of a test among those of all files.
pub(crate) fn full_name(file: &str, test: &str) -> String {
    format!("{file}::{test}")
}

/// Its results, for somebody who looks at this file only.
impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::LeftOut => write!(f, "{}: left out", self.name),
            Outcome::NotBuilt { errors, .. } => {
                write!(f, "{}: does not build", self.name)?;
                errors.iter().try_for_each(|error| write!(f, "\n    {error}"))
            }
            Outcome::Built(_) => {
                write!(f, "{}: {} of {} pass", self.name, self.passed(), self.ran())?;
                self.failing().try_for_each(|test| write!(f, "\n    {}: {}", test.name, test.verdict))
            }
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Passed => write!(f, "passes"),
            Verdict::Ignored => write!(f, "is ignored"),
            Verdict::Failed(message) => write!(f, "{message}"),
            Verdict::Hung => write!(f, "hangs"),
        }
    }
}
