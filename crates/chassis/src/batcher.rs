//! Many callers, one statement: requests that arrive while a batch runs form the next batch.
//! A lone caller is served at once.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::sleep,
};

type Waiting<T, R> = (T, oneshot::Sender<R>);

/// How requests come together.
#[derive(Debug, Clone, Copy)]
pub struct Batching {
    /// Requests in one batch, at most.
    pub max_batch: usize,
    /// Callers that wait, at most; more are refused.
    pub max_queue: usize,
    /// Batches that may run at once.
    pub lanes: usize,
    /// How long a batch waits for more, if the one before it had more than one request. Zero where nothing is gained by it.
    pub company: Duration,
}

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
    pub fn spawn<F, Fut>(batching: Batching, run: F) -> Self
    where
        F: Fn(Vec<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Vec<R>> + Send + 'static,
    {
        let (sender, queue) = mpsc::channel(batching.max_queue.max(1));
        tokio::spawn(serve(queue, batching, Arc::new(run)));
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
async fn serve<T, R, F, Fut>(mut queue: mpsc::Receiver<Waiting<T, R>>, batching: Batching, run: Arc<F>)
where
    T: Send + 'static,
    R: Send + 'static,
    F: Fn(Vec<T>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Vec<R>> + Send + 'static,
{
    let lanes = Arc::new(Semaphore::new(batching.lanes.max(1)));
    let mut had_company = false;
    while let Ok(lane) = lanes.clone().acquire_owned().await {
        let mut batch = Vec::new();
        if queue.recv_many(&mut batch, batching.max_batch.max(1)).await == 0 {
            return;
        }
        // The runtime's timer takes up to two milliseconds even for none.
        if had_company && !batching.company.is_zero() {
            sleep(batching.company).await;
            let left = batching.max_batch.saturating_sub(batch.len());
            batch.extend(std::iter::from_fn(|| queue.try_recv().ok()).take(left));
        }
        had_company = batch.len() > 1;
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
    use tokio::time::Instant;

    use super::*;

    const ONE_LANE: Batching = Batching { max_batch: 256, max_queue: 1024, lanes: 1, company: Duration::ZERO };

    #[tokio::test]
    async fn callers_that_come_while_a_batch_runs_share_the_next_one() {
        let batcher = Batcher::spawn(ONE_LANE, async |items: Vec<usize>| {
            tokio::task::yield_now().await;
            let size = items.len();
            items.into_iter().map(|item| (item * 2, size)).collect()
        });
        let results = futures::future::join_all((0..100).map(|n| batcher.call(n))).await;
        assert!(results.iter().enumerate().all(|(n, result)| result.is_ok_and(|(doubled, _)| doubled == n * 2)));
        assert!(results.iter().any(|result| result.is_ok_and(|(_, size)| size > 50)));
    }

    #[tokio::test]
    async fn a_lone_caller_is_served_at_once_and_a_crowd_waits_for_company() {
        let company = Duration::from_millis(300);
        let batcher =
            Batcher::spawn(Batching { company, ..ONE_LANE }, async |items: Vec<u8>| vec![items.len(); items.len()]);
        let begun = Instant::now();
        assert_eq!(batcher.call(1).await, Ok(1));
        assert_eq!(tokio::join!(batcher.call(2), batcher.call(3)), (Ok(2), Ok(2)));
        assert!(begun.elapsed() < company, "nobody was there to be waited for: {:?}", begun.elapsed());
        let late = async {
            // Many turns, in any of which the batch of the one before could begin.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            batcher.call(5).await
        };
        assert_eq!(tokio::join!(batcher.call(4), late), (Ok(2), Ok(2)));
    }

    #[tokio::test]
    async fn a_crowd_that_wants_no_company_does_not_wait_for_the_timer() {
        let batcher = Batcher::spawn(ONE_LANE, async |items: Vec<u8>| items);
        let begun = Instant::now();
        for _ in 0..1_000 {
            assert_eq!(tokio::join!(batcher.call(1), batcher.call(2)), (Ok(1), Ok(2)));
        }
        let elapsed = begun.elapsed();
        assert!(elapsed < Duration::from_millis(500), "the timer takes a millisecond each time at least: {elapsed:?}");
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_a_panic_reaches_its_callers_only() {
        let batcher = Batcher::spawn(Batching { max_batch: 1, max_queue: 2, ..ONE_LANE }, async |items: Vec<u8>| {
            assert_ne!(items, [13], "the unlucky one");
            items
        });
        assert_eq!(batcher.call(13).await, Err(Overloaded::BatchLost));
        assert_eq!(batcher.call(1).await, Ok(1));
        let results = futures::future::join_all((20..25).map(|n| batcher.call(n))).await;
        assert!(results.contains(&Err(Overloaded::QueueFull)) && results.contains(&Ok(20)));
    }
}
