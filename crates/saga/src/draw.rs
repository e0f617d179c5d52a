//! Drawing a definition, plain or with one saga's progress: pure text in, no tool needed to see it.

mod mermaid;
mod svg;
mod words;

pub use mermaid::mermaid;
pub use svg::svg;

#[cfg(test)]
mod tests;
