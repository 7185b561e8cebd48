//! The devices of a run at work: each takes pictures from one queue until none is left.

use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use pentimento::{Engine, Error, Result};

use super::album::{Busy, Context, Written, is_stopped, lost_in};
use super::compute::{Computed, Group, compute, read_of, together};
use super::crew::Seat;
use super::faces::Worker;
use super::inputs::Job;
use super::output::shown;
use super::queue::{Behind, Feed, Turn};
use super::read::Read;
use super::report::Done;
use super::stage::Ended;

/// Bytes of pictures that wait for a device, and as many that wait to be written, about:
/// pictures of an album resemble each other, so that the last one tells how many these are.
const WAITING: usize = 512 << 20;

/// What the devices of a run share while they work.
pub struct Service<'a, R, T> {
    pub context: &'a Context<'a>,
    pub renew: R,
    pub feed: Feed<Read>,
    pub behind: Mutex<Behind<Computed, Written, T>>,
    /// Devices that are not lost.
    pub alive: AtomicUsize,
    /// When the first device had its first picture.
    pub first: OnceLock<Duration>,
    /// Pictures that are read ahead at first.
    pub few: usize,
    /// Pictures that are read ahead later, at most.
    pub most: usize,
    /// Whether the run began with several devices.
    pub several: bool,
}

/// A device at work.
struct Shift {
    busy: Busy,
    /// How many pictures the last one lets wait, and so be at work at the same time.
    ahead: usize,
    /// Since when it works on the present picture.
    from: Duration,
}

/// Whether a device goes on after a group of pictures.
enum Next {
    GoesOn,
    Ends,
}

/// What the result of a picture says of its device.
enum Health {
    Well,
    /// Its spare has taken its place.
    Replaced,
    /// The others take its pictures.
    Lost,
}

impl<R, T> Service<'_, R, T>
where
    R: Fn(&Engine) -> Result<Worker> + Sync,
    T: FnMut(PathBuf, Result<Done>) + Send,
{
    /// Restores the pictures on all of `seats`, each in a thread of its own where there are several.
    pub fn on_all(&self, seats: &mut [&mut Seat]) -> Vec<Result<Busy>> {
        if let [only] = seats {
            return vec![self.until_the_end(only)];
        }
        thread::scope(|scope| {
            let threads: Vec<_> = (seats.iter_mut())
                .map(|seat| thread::Builder::new().spawn_scoped(scope, || self.until_the_end(seat)))
                .collect();
            let join = |thread: thread::ScopedJoinHandle<'_, Result<Busy>>| {
                thread.join().unwrap_or_else(|panic| resume_unwind(panic))
            };
            let ended = |thread: std::io::Result<_>| {
                thread.map_err(super::several::no_thread).and_then(join)
            };
            threads.into_iter().map(ended).collect()
        })
    }

    /// As [`Self::serve`]; after an error the other devices end, too.
    fn until_the_end(&self, seat: &mut Seat) -> Result<Busy> {
        let busy = self.serve(seat);
        if busy.is_err() {
            self.feed.end();
        }
        busy
    }

    /// Restores pictures on one device until none is left, or the device leaves.
    fn serve(&self, seat: &mut Seat) -> Result<Busy> {
        let mut shift = Shift { busy: Busy::default(), ahead: self.few, from: Duration::ZERO };
        while let Some(turn) = self.feed.next() {
            let mut turns = vec![turn];
            while turns.len() < seat.worker.at_a_time().min(shift.ahead)
                && let Some(turn) = self.feed.more()
            {
                turns.push(turn);
            }
            let next = self.group(seat, turns, &mut shift)?;
            seat.count();
            match next {
                Next::GoesOn => self.feed.read_ahead(shift.ahead),
                Next::Ends => break,
            }
        }
        Ok(shift.busy)
    }

    /// Restores some pictures, together where they can be. What a device that fails has not done of
    /// them is given back.
    fn group(
        &self,
        seat: &mut Seat,
        mut turns: Vec<Turn<'_, Read>>,
        shift: &mut Shift,
    ) -> Result<Next> {
        let context = self.context;
        shift.from = context.start.elapsed();
        self.first.get_or_init(|| shift.from);
        let reads = turns.iter_mut().map(|turn| read_of(turn, context.rules)).collect();
        let (works, broke) = together(&mut seat.worker, reads, shift.from, context);
        if broke {
            seat.replace((self.renew)(&seat.engine)?);
        }
        let mut health = Health::Well;
        for (turn, group) in turns.into_iter().zip(works) {
            let is_done = matches!(&group, Group::Done(done) if done.ready.is_ok());
            if !is_done && !matches!(health, Health::Well) {
                turn.give_back();
                continue;
            }
            let computed = self.computed(seat, group)?;
            if is_stopped() && matches!(computed.ready, Err(Error::Cancelled)) {
                return Ok(Next::Ends);
            }
            match self.health(seat, &computed)? {
                Health::Well => self.hand_on(seat, &turn, computed, shift)?,
                ill => {
                    health = ill;
                    turn.give_back();
                }
            }
        }
        Ok(if matches!(health, Health::Lost) { Next::Ends } else { Next::GoesOn })
    }

    /// The result of a picture, which is computed now where it was not for several at a time.
    fn computed(&self, seat: &mut Seat, group: Group) -> Result<Computed> {
        let read = match group {
            Group::Done(computed) => return Ok(*computed),
            Group::Alone(read) => *read,
        };
        let context = self.context;
        context.bar.set_message(shown(&read.job.input));
        let (computed, broke) = compute(&mut seat.worker, read, context.start.elapsed(), context);
        if broke {
            // Nobody knows in what state the panic left it.
            seat.replace((self.renew)(&seat.engine)?);
        }
        Ok(computed)
    }

    /// Whether the device has failed; if so it leaves, or the last one is replaced by its spare.
    fn health(&self, seat: &mut Seat, computed: &Computed) -> Result<Health> {
        let Err(why) = &computed.ready else { return Ok(Health::Well) };
        if !seat.engine.has_failed(why) {
            return Ok(Health::Well);
        }
        let others = |alive: usize| (alive > 1).then(|| alive - 1);
        if self.alive.fetch_update(Ordering::Relaxed, Ordering::Relaxed, others).is_ok() {
            seat.share.lost = Some(why.to_string());
            return Ok(Health::Lost);
        }
        let replaced = seat.take_spare(&why.to_string(), &self.renew)?;
        Ok(if replaced { Health::Replaced } else { Health::Well })
    }

    /// Counts a picture and has its result written.
    fn hand_on(
        &self,
        seat: &mut Seat,
        turn: &Turn<'_, Read>,
        mut computed: Computed,
        shift: &mut Shift,
    ) -> Result<()> {
        let context = self.context;
        let is_one_of_some = self.several || seat.before.is_some();
        computed.device = is_one_of_some.then(|| seat.share.device.clone());
        shift.ahead = (WAITING / computed.bytes().max(1)).clamp(1, self.most);
        let now = context.start.elapsed();
        let working = now - shift.from;
        shift.from = now;
        let first = self.first.get().copied().unwrap_or(now);
        shift.busy = Busy { working: shift.busy.working + working, whole: now - first };
        seat.share.pictures += 1;
        seat.share.working += working.as_secs_f64();
        let mut behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        behind.push(turn.index, turn.job.clone(), computed);
        behind.shrink(shift.ahead, |job, ended| noted(job, ended, context))
    }
}

/// What became of a picture, which the journal has noted.
///
/// # Errors
/// When the journal cannot be written.
pub fn noted(job: &Job, ended: Ended<Written>, context: &Context<'_>) -> Result<Result<Done>> {
    let Written { stamp, done } = match ended {
        Ended::Done(written) => written,
        lost => {
            let lost = lost_in("write", &job.output, &lost, context.rules);
            Written { stamp: None, done: Err(lost) }
        }
    };
    context.bar.inc(1);
    match (done, stamp, &mut *context.journal.lock()) {
        (Ok((done, digest)), Some(stamp), Some(journal)) => {
            journal.note(job, stamp, digest, done.to_json()?)?;
            Ok(Ok(done))
        }
        (done, _, _) => Ok(done.map(|(done, _)| done)),
    }
}
