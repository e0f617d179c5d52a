//! Where people look for sagas.

/// The rows of all sagas, to stand after `from`; its columns are those of the table `saga`, by that name.
macro_rules! every_saga {
    () => {
        "saga"
    };
}
pub(crate) use every_saga;
