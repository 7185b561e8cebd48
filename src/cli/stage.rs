//! Work on threads whose results come in the order of the tasks. A task that panics, or that does
//! not end, costs its own result and no other.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Some threads that do the same to every task.
pub struct Stage<I, O> {
    tasks: Sender<Task<I, O>>,
    crew: Crew<I, O>,
    /// Threads that take tasks.
    threads: usize,
    results: VecDeque<Receiver<News<O>>>,
    patience: Duration,
}

/// What became of a task.
#[derive(PartialEq, Eq, Debug)]
pub enum Ended<O> {
    Done(O),
    /// Its thread ended without a result.
    Broke,
    /// It was not done in time. It may go on, on a thread that nobody waits for.
    Hung,
    /// The system has no thread for it.
    NoThread,
}

type Task<I, O> = (I, SyncSender<News<O>>);

enum News<O> {
    Began(Instant),
    Done(O),
}

struct Crew<I, O> {
    queue: Arc<Mutex<Receiver<Task<I, O>>>>,
    work: Arc<dyn Fn(I) -> O + Send + Sync>,
}

impl<I: Send + 'static, O: Send + 'static> Crew<I, O> {
    /// Adds a thread, which ends when the stage is dropped, and says whether the system had one.
    fn hire(&self) -> bool {
        let (queue, work) = (Arc::clone(&self.queue), Arc::clone(&self.work));
        let thread = thread::Builder::new().spawn(move || {
            loop {
                // Whoever waits for a task holds the lock; the others wait for the lock.
                let task = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok((task, news)) = task else { return };
                // Nobody waits for it any more when the work was broken off.
                let _ = news.send(News::Began(Instant::now()));
                let _ = news.send(News::Done(work(task)));
            }
        });
        thread.is_ok()
    }
}

impl<I: Send + 'static, O: Send + 'static> Stage<I, O> {
    /// Up to `threads` threads that end when this is dropped, each task within `patience` of its begin.
    pub fn new(
        threads: usize,
        patience: Duration,
        work: impl Fn(I) -> O + Send + Sync + 'static,
    ) -> Self {
        let (tasks, queue) = channel();
        let crew = Crew { queue: Arc::new(Mutex::new(queue)), work: Arc::new(work) };
        // With fewer than these the work goes on, only slower.
        let threads = (0..threads).take_while(|_| crew.hire()).count();
        Self { tasks, crew, threads, results: VecDeque::new(), patience }
    }

    /// Begins a task as soon as a thread is free.
    pub fn push(&mut self, task: I) {
        // Room for both news, so that no thread waits for whoever takes them.
        let (sender, receiver) = sync_channel(2);
        // The queue lives as long as this does.
        let _ = self.tasks.send((task, sender));
        self.results.push_back(receiver);
    }

    /// Tasks whose results were not taken yet.
    pub fn len(&self) -> usize {
        self.results.len()
    }

    /// What became of the oldest of them, when that is known; `None` without any.
    pub fn pop(&mut self) -> Option<Ended<O>> {
        let news = self.results.pop_front()?;
        if self.threads == 0 {
            if !self.crew.hire() {
                return Some(Ended::NoThread);
            }
            self.threads = 1;
        }
        // All before it were taken, so that a thread is free for it or will be.
        let ended = match news.recv() {
            Ok(News::Began(when)) => {
                match news.recv_timeout(self.patience.saturating_sub(when.elapsed())) {
                    Ok(News::Done(result)) => Ended::Done(result),
                    Ok(News::Began(_)) | Err(RecvTimeoutError::Disconnected) => Ended::Broke,
                    Err(RecvTimeoutError::Timeout) => Ended::Hung,
                }
            }
            Ok(News::Done(result)) => Ended::Done(result),
            Err(_) => Ended::Broke,
        };
        if !matches!(ended, Ended::Done(_)) {
            // Its thread has ended, or is lost to it.
            self.threads -= usize::from(!self.crew.hire());
        }
        Some(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn results_come_in_order_whatever_takes_long() {
        let mut stage = Stage::new(3, LONG, |i: u64| {
            thread::sleep(Duration::from_millis((7 - i) * 3));
            i * i
        });
        (0..7).for_each(|i| stage.push(i));
        assert_eq!(stage.len(), 7);
        let all: Vec<_> = std::iter::from_fn(|| stage.pop()).collect();
        assert_eq!(all, [0, 1, 4, 9, 16, 25, 36].map(Ended::Done));
    }

    #[test]
    fn threads_that_end_are_told_from_work_that_ends() {
        let work = |i: u64| if i % 3 == 1 { panic!("task {i}") } else { i };
        let mut stage = Stage::new(2, LONG, work);
        (0..7).for_each(|i| stage.push(i));
        let all: Vec<_> = std::iter::from_fn(|| stage.pop()).collect();
        let expected = [0, 1, 2, 3, 4, 5, 6];
        assert_eq!(all, expected.map(|i| if i % 3 == 1 { Ended::Broke } else { Ended::Done(i) }));
    }

    #[test]
    fn what_never_ends_is_left_behind() {
        let work = |i: u64| {
            if i == 1 || i == 2 {
                loop {
                    thread::park();
                }
            }
            i
        };
        let mut stage = Stage::new(2, Duration::from_millis(50), work);
        (0..5).for_each(|i| stage.push(i));
        let all: Vec<_> = std::iter::from_fn(|| stage.pop()).collect();
        let done = |i| Ended::Done(i);
        assert_eq!(all, [done(0), Ended::Hung, Ended::Hung, done(3), done(4)]);
    }
}
