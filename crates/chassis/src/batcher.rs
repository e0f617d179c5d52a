//! Many callers, one statement: requests that arrive while a batch runs form the next batch.
//! No timer waits for more: a lone caller is served at once.

use std::{future::Future, sync::Arc};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

type Waiting<T, R> = (T, oneshot::Sender<R>);

/// A handle to the batching task. `R` comes back to the caller whose `T` it answers.
pub struct Batcher<T, R>(mpsc::Sender<Waiting<T, R>>);

impl<T, R> Clone for Batcher<T, R> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T, R> std::fmt::Debug for Batcher<T, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batcher").field("free_places", &self.0.capacity()).finish()
    }
}

/// Why a caller got no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Overloaded {
    /// The queue is full; the request was not started.
    #[error("too many requests are waiting")]
    QueueFull,
    /// The batch panicked, or its runtime ended: whether it took effect is unknown. Ask again under the same key.
    #[error("the batch that held the request died")]
    BatchLost,
}

impl<T: Send + 'static, R: Send + 'static> Batcher<T, R> {
    /// Spawns the task on the current runtime. `run` gets 1 to `max_batch` items and returns as many results, in order.
    /// At most `max_queue` callers wait; more are refused. `lanes` batches may run at once.
    pub fn spawn<F, Fut>(max_batch: usize, max_queue: usize, lanes: usize, run: F) -> Self
    where
        F: Fn(Vec<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Vec<R>> + Send + 'static,
    {
        let (sender, queue) = mpsc::channel(max_queue.max(1));
        tokio::spawn(serve(queue, max_batch.max(1), Arc::new(Semaphore::new(lanes.max(1))), Arc::new(run)));
        Self(sender)
    }

    pub async fn call(&self, item: T) -> Result<R, Overloaded> {
        let (sender, result) = oneshot::channel();
        self.0.try_send((item, sender)).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => Overloaded::QueueFull,
            mpsc::error::TrySendError::Closed(_) => Overloaded::BatchLost,
        })?;
        result.await.map_err(|_| Overloaded::BatchLost)
    }
}

/// A free lane is waited for before the queue is read, so that what comes meanwhile joins the batch.
async fn serve<T, R, F, Fut>(
    mut queue: mpsc::Receiver<Waiting<T, R>>,
    max_batch: usize,
    lanes: Arc<Semaphore>,
    run: Arc<F>,
) where
    T: Send + 'static,
    R: Send + 'static,
    F: Fn(Vec<T>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Vec<R>> + Send + 'static,
{
    while let Ok(lane) = lanes.clone().acquire_owned().await {
        let mut batch = Vec::new();
        if queue.recv_many(&mut batch, max_batch).await == 0 {
            return;
        }
        // On a task of its own: a panic ends that task, and its callers' senders are dropped with it.
        tokio::spawn(run_batch(batch, lane, Arc::clone(&run)));
    }
}

async fn run_batch<T, R, F, Fut>(batch: Vec<Waiting<T, R>>, lane: OwnedSemaphorePermit, run: Arc<F>)
where
    F: Fn(Vec<T>) -> Fut,
    Fut: Future<Output = Vec<R>>,
{
    let (items, senders): (Vec<T>, Vec<_>) = batch.into_iter().unzip();
    let expected = items.len();
    let results = run(items).await;
    drop(lane);
    if results.len() != expected {
        tracing::error!(
            expected,
            returned = results.len(),
            "a batch returned another number of results than it got items"
        );
        return;
    }
    for (sender, result) in senders.into_iter().zip(results) {
        // A caller that has gone away needs no result.
        drop(sender.send(result));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn callers_that_come_while_a_batch_runs_share_the_next_one() {
        let batcher = Batcher::spawn(256, 1024, 1, async |items: Vec<usize>| {
            tokio::task::yield_now().await;
            let size = items.len();
            items.into_iter().map(|item| (item * 2, size)).collect()
        });
        let results = futures::future::join_all((0..100).map(|n| batcher.call(n))).await;
        assert!(results.iter().enumerate().all(|(n, result)| result.is_ok_and(|(doubled, _)| doubled == n * 2)));
        assert!(results.iter().any(|result| result.is_ok_and(|(_, size)| size > 50)));
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_a_panic_reaches_its_callers_only() {
        let batcher = Batcher::spawn(1, 2, 1, async |items: Vec<u8>| {
            assert_ne!(items, [13], "the unlucky one");
            items
        });
        assert_eq!(batcher.call(13).await, Err(Overloaded::BatchLost));
        assert_eq!(batcher.call(1).await, Ok(1));
        let results = futures::future::join_all((20..25).map(|n| batcher.call(n))).await;
        assert!(results.contains(&Err(Overloaded::QueueFull)) && results.contains(&Ok(20)));
    }
}
