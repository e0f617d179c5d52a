//! What is proven about sagas; docs/proof.md has the list, and the commands for longer runs.

mod definitions;
mod every_way;
