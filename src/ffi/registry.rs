//! The objects that C holds by number. Numbers are never used again, so that one that was freed
//! stays invalid.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::restorer::Restoring;
use super::status::{Failure, Status};
use crate::{Engine, Model};

/// An engine. 0 is none.
pub type EngineHandle = u64;
/// A model. 0 is none.
pub type ModelHandle = u64;
/// A restorer. 0 is none.
pub type RestorerHandle = u64;

/// The object that a number stands for.
#[derive(Clone)]
pub enum Object {
    Engine(Box<Engine>),
    Model(Model),
    Restorer(Arc<Mutex<Restoring>>),
}

impl Object {
    fn kind(&self) -> &'static str {
        match self {
            Object::Engine(_) => "an engine",
            Object::Model(_) => "a model",
            Object::Restorer(_) => "a restorer",
        }
    }
}

struct Registry {
    last: u64,
    objects: BTreeMap<u64, Object>,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry { last: 0, objects: BTreeMap::new() });

fn registry() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A new number for `object`.
pub fn insert(object: Object) -> u64 {
    let mut registry = registry();
    registry.last += 1;
    let number = registry.last;
    registry.objects.insert(number, object);
    number
}

fn get<T>(number: u64, wanted: &str, choose: impl Fn(&Object) -> Option<T>) -> Result<T, Failure> {
    let registry = registry();
    let object = registry.objects.get(&number);
    if let Some(found) = object.and_then(choose) {
        return Ok(found);
    }
    let what = match object {
        Some(object) => format!("handle {number} is {}, not {wanted}", object.kind()),
        None if number == 0 => format!("0 is not a handle of {wanted}"),
        None if number <= registry.last => format!("handle {number} was freed"),
        None => format!("there is no handle {number}"),
    };
    Err(Failure::new(Status::Handle, what))
}

fn as_engine(object: &Object) -> Option<Engine> {
    if let Object::Engine(engine) = object { Some((**engine).clone()) } else { None }
}

fn as_model(object: &Object) -> Option<Model> {
    if let Object::Model(model) = object { Some(model.clone()) } else { None }
}

fn as_restorer(object: &Object) -> Option<Arc<Mutex<Restoring>>> {
    if let Object::Restorer(restorer) = object { Some(Arc::clone(restorer)) } else { None }
}

pub fn engine(number: u64) -> Result<Engine, Failure> {
    get(number, "an engine", as_engine)
}

pub fn model(number: u64) -> Result<Model, Failure> {
    get(number, "a model", as_model)
}

pub fn restorer(number: u64) -> Result<Arc<Mutex<Restoring>>, Failure> {
    get(number, "a restorer", as_restorer)
}

/// Forgets `number`, which must be of the kind that `check` asks for. Who works with the object
/// finishes first.
pub fn remove<T>(number: u64, check: impl Fn(u64) -> Result<T, Failure>) -> Result<(), Failure> {
    check(number)?;
    // Dropped after the lock: what hangs on it may take time.
    let object = registry().objects.remove(&number);
    drop(object);
    Ok(())
}
