//! What the values of a checkpoint's pickle mean: storages and tensors.

use std::collections::HashMap;

use crate::{
    dtype::Dtype,
    error::{Error, Place, Result, short},
    pickle::Pickle,
    tensor::{Layout, MAX_DIMS},
    value::{Id, Value, Values},
};

/// The functions and classes that weights need: the whole allow-list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Global {
    /// `collections.OrderedDict`
    OrderedDict,
    /// `torch.FloatStorage` and its nine siblings
    Storage(Dtype),
    /// `torch._utils._rebuild_tensor_v2`
    RebuildTensor,
    /// `torch._utils._rebuild_parameter`
    RebuildParameter,
}

impl Global {
    /// Exact names only.
    pub fn resolve(module: &str, name: &str) -> Option<Self> {
        match (module, name) {
            ("collections", "OrderedDict") => Some(Self::OrderedDict),
            ("torch._utils", "_rebuild_tensor_v2") => Some(Self::RebuildTensor),
            ("torch._utils", "_rebuild_parameter") => Some(Self::RebuildParameter),
            ("torch", class) => Dtype::of_storage_class(class).map(Self::Storage),
            _ => None,
        }
    }
}

/// What the pickle says about a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Storage {
    pub dtype: Dtype,
    /// Elements.
    pub numel: u64,
}

/// The storages that a pickle refers to, by key.
pub(crate) fn storages<'p>(pickle: &Pickle<'p>) -> Result<HashMap<&'p str, Storage>> {
    let mut found = HashMap::new();
    for value in pickle.values.iter() {
        let Value::Persistent { id, at } = value else { continue };
        let Reference { key, storage, .. } = Reference::read(&pickle.values, *id, *at)?;
        let first = *found.entry(key).or_insert(storage);
        if first != storage {
            let reason = format!(
                "it is declared as {} × {} and as {} × {}",
                first.numel, first.dtype, storage.numel, storage.dtype
            );
            return Err(Error::Storage { key: short(key), reason });
        }
    }
    Ok(found)
}

/// A use of a storage, or of a part of it.
struct Reference<'p> {
    key: &'p str,
    storage: Storage,
    /// First element of the part.
    start: u64,
    /// Elements of the part.
    len: u64,
}

impl<'p> Reference<'p> {
    /// Reads `('storage', class, key, location, numel)`, which the legacy format extends by
    /// `None` or `(view_key, offset, size)`.
    fn read(values: &Values<'p>, id: Id, at: Place) -> Result<Self> {
        let bad = |reason: &str| Error::Pickle { at, reason: reason.into() };
        let parts =
            values.as_tuple(id).ok_or_else(|| bad("a reference to a storage is not a tuple"))?;
        let (class, key, numel, view) = match *parts {
            [kind, class, key, _device, numel] if values.as_str(kind) == Some("storage") => {
                (class, key, numel, None)
            }
            [kind, class, key, _device, numel, view] if values.as_str(kind) == Some("storage") => {
                (class, key, numel, Some(view))
            }
            _ => return Err(bad("a reference is not ('storage', class, key, device, size)")),
        };
        let &Value::Global(Global::Storage(dtype)) = values.get(class) else {
            return Err(bad("the class of a storage is none of torch's ten"));
        };
        let key = values.as_str(key).ok_or_else(|| bad("the key of a storage is not a text"))?;
        let numel =
            values.as_u64(numel).ok_or_else(|| bad("the size of a storage is not a count"))?;
        let storage = Storage { dtype, numel };
        let whole = Self { key, storage, start: 0, len: numel };
        let Some(view) = view.filter(|&view| !matches!(values.get(view), Value::None)) else {
            return Ok(whole);
        };
        let (start, len) = match values.as_tuple(view) {
            Some(&[_view_key, start, len]) => (values.as_u64(start), values.as_u64(len)),
            _ => (None, None),
        };
        match (start, len) {
            (Some(start), Some(len)) if start.checked_add(len).is_some_and(|end| end <= numel) => {
                Ok(Self { start, len, ..whole })
            }
            _ => Err(bad("a view of a storage does not lie inside it")),
        }
    }
}

/// A tensor as the pickle declares it; its layout stays inside the storage as declared.
pub(crate) struct TensorDecl<'p> {
    /// The storage's key.
    pub key: &'p str,
    pub storage: Storage,
    pub layout: Layout,
}

impl<'p> TensorDecl<'p> {
    /// Reads the value of a state dict's entry, `None` if it is no tensor.
    pub fn read(values: &Values<'p>, name: &str, id: Id) -> Result<Option<Self>> {
        let &Value::Call { callable, args, at } = values.get(id) else { return Ok(None) };
        let bad =
            |reason: &str| Error::Tensor { name: short(name), reason: format!("{reason} ({at})") };
        let Some(args) = values.as_tuple(args) else { return Ok(None) };
        // _rebuild_parameter(tensor, requires_grad, hooks)
        let args = match (callable, args) {
            (Global::RebuildParameter, [tensor, _, _]) => match values.get(*tensor) {
                &Value::Call { callable: Global::RebuildTensor, args, .. } => values.as_tuple(args),
                _ => None,
            },
            (Global::RebuildParameter, _) => None,
            _ => Some(args),
        };
        let args =
            args.ok_or_else(|| bad("a parameter is made of something other than one tensor"))?;
        // _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata])
        let (&[storage, offset, shape, strides, _, _]
        | &[storage, offset, shape, strides, _, _, _]) = args
        else {
            return Err(bad("a tensor is built of 6 or 7 arguments"));
        };
        let &Value::Persistent { id, at } = values.get(storage) else {
            return Err(bad("its first argument is not a storage"));
        };
        let Reference { key, storage, start, len } = Reference::read(values, id, at)?;
        let numbers = |id, reason| {
            let items = values.as_tuple(id).ok_or_else(|| bad(reason))?;
            // Many tensors may share one tuple, so its length counts before it is copied.
            if items.len() > MAX_DIMS {
                return Err(bad(&format!("it has {} dimensions of {MAX_DIMS}", items.len())));
            }
            items
                .iter()
                .map(|&n| values.as_u64(n).ok_or_else(|| bad(reason)))
                .collect::<Result<Vec<u64>>>()
        };
        let offset =
            values.as_u64(offset).ok_or_else(|| bad("its offset is not a non-negative integer"))?;
        let shape = numbers(shape, "its shape is not a tuple of non-negative integers")?;
        let strides = numbers(strides, "its strides are not a tuple of non-negative integers")?;
        let layout =
            Layout::new(start, len, offset, &shape, &strides).map_err(|reason| bad(&reason))?;
        Ok(Some(Self { key, storage, layout }))
    }
}

/// Whether a value is a tensor, sound or not.
pub(crate) fn is_tensor(values: &Values<'_>, id: Id) -> bool {
    matches!(values.get(id), Value::Call { .. })
}
