//! Writing for a person: aligned columns, colour where there is a terminal, and nothing that a message could do to it.

use std::{
    io::{ErrorKind, Write as _},
    sync::atomic::{AtomicBool, Ordering},
};

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use unicode_width::UnicodeWidthStr as _;

/// Whether anything was written to standard output: an error as JSON must not follow a document.
static HAS_WRITTEN: AtomicBool = AtomicBool::new(false);
/// Between two columns.
const GAP: &str = "  ";

/// A text with how it is to look. What has no colour is written as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Styled {
    text: String,
    style: Style,
}

impl Styled {
    pub(crate) fn new(text: impl AsRef<str>, style: Style) -> Self {
        Self { text: tame(text.as_ref()), style }
    }

    pub(crate) fn plain(text: impl AsRef<str>) -> Self {
        Self::new(text, Style::new())
    }

    pub(crate) fn faint(text: impl AsRef<str>) -> Self {
        Self::new(text, Style::new().dimmed())
    }

    pub(crate) fn bold(text: impl AsRef<str>) -> Self {
        Self::new(text, Style::new().bold())
    }

    /// A saga's state, in the colour of how much it wants somebody.
    pub(crate) fn state(state: &str) -> Self {
        Self::new(state, style_of(state))
    }
}

impl std::fmt::Display for Styled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}{:#}", self.style, self.text, self.style)
    }
}

fn style_of(state: &str) -> Style {
    let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
    match state {
        "parked" => colour(AnsiColor::Red).bold(),
        "compensating" | "undoing" | "undo_retrying" | "retrying" | "unknown" => colour(AnsiColor::Yellow),
        "paused" => colour(AnsiColor::Magenta),
        "running" | "finishing" | "sent" => colour(AnsiColor::Cyan),
        "waiting" | "pending" => colour(AnsiColor::Blue),
        "completed" | "done" => colour(AnsiColor::Green),
        "compensated" | "undone" | "idle" | "skipped" => Style::new().dimmed(),
        _ => Style::new(),
    }
}

/// Without control characters: a participant's words must not move the cursor or repaint the screen.
fn tame(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// At most so many characters, with an ellipsis where some are missing.
pub(crate) fn shortened(text: &str, characters: usize) -> String {
    if text.chars().count() <= characters {
        return text.to_owned();
    }
    text.chars().take(characters.saturating_sub(1)).chain(['…']).collect()
}

/// Rows in columns that are as wide as their widest cell. The last column is not padded.
pub(crate) fn columns(rows: &[Vec<Styled>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column| {
        rows.iter().filter_map(|row: &Vec<Styled>| row.get(column)).map(|cell: &Styled| cell.text.width()).max()
    };
    let widths: Vec<usize> = (0..count).map(|column| width(column).unwrap_or_default()).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&cell.to_string());
            line.push_str(&" ".repeat(width - cell.text.width()));
            line.push_str(GAP);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Standard output, with colours where it is a terminal and NO_COLOR does not forbid them.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    HAS_WRITTEN.store(true, Ordering::Relaxed);
    let mut out = anstream::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        // Whoever read us (`head`, a pager) has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        written => Ok(written?),
    }
}

pub(crate) fn has_written() -> bool {
    HAS_WRITTEN.load(Ordering::Relaxed)
}

/// A line. What somebody else wrote into it cannot become another one.
pub(crate) fn print_line(text: impl AsRef<str>) -> anyhow::Result<()> {
    print(&format!("{}\n", tame(text.as_ref())))
}

/// A document for programs.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// One line of JSON lines.
pub(crate) fn print_json_line(value: &impl Serialize) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string(value)?))
}

/// What a text is without its colours, for tests.
#[cfg(test)]
pub(crate) fn uncoloured(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_whatever_colours_and_wide_letters_are_in_them() {
        let rows = [
            vec![Styled::bold("ID"), Styled::plain("STATE"), Styled::plain("WHY")],
            vec![Styled::plain("顧客"), Styled::state("parked"), Styled::plain("no answer")],
            vec![Styled::plain("longer"), Styled::state("running")],
        ];
        assert_eq!(uncoloured(&columns(&rows)), "ID      STATE    WHY\n顧客    parked   no answer\nlonger  running\n");
    }

    #[test]
    fn a_message_cannot_steer_the_terminal() {
        let evil = Styled::plain("done\u{1b}[2J\r\nreally");
        assert_eq!(evil.to_string(), "done [2J  really");
    }

    #[test]
    fn long_texts_end_in_an_ellipsis() {
        assert_eq!(shortened("brief", 5), "brief");
        assert_eq!(shortened("ähnlich lang", 5), "ähnl…");
    }
}
