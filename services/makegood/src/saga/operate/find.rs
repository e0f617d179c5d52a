//! From what an operator has in hand (a saga's id, a checkout's, a cancellation's, a return's, an order's, a reference) to the one saga that is meant.

use anyhow::bail;

use super::{
    admin::{Admin, read},
    answers::Summary,
    filter::Filter,
};

/// More sagas of one order than anybody wants to choose among.
const MAX_CHOICES: usize = 20;

/// The id of the saga that is meant.
pub(super) async fn saga_id(admin: &Admin, named: &str) -> anyhow::Result<String> {
    if is_id(named) {
        return Ok(named.to_owned());
    }
    let (found, _) = admin.sagas(&Filter::of_order(named), MAX_CHOICES).await?;
    let found = found.into_iter().map(read).collect::<anyhow::Result<Vec<Summary>>>()?;
    match found.as_slice() {
        [] => bail!(
            "no saga is about {named:?}: give a saga's id (sga_…), a checkout's (chk_…) or an order's (ord_…); \
             `makegood saga ls` lists them"
        ),
        [one] => Ok(one.id.clone()),
        several => bail!("several sagas are about {named}; say which one is meant:\n{}", choices(several)),
    }
}

/// A saga's own id, or that of what it is about: nothing in it means anything in a path.
fn is_id(named: &str) -> bool {
    let digits = ["sga_", "chk_", "cnl_", "ret_"].iter().find_map(|prefix| named.strip_prefix(prefix));
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn choices(sagas: &[Summary]) -> String {
    let line = |saga: &Summary| format!("  {}  {} v{}, {}", saga.id, saga.definition, saga.version, saga.stands());
    sagas.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::is_id;

    #[test]
    fn ids_of_sagas_and_of_what_they_are_about_go_into_a_path_and_nothing_else_does() {
        for prefix in ["sga", "chk", "cnl", "ret"] {
            assert!(is_id(&format!("{prefix}_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f")));
        }
        for text in ["ord_0198f0c2a3b47c5d8e9f0a1b2c3d4e5f", "sga_", "sga_../orders", "sga_1?x=2", "", "trip 7"] {
            assert!(!is_id(text), "{text}");
        }
    }
}
