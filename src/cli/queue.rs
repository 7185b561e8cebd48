//! One queue of pictures for all devices of a run: read ahead, handed out in order, written behind
//! as they come, told in order.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use pentimento::Result;

use super::album::is_stopped;
use super::inputs::Job;
use super::report::Done;
use super::stage::{Ended, Stage};

/// Pictures that wait for a device.
pub struct Feed<R> {
    ahead: Mutex<Ahead<R>>,
    changed: Condvar,
}

struct Ahead<R> {
    jobs: std::iter::Enumerate<std::vec::IntoIter<Job>>,
    reading: Stage<Job, R>,
    /// Of what `reading` holds, in its order.
    order: VecDeque<(usize, Job)>,
    /// How many are read before they are asked for, at most.
    most: usize,
    /// Pictures that devices have.
    at_work: usize,
    ended: bool,
}

/// A picture that a device has.
pub struct Turn<'a, R> {
    feed: &'a Feed<R>,
    /// Its position among the jobs.
    pub index: usize,
    pub job: Job,
    pub read: Option<Ended<R>>,
}

impl<R: Send + 'static> Feed<R> {
    /// Reads `jobs` by `reading`, `most` of them ahead.
    pub fn new(jobs: Vec<Job>, reading: Stage<Job, R>, most: usize) -> Self {
        let jobs = jobs.into_iter().enumerate();
        let order = VecDeque::new();
        let ahead = Ahead { jobs, reading, order, most, at_work: 0, ended: false };
        Self { ahead: Mutex::new(ahead), changed: Condvar::new() }
    }

    /// The next picture; `None` when there are no more, or the run is stopped. Waits while another
    /// device has the last one: if that device is lost, it leaves its picture.
    pub fn next(&self) -> Option<Turn<'_, R>> {
        let mut ahead = self.lock();
        loop {
            ahead.read_on();
            if is_stopped() || ahead.ended {
                return None;
            }
            // Whoever waits for a file holds the lock; the others wait for the lock.
            if let Some(turn) = self.taken(&mut ahead) {
                return Some(turn);
            }
            if ahead.at_work == 0 {
                return None;
            }
            ahead = self.changed.wait(ahead).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next picture where one is left: it does not wait for what other devices have.
    pub fn more(&self) -> Option<Turn<'_, R>> {
        let mut ahead = self.lock();
        if is_stopped() || ahead.ended {
            return None;
        }
        ahead.read_on();
        self.taken(&mut ahead)
    }

    fn taken<'a>(&'a self, ahead: &mut Ahead<R>) -> Option<Turn<'a, R>> {
        let (read, (index, job)) = (ahead.reading.pop()?, ahead.order.pop_front()?);
        ahead.at_work += 1;
        Some(Turn { feed: self, index, job, read: Some(read) })
    }

    /// From now on `most` pictures are read ahead.
    pub fn read_ahead(&self, most: usize) {
        self.lock().most = most;
    }
}

impl<R: Send + 'static> Ahead<R> {
    /// Reads as many as may wait.
    fn read_on(&mut self) {
        while self.reading.len() < self.most && !is_stopped() {
            let Some((index, job)) = self.jobs.next() else { break };
            self.order.push_back((index, job.clone()));
            self.reading.push(job);
        }
    }
}

impl<R> Feed<R> {
    /// Hands no further picture out.
    pub fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Ahead<R>> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Send + 'static> Turn<'_, R> {
    /// Gives the picture back, for another device.
    pub fn give_back(self) {
        let mut ahead = self.feed.lock();
        ahead.order.push_back((self.index, self.job.clone()));
        ahead.reading.push(self.job.clone());
    }
}

impl<R> Drop for Turn<'_, R> {
    fn drop(&mut self) {
        self.feed.lock().at_work -= 1;
        self.feed.changed.notify_all();
    }
}

/// Results that wait to be written, and those that wait to be told because an earlier picture is
/// still at work.
pub struct Behind<C, W, T> {
    writing: Stage<(Job, C), W>,
    order: VecDeque<(usize, Job)>,
    untold: BTreeMap<usize, (PathBuf, Result<Done>)>,
    /// The position that is told next.
    next: usize,
    /// Says what became of a picture.
    tell: T,
}

impl<C, W, T> Behind<C, W, T>
where
    C: Send + 'static,
    W: Send + 'static,
    T: FnMut(PathBuf, Result<Done>),
{
    /// Writes by `writing`, and hands what became of every picture to `tell` in the order of the
    /// jobs.
    pub fn new(writing: Stage<(Job, C), W>, tell: T) -> Self {
        Self { writing, order: VecDeque::new(), untold: BTreeMap::new(), next: 0, tell }
    }

    /// Writes a result as soon as a thread is free.
    pub fn push(&mut self, index: usize, job: Job, computed: C) {
        self.order.push_back((index, job.clone()));
        self.writing.push((job, computed));
    }

    /// Waits until at most `most` are not written; `note` takes what became of each of the others.
    ///
    /// # Errors
    /// Those of `note`.
    pub fn shrink(
        &mut self,
        most: usize,
        mut note: impl FnMut(&Job, Ended<W>) -> Result<Result<Done>>,
    ) -> Result<()> {
        while self.writing.len() > most
            && let (Some(ended), Some((index, job))) = (self.writing.pop(), self.order.pop_front())
        {
            let done = note(&job, ended)?;
            self.untold.insert(index, (job.input, done));
            while let Some((input, done)) = self.untold.remove(&self.next) {
                self.next += 1;
                (self.tell)(input, done);
            }
        }
        Ok(())
    }

    /// Tells what is left: after a stop, some positions before it are missing.
    pub fn finish(mut self) {
        for (input, done) in std::mem::take(&mut self.untold).into_values() {
            (self.tell)(input, done);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pentimento::Error;

    use super::*;

    fn jobs(count: usize) -> Vec<Job> {
        let name = |i: usize, end: &str| PathBuf::from(format!("{i}.{end}"));
        (0..count).map(|i| Job { input: name(i, "in"), output: name(i, "out") }).collect()
    }

    fn stage<I: Send + 'static>() -> Stage<I, ()> {
        Stage::new(2, Duration::from_secs(60), |_| ())
    }

    #[test]
    fn a_picture_that_is_given_back_comes_again() {
        let feed = Feed::new(jobs(3), stage(), 2);
        let first = feed.next().unwrap();
        let second = feed.next().unwrap();
        assert_eq!((first.index, second.index), (0, 1));
        first.give_back();
        drop(second);
        let mut rest = Vec::new();
        while let Some(turn) = feed.next() {
            rest.push((turn.index, turn.job.input.clone()));
        }
        rest.sort();
        assert_eq!(rest, [(0, PathBuf::from("0.in")), (2, PathBuf::from("2.in"))]);
    }

    #[test]
    fn more_is_what_is_left_and_not_what_others_have() {
        let feed = Feed::new(jobs(2), stage(), 2);
        let first = feed.next().unwrap();
        let second = feed.more().unwrap();
        assert_eq!((first.index, second.index), (0, 1));
        assert!(feed.more().is_none(), "it would wait for itself");
        second.give_back();
        assert_eq!(feed.more().map(|turn| turn.index), Some(1));
    }

    #[test]
    fn whoever_finds_the_queue_empty_waits_for_what_others_have() {
        let feed = Feed::new(jobs(1), stage(), 1);
        let turn = feed.next().unwrap();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| feed.next().map(|turn| turn.index));
            std::thread::sleep(Duration::from_millis(20));
            assert!(!other.is_finished());
            turn.give_back();
            assert_eq!(other.join().unwrap(), Some(0));
        });
        assert!(feed.next().is_none());
    }

    #[test]
    fn what_is_written_out_of_order_is_told_in_order() {
        let mut told = Vec::new();
        let mut behind = Behind::new(stage(), |input, _| told.push(input));
        let cancelled = |_: &Job, _| Ok(Err(Error::Cancelled));
        let all = jobs(4);
        for i in [2, 0, 3] {
            behind.push(i, all[i].clone(), ());
        }
        behind.shrink(0, cancelled).unwrap();
        behind.finish();
        assert_eq!(told, [0, 2, 3].map(|i| all[i].input.clone()));
    }
}
