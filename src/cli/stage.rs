//! Work on threads whose results come in the order of the tasks.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Scope;

/// Some threads that do the same to every task.
pub struct Stage<I, O> {
    tasks: Sender<(I, SyncSender<O>)>,
    results: VecDeque<Receiver<O>>,
}

impl<I: Send, O: Send> Stage<I, O> {
    /// `threads` threads that end when this is dropped.
    pub fn new<'scope, 'env>(
        scope: &'scope Scope<'scope, 'env>,
        threads: usize,
        work: impl Fn(I) -> O + Send + Sync + 'scope,
    ) -> Self
    where
        I: 'scope,
        O: 'scope,
    {
        let (tasks, queue) = channel::<(I, SyncSender<O>)>();
        let (queue, work) = (Arc::new(Mutex::new(queue)), Arc::new(work));
        for _ in 0..threads {
            let (queue, work) = (Arc::clone(&queue), Arc::clone(&work));
            scope.spawn(move || {
                loop {
                    // Whoever waits for a task holds the lock; the others wait for the lock.
                    let task = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((task, result)) = task else { return };
                    // Nobody waits for it any more when the work was broken off.
                    let _ = result.send(work(task));
                }
            });
        }
        Self { tasks, results: VecDeque::new() }
    }

    /// Begins a task as soon as a thread is free.
    pub fn push(&mut self, task: I) {
        let (sender, receiver) = sync_channel(1);
        if self.tasks.send((task, sender)).is_ok() {
            self.results.push_back(receiver);
        }
    }

    /// Tasks whose results were not taken yet.
    pub fn len(&self) -> usize {
        self.results.len()
    }

    /// The result of the oldest of them, when it is there.
    pub fn pop(&mut self) -> Option<O> {
        self.results.pop_front()?.recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn results_come_in_order_whatever_takes_long() {
        thread::scope(|scope| {
            let mut stage = Stage::new(scope, 3, |i: u64| {
                thread::sleep(Duration::from_millis((7 - i) * 3));
                i * i
            });
            (0..7).for_each(|i| stage.push(i));
            assert_eq!(stage.len(), 7);
            let all: Vec<u64> = std::iter::from_fn(|| stage.pop()).collect();
            assert_eq!(all, [0, 1, 4, 9, 16, 25, 36]);
        });
    }
}
