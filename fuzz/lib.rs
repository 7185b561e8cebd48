//! The fuzz targets.

pub mod targets;
pub mod walls;
