//! The threads of the executor.
//!
//! A step of a small network takes a tenth of a millisecond, about as long as a sleeping thread
//! takes to wake. So the thread that runs a network works too, and its helpers look for more work
//! for a while before they sleep.
//!
//! A thread's first items are always the same part of a step's, so that it finds in its own caches
//! what it wrote in the step before: cores that share no cache fetch it from each other as slowly as
//! from memory.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{OnceLock, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use rayon::prelude::*;

use sync::{AtomicUsize, Condvar, Mutex, MutexGuard, Ordering, hint, thread};

#[cfg(not(all(test, loom)))]
mod sync {
    pub use std::sync::atomic::{AtomicUsize, Ordering};
    pub use std::sync::{Condvar, Mutex, MutexGuard};
    pub use std::{hint, thread};
}

/// The same of loom, which tries every order in which threads may go.
#[cfg(all(test, loom))]
mod sync {
    pub use loom::sync::atomic::{AtomicUsize, Ordering};
    pub use loom::sync::{Condvar, Mutex, MutexGuard};
    pub use loom::{hint, thread};
}

/// How long a helper looks for work before it sleeps: several times the longest step that only one
/// thread computes.
const PATIENCE: Duration = Duration::from_micros(if cfg!(all(test, loom)) { 0 } else { 200 });
/// Looks between two that let other threads of the system run.
const LOOKS: usize = 64;

/// Calls `work` on every item, each on the next thread that is free.
pub fn for_each<T: Send>(items: Vec<T>, work: impl Fn(T) + Sync) {
    let Some(team) = Team::get().filter(|_| items.len() > 1) else {
        return items.into_iter().for_each(work);
    };
    let _turn = match team.turn.try_lock() {
        Ok(turn) => turn,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        // Two networks at once: the second shares rayon's threads with all others.
        Err(TryLockError::WouldBlock) => return items.into_par_iter().for_each(&work),
    };
    let queues = split(items, 1 + team.helpers);
    let first = |queue: usize| lock(&queues[queue]).pop_front();
    let last = |queue: usize| lock(&queues[queue]).pop_back();
    team.run(queues.len() - 1, &|thread| {
        while let Some(item) = queues.get(thread).and_then(|_| first(thread)) {
            work(item);
        }
        // What others have left, from its end.
        for other in (thread + 1..queues.len()).chain(0..thread.min(queues.len())) {
            while let Some(item) = last(other) {
                work(item);
            }
        }
    });
}

/// A queue of consecutive items for each of `threads`, as long as there are items.
fn split<T>(items: Vec<T>, threads: usize) -> Vec<Mutex<VecDeque<T>>> {
    let len = items.len();
    let queues = threads.min(len);
    let mut items = items.into_iter();
    let end = |queue: usize| queue * len / queues;
    let queue = |i: usize| items.by_ref().take(end(i + 1) - end(i)).collect();
    (0..queues).map(queue).map(Mutex::new).collect()
}

/// How many threads that is at most.
pub fn threads() -> usize {
    1 + Team::get().map_or(0, |team| team.helpers)
}

/// A piece of work that several threads do together; it ends when there is nothing left to do.
/// It is told which of the team's threads calls it; that which runs the network is the first.
type Job = &'static (dyn Fn(usize) + Sync);

/// Helpers, and what they help with.
struct Team {
    helpers: usize,
    /// Held by the thread that is helped.
    turn: Mutex<()>,
    state: Mutex<State>,
    woken: Condvar,
    /// Changes with every job, under the lock of `state`.
    jobs: AtomicUsize,
    /// How many more helpers the job wants.
    places: AtomicUsize,
    /// Helpers that are at the job; grows under the lock of `state`.
    working: AtomicUsize,
}

#[derive(Default)]
struct State {
    job: Option<Job>,
    sleeping: usize,
    panic: Option<Box<dyn Any + Send>>,
    /// The helpers are to return. Those of a process never do.
    over: bool,
}

impl Team {
    fn new(helpers: usize) -> Self {
        Self {
            helpers,
            turn: Mutex::new(()),
            state: Mutex::new(State::default()),
            woken: Condvar::new(),
            jobs: AtomicUsize::new(0),
            places: AtomicUsize::new(0),
            working: AtomicUsize::new(0),
        }
    }

    /// The team of this process, as many threads as rayon has; none where one thread is all.
    fn get() -> Option<&'static Self> {
        static TEAM: OnceLock<Option<&'static Team>> = OnceLock::new();
        *TEAM.get_or_init(|| {
            let helpers = rayon::current_num_threads() - 1;
            if helpers == 0 {
                return None;
            }
            let team: &Team = Box::leak(Box::new(Self::new(helpers)));
            for thread in 1..=helpers {
                let helper = thread::Builder::new().name("pentimento".to_owned());
                helper.spawn(move || team.help(thread)).ok()?;
            }
            Some(team)
        })
    }

    /// Calls `job` here and on up to `others` more threads, and returns when all have returned.
    fn run(&self, others: usize, job: &(dyn Fn(usize) + Sync)) {
        // SAFETY: helpers reach the job through `state.job` alone, and count themselves in
        // `working` before they let go of the lock under which they found it. `Ended` takes it out
        // under that lock and waits until none is counted, before this function returns or unwinds:
        // nobody has the reference for longer than `job` lives.
        let shared = unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), Job>(job) };
        let mut state = lock(&self.state);
        let ended = Ended(self);
        (state.job, state.panic) = (Some(shared), None);
        self.places.store(others.min(self.helpers), Ordering::Relaxed);
        self.jobs.fetch_add(1, Ordering::Release);
        if state.sleeping > 0 {
            self.woken.notify_all();
        }
        drop(state);
        job(0);
        drop(ended);
        if let Some(panic) = lock(&self.state).panic.take() {
            resume_unwind(panic);
        }
    }

    /// What helper `thread` does.
    fn help(&self, thread: usize) {
        let mut seen = 0;
        while let Some(job) = self.next(&mut seen) {
            let result = catch_unwind(AssertUnwindSafe(|| job(thread)));
            if let Err(panic) = result {
                lock(&self.state).panic = Some(panic);
            }
            self.working.fetch_sub(1, Ordering::Release);
        }
    }

    /// Waits for a job after the `seen`-th; `None` when the team is over.
    fn next(&self, seen: &mut usize) -> Option<Job> {
        let start = Instant::now();
        loop {
            if !self.wait(*seen, start) {
                return None;
            }
            *seen = self.jobs.load(Ordering::Acquire);
            let fewer = |places: usize| places.checked_sub(1);
            if self.places.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).is_ok() {
                let state = lock(&self.state);
                if let Some(job) = state.job {
                    // It may be a later one than that whose place this is; nobody does a job twice.
                    *seen = self.jobs.load(Ordering::Relaxed);
                    self.working.fetch_add(1, Ordering::Relaxed);
                    return Some(job);
                }
            }
        }
    }

    /// Whether there is another job than the `seen`-th, as soon as there is; `false` when the team is
    /// over.
    fn wait(&self, seen: usize, start: Instant) -> bool {
        while start.elapsed() < PATIENCE {
            for _ in 0..LOOKS {
                if self.jobs.load(Ordering::Acquire) != seen {
                    return true;
                }
                hint::spin_loop();
            }
            thread::yield_now();
        }
        let mut state = lock(&self.state);
        state.sleeping += 1;
        while !state.over && self.jobs.load(Ordering::Relaxed) == seen {
            state = self.woken.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.sleeping -= 1;
        !state.over
    }
}

/// Ends a job when it is dropped.
struct Ended<'t>(&'t Team);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).job = None;
        let mut looks = 0usize;
        while self.0.working.load(Ordering::Acquire) > 0 {
            looks += 1;
            if looks.is_multiple_of(LOOKS) { thread::yield_now() } else { hint::spin_loop() }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every order in which the threads may go, as loom tries them: core/README.md.
#[cfg(all(test, loom))]
mod model {
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;

    use super::*;

    impl Team {
        /// Lets all helpers return.
        fn end(&self) {
            let mut state = lock(&self.state);
            state.over = true;
            self.woken.notify_all();
        }
    }

    /// Runs as many jobs with as many helpers. A job reads what lives on the caller's stack, and the
    /// caller writes it as soon as the job has ended: loom sees who comes too late.
    fn jobs_end_before_their_data(helpers: usize, jobs: usize) {
        loom::model(move || {
            let team = Arc::new(Team::new(helpers));
            let helper = |thread: usize| {
                let team = team.clone();
                thread::spawn(move || team.help(thread))
            };
            let threads: Vec<_> = (1..=helpers).map(helper).collect();
            for _ in 0..jobs {
                let data = Shared(UnsafeCell::new(1));
                let calls = AtomicUsize::new(0);
                team.run(helpers, &|_| {
                    assert_eq!(data.read(), 1);
                    calls.fetch_add(1, Ordering::Relaxed);
                });
                data.write(2);
                let calls = calls.load(Ordering::Relaxed);
                assert!((1..=1 + helpers).contains(&calls), "{calls} calls");
            }
            team.end();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
    }

    struct Shared(UnsafeCell<u32>);

    // SAFETY: loom watches every access and ends the test where two of them conflict.
    unsafe impl Sync for Shared {}

    impl Shared {
        fn read(&self) -> u32 {
            // SAFETY: as above.
            self.0.with(|value| unsafe { *value })
        }

        fn write(&self, value: u32) {
            // SAFETY: as above.
            self.0.with_mut(|place| unsafe { *place = value });
        }
    }

    #[test]
    fn one_helper_and_two_jobs() {
        jobs_end_before_their_data(1, 2);
    }

    #[test]
    fn two_helpers_and_a_job() {
        jobs_end_before_their_data(2, 1);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_worked_on_once() {
        for len in [0, 1, 2, 3, 100] {
            for _ in 0..200 {
                let counts: Vec<AtomicUsize> = (0..len).map(|_| AtomicUsize::new(0)).collect();
                for_each(counts.iter().collect(), |count| {
                    count.fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn work_inside_work_and_beside_it_is_done() {
        let done = AtomicUsize::new(0);
        let outer = |_: usize| {
            for_each(vec![(); 8], |()| {
                done.fetch_add(1, Ordering::Relaxed);
            });
        };
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| for_each(vec![0; 50], outer));
            }
        });
        assert_eq!(done.load(Ordering::Relaxed), 3 * 50 * 8);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_ends_nothing_else() {
        for _ in 0..20 {
            let work = |i: usize| assert_ne!(i, 7, "seven");
            let caught = catch_unwind(|| for_each((0..50).collect(), work));
            assert!(caught.is_err());
            for_each((10..20).collect(), work);
        }
    }
}
