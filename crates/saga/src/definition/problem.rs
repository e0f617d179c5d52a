//! What is wrong with a definition, and where.

use serde::Serialize;

/// A place in the YAML; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    pub line: u64,
    pub column: u64,
}

/// One mistake: where, in which step, what is wrong and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    #[serde(flatten)]
    pub place: Place,
    /// None outside the steps.
    pub step: Option<String>,
    pub problem: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: ", self.place.line, self.place.column)?;
        if let Some(step) = &self.step {
            write!(f, "step `{step}`: ")?;
        }
        f.write_str(&self.problem)
    }
}

/// All that is wrong with a definition, in the order of its lines.
#[derive(Debug, thiserror::Error)]
#[error("{}", problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))]
pub struct DefinitionError {
    pub problems: Vec<Problem>,
}
