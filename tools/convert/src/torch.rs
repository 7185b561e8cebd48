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
    /// `torch.storage.UntypedStorage`: bytes
    UntypedStorage,
    /// `torch.float32` and the like
    Dtype(Dtype),
    /// Element types that neither this reader nor any network of the engine knows
    ForeignDtype(&'static str),
    /// `torch.Size`
    Size,
    /// `torch.Tensor`, `Parameter` and `Buffer`, as the type that a tensor is given
    TensorClass,
    /// `torch._utils._rebuild_tensor`, as PyTorch before 0.4 saved tensors
    RebuildBareTensor,
    /// `torch._utils._rebuild_tensor_v2`
    RebuildTensor,
    /// `torch._utils._rebuild_tensor_v3`: of a type that has no storage class
    RebuildTensorOfDtype,
    /// `torch._utils._rebuild_parameter`
    RebuildParameter,
    /// `torch._utils._rebuild_parameter_with_state`
    RebuildParameterWithState,
    /// `torch._tensor._rebuild_from_type_v2`
    RebuildFromType,
    /// `numpy.core.multiarray.scalar` and `numpy.dtype`, which losses and scores are made of
    Numpy,
    /// `_codecs.encode`: bytes in protocol 2, those of a numpy scalar
    Encode,
}

/// Names of element types that are refused by name.
const FOREIGN_DTYPES: [&str; 15] = [
    "float8_e4m3fnuz",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
    "float4_e2m1fn_x2",
    "uint16",
    "uint32",
    "uint64",
    "complex32",
    "complex64",
    "complex128",
    "qint8",
    "quint8",
    "qint32",
    "quint4x2",
    "quint2x4",
];

impl Global {
    /// Exact names only.
    pub fn resolve(module: &str, name: &str) -> Option<Self> {
        match (module, name) {
            ("collections", "OrderedDict") => Some(Self::OrderedDict),
            ("torch._utils", "_rebuild_tensor") => Some(Self::RebuildBareTensor),
            ("torch._utils", "_rebuild_tensor_v2") => Some(Self::RebuildTensor),
            ("torch._utils", "_rebuild_tensor_v3") => Some(Self::RebuildTensorOfDtype),
            ("torch._utils", "_rebuild_parameter") => Some(Self::RebuildParameter),
            ("torch._utils", "_rebuild_parameter_with_state") => {
                Some(Self::RebuildParameterWithState)
            }
            ("torch._tensor", "_rebuild_from_type_v2") => Some(Self::RebuildFromType),
            ("torch.nn.parameter", "Parameter" | "Buffer") => Some(Self::TensorClass),
            ("torch.storage", "UntypedStorage") => Some(Self::UntypedStorage),
            ("torch", "Tensor") => Some(Self::TensorClass),
            ("torch", "Size") => Some(Self::Size),
            ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") | ("numpy", "dtype") => {
                Some(Self::Numpy)
            }
            ("_codecs", "encode") => Some(Self::Encode),
            ("torch", name) => {
                let foreign = || FOREIGN_DTYPES.iter().find(|dtype| **dtype == name);
                Dtype::of_storage_class(name)
                    .map(Self::Storage)
                    .or_else(|| Dtype::of_name(name).map(Self::Dtype))
                    .or_else(|| foreign().map(|dtype| Self::ForeignDtype(dtype)))
            }
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
        let dtype = match *values.get(class) {
            Value::Global(Global::Storage(dtype)) => dtype,
            Value::Global(Global::UntypedStorage) => Dtype::U8,
            _ => return Err(bad("the class of a storage is none of torch's ten")),
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
    /// Type of the elements, which that of an untyped storage does not say.
    pub dtype: Dtype,
    pub layout: Layout,
}

impl<'p> TensorDecl<'p> {
    /// Reads the value of a state dict's entry, `None` if it is not a tensor.
    pub fn read(values: &Values<'p>, name: &str, id: Id) -> Result<Option<Self>> {
        let &Value::Call { callable, args, at } = values.get(id) else { return Ok(None) };
        let bad =
            |reason: &str| Error::Tensor { name: short(name), reason: format!("{reason} ({at})") };
        let (callable, args) = match (callable, values.as_tuple(args)) {
            // (tensor, requires_grad, hooks[, state])
            (Global::RebuildParameter, Some(&[tensor, _, _]))
            | (Global::RebuildParameterWithState, Some(&[tensor, _, _, _])) => {
                match values.get(tensor) {
                    Value::Call {
                        callable: Global::RebuildParameter | Global::RebuildParameterWithState,
                        ..
                    } => (callable, None),
                    &Value::Call { callable, args, .. } => (callable, values.as_tuple(args)),
                    _ => (callable, None),
                }
            }
            (Global::RebuildParameter | Global::RebuildParameterWithState, _) => (callable, None),
            (callable, args) => (callable, args),
        };
        let args =
            args.ok_or_else(|| bad("a parameter is made of something other than one tensor"))?;
        // (function, class, arguments, state)
        let (callable, args) = match (callable, args) {
            (Global::RebuildFromType, &[function, class, args, _]) => {
                let inner = match (values.get(function), values.get(class)) {
                    (&Value::Global(inner), Value::Global(Global::TensorClass)) => inner,
                    _ => return Err(bad("it is of a class of its own")),
                };
                let args = values.as_tuple(args);
                (inner, args.ok_or_else(|| bad("its arguments are not a tuple"))?)
            }
            other => other,
        };
        // (storage, offset, shape, strides[, requires_grad, hooks[, dtype][, metadata]])
        let (storage, offset, shape, strides, dtype, marks) = match (callable, args) {
            (Global::RebuildBareTensor, &[s, o, d, t]) => (s, o, d, t, None, None),
            (Global::RebuildTensor, &[s, o, d, t, _, _]) => (s, o, d, t, None, None),
            (Global::RebuildTensor, &[s, o, d, t, _, _, marks]) => (s, o, d, t, None, Some(marks)),
            (Global::RebuildTensorOfDtype, &[s, o, d, t, _, _, dtype]) => {
                (s, o, d, t, Some(dtype), None)
            }
            (Global::RebuildTensorOfDtype, &[s, o, d, t, _, _, dtype, marks]) => {
                (s, o, d, t, Some(dtype), Some(marks))
            }
            (Global::RebuildBareTensor, _) => return Err(bad("a tensor is built of 4 arguments")),
            (Global::RebuildTensorOfDtype, _) => {
                return Err(bad("a tensor is built of 7 or 8 arguments"));
            }
            _ => return Err(bad("a tensor is built of 6 or 7 arguments")),
        };
        let negated = match marks {
            Some(marks) => negated(values, marks).map_err(|reason| bad(&reason))?,
            None => false,
        };
        let dtype = match dtype.map(|dtype| values.get(dtype)) {
            None => None,
            Some(&Value::Global(Global::Dtype(dtype))) => Some(dtype),
            Some(&Value::Global(Global::ForeignDtype(dtype))) => {
                return Err(Error::Dtype { name: short(name), dtype: dtype.into() });
            }
            Some(_) => return Err(bad("its element type is none of torch's")),
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
        // An untyped storage counts bytes.
        let dtype = match dtype {
            None => storage.dtype,
            Some(dtype) if storage.dtype == Dtype::U8 && start % dtype.size() as u64 == 0 => dtype,
            Some(_) => return Err(bad("its storage is not one of bytes")),
        };
        let unit = (dtype.size() / storage.dtype.size()) as u64;
        let layout = Layout::new(start / unit, len / unit, offset, &shape, &strides)
            .map_err(|reason| bad(&reason))?;
        Ok(Some(Self { key, storage, dtype, layout: layout.negated(negated) }))
    }
}

/// What the marks of a tensor, which PyTorch saves as its metadata, say about the signs of its
/// elements: `neg` stands for the negative of what the storage holds. `conj` changes no real number.
fn negated(values: &Values<'_>, marks: Id) -> std::result::Result<bool, String> {
    if matches!(values.get(marks), Value::None) {
        return Ok(false);
    }
    let marks = values.as_dict(marks).ok_or("its metadata is not a dictionary")?;
    let mut negated = false;
    for &(name, value) in marks {
        match (values.as_str(name), values.get(value)) {
            (Some("neg"), Value::Bool(on)) => negated = *on,
            (Some("conj"), Value::Bool(_)) => {}
            (name, _) => {
                let name = short(name.unwrap_or("something other than a text"));
                return Err(format!(
                    "its metadata hold {name:?}, whose meaning is not known: save it again as \
                     `tensor.detach().clone()`"
                ));
            }
        }
    }
    Ok(negated)
}

/// How many dimensions a tensor says that it has, whether it is sound or not.
pub(crate) fn dimensions(values: &Values<'_>, id: Id) -> usize {
    let mut id = id;
    // A parameter, which may be of a type of its own, is built of a tensor.
    for _ in 0..3 {
        let &Value::Call { callable, args, .. } = values.get(id) else { return 0 };
        let inner = match (callable, values.as_tuple(args)) {
            (Global::RebuildParameter | Global::RebuildParameterWithState, Some(&[tensor, ..])) => {
                tensor
            }
            (Global::RebuildFromType, Some(&[_, _, args, ..])) => args,
            (_, Some(&[_, _, shape, ..])) => {
                return values.as_tuple(shape).map_or(0, <[Id]>::len);
            }
            _ => return 0,
        };
        if callable == Global::RebuildFromType {
            let shape = values.as_tuple(inner).and_then(|args| args.get(2).copied());
            return shape.and_then(|shape| values.as_tuple(shape)).map_or(0, <[Id]>::len);
        }
        id = inner;
    }
    0
}

/// Whether a value is a tensor, sound or not.
pub(crate) fn is_tensor(values: &Values<'_>, id: Id) -> bool {
    matches!(values.get(id), Value::Call { .. })
}
