//! A command line that cannot be meant: exit code 2, as for what clap itself refuses.

/// What is wrong with the command line, and what to give instead.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

impl Usage {
    /// As shells and clap have it.
    pub(crate) const EXIT_CODE: u8 = 2;
}
