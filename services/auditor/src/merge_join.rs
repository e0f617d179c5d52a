//! Two streams in the order of one key, walked at once in constant memory.

use futures::{Stream, StreamExt as _};
use uuid::Uuid;

/// One row of a stream: its key and what it says.
pub(crate) type Row<T> = (Uuid, T);

/// Calls `each` once per key with what either stream has under it, in the order of the keys.
///
/// The first stream has begun, and so its snapshot is taken, before the second one is asked: a check names first what must
/// be true of the other *by then*. Keys must be strictly ascending on each side: a key that comes twice is an
/// error, since it would be matched with nothing and look like a violation.
pub(crate) async fn merge_join<A, B, E>(
    first: impl Stream<Item = Result<Row<A>, E>>,
    second: impl Stream<Item = Result<Row<B>, E>>,
    mut each: impl FnMut(Uuid, Option<A>, Option<B>),
) -> anyhow::Result<()>
where
    anyhow::Error: From<E>,
{
    let mut first = std::pin::pin!(first);
    let mut second = std::pin::pin!(second);
    let mut left = first.next().await.transpose()?;
    let mut right = second.next().await.transpose()?;
    let mut last = None;
    loop {
        let key = match (&left, &right) {
            (Some((a, _)), Some((b, _))) => *a.min(b),
            (Some((key, _)), None) | (None, Some((key, _))) => *key,
            (None, None) => return Ok(()),
        };
        if last.is_some_and(|last| last >= key) {
            anyhow::bail!("the rows to be joined are not in the strict order of their keys at {key}");
        }
        last = Some(key);
        let a = left.take_if(|(own, _)| *own == key).map(|(_, value)| value);
        let b = right.take_if(|(own, _)| *own == key).map(|(_, value)| value);
        if a.is_some() {
            left = first.next().await.transpose()?;
        }
        if b.is_some() {
            right = second.next().await.transpose()?;
        }
        each(key, a, b);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::stream;

    use super::*;

    fn rows(keys: &[u128]) -> impl Stream<Item = Result<Row<u128>, Infallible>> {
        stream::iter(keys.iter().map(|key| Ok((Uuid::from_u128(*key), *key))).collect::<Vec<_>>())
    }

    async fn joined(first: &[u128], second: &[u128]) -> anyhow::Result<Vec<(Option<u128>, Option<u128>)>> {
        let mut pairs = Vec::new();
        merge_join(rows(first), rows(second), |_, a, b| pairs.push((a, b))).await?;
        Ok(pairs)
    }

    #[tokio::test]
    async fn every_key_comes_once_with_what_each_side_has() {
        let pairs = joined(&[1, 2, 4, 7, 8], &[2, 3, 4, 9]).await.expect("ordered");
        assert_eq!(
            pairs,
            [
                (Some(1), None),
                (Some(2), Some(2)),
                (None, Some(3)),
                (Some(4), Some(4)),
                (Some(7), None),
                (Some(8), None),
                (None, Some(9))
            ]
        );
    }

    #[tokio::test]
    async fn an_empty_side_leaves_the_other_whole() {
        assert_eq!(joined(&[], &[1, 2]).await.expect("ordered"), [(None, Some(1)), (None, Some(2))]);
        assert_eq!(joined(&[1], &[]).await.expect("ordered"), [(Some(1), None)]);
        assert_eq!(joined(&[], &[]).await.expect("ordered"), []);
    }

    #[tokio::test]
    async fn rows_out_of_order_and_keys_that_come_twice_are_errors_and_no_findings() {
        assert!(joined(&[2, 1], &[]).await.is_err());
        assert!(joined(&[1, 1], &[1]).await.is_err());
    }
}
