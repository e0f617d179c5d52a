//! How a command's report is written: for people, or for programs.

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// For people
    Table,
    /// JSON on standard output, for scripts
    Json,
}
