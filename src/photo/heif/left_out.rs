//! What a HEIC or AVIF file holds beside the picture that is read.

use super::container::{Container, Item};

/// A sentence about it, where there is something.
pub(super) fn note(container: &Container, picture: &Item) -> Option<String> {
    let parts: Vec<String> = [
        (gain_maps(container), "an HDR gain map", "HDR gain maps"),
        (auxiliaries(container, is_depth), "a depth map", "depth maps"),
        (auxiliaries(container, is_other), "an auxiliary picture", "auxiliary pictures"),
        (further(container, picture), "a further picture", "further pictures"),
        (usize::from(container.has_film), "a film", "films"),
    ]
    .into_iter()
    .filter_map(|(count, one, many)| match count {
        0 => None,
        1 => Some(one.to_owned()),
        count => Some(format!("{count} {many}")),
    })
    .collect();
    let (last, first) = parts.split_last()?;
    let and = if first.is_empty() { "" } else { " and " };
    Some(format!("left out of the file: {}{and}{last}", first.join(", ")))
}

fn is_gain_map(urn: &[u8]) -> bool {
    urn.windows(7).any(|word| word.eq_ignore_ascii_case(b"gainmap"))
}

fn is_depth(urn: &[u8]) -> bool {
    urn == b"urn:mpeg:hevc:2015:auxid:2" || urn.ends_with(b"auxiliary:depth")
}

fn is_alpha(urn: &[u8]) -> bool {
    urn == b"urn:mpeg:hevc:2015:auxid:1" || urn.ends_with(b"auxiliary:alpha")
}

fn is_other(urn: &[u8]) -> bool {
    !is_gain_map(urn) && !is_depth(urn) && !is_alpha(urn)
}

/// Auxiliary pictures whose URN is `is_it`.
fn auxiliaries(container: &Container, is_it: fn(&[u8]) -> bool) -> usize {
    let tiles = tiles(container);
    let all = container.items.iter().filter(|item| !tiles.contains(&item.id));
    all.filter_map(Item::auxiliary).filter(|urn| is_it(urn)).count()
}

/// As auxiliary pictures, or as parts of a picture that is made with one.
fn gain_maps(container: &Container) -> usize {
    let mapped = container.items.iter().filter(|item| &item.kind == b"tmap").count();
    auxiliaries(container, is_gain_map).max(mapped)
}

/// The items that others are made of.
fn tiles(container: &Container) -> std::collections::HashSet<u32> {
    let made = container.references.iter().filter(|r| &r.kind == b"dimg");
    made.flat_map(|r| r.to.iter().copied()).collect()
}

/// Pictures that stand for themselves, beside `picture`.
fn further(container: &Container, picture: &Item) -> usize {
    let tiles = tiles(container);
    let is_part = |item: &Item| {
        item.is_hidden
            || item.id == picture.id
            || tiles.contains(&item.id)
            || item.auxiliary().is_some()
            || matches!(&item.kind, b"Exif" | b"mime" | b"uri " | b"tmap" | b"mski" | b"rgan")
    };
    let is_thumbnail = |item: &Item| !container.targets(b"thmb", item.id).is_empty();
    container.items.iter().filter(|item| !is_part(item) && !is_thumbnail(item)).count()
}
