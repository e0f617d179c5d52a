//! Where people look for sagas: live ones and those that have ended.

/// The rows of all sagas, to stand after `from`, by the name `saga`. `finished_at is null` means the live ones, and costs no
/// look at the others.
macro_rules! every_saga {
    () => {
        "every_saga as saga"
    };
}
pub(crate) use every_saga;
