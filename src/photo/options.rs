//! Options of a photo's restoration.

/// Which faces of a photo are restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum FaceSelection {
    /// Every one.
    #[default]
    All,
    /// The one with the largest distance of the eyes.
    Largest,
    /// The one nearest to the middle of the photo.
    Central,
}

/// Which part of a restored face goes into the photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum BlendMask {
    /// Where a parser sees the face; without a parser, [`BlendMask::Oval`].
    #[default]
    Face,
    /// A soft oval around the landmarks.
    Oval,
    /// The whole crop but its border, as facexlib does without a parser.
    Square,
}

/// Options of a photo's restoration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PhotoOptions {
    /// Which faces are restored.
    pub which: FaceSelection,
    /// Faces whose eyes are less than this apart are left, in pixels.
    pub smallest: f64,
    /// How much of the restored face is taken, 0 to 1.
    pub strength: f64,
    /// Output pixels per pixel of the photo and side.
    pub scale: usize,
    /// How much of the photo's grain goes over restored faces that lack it, 0 to 1.
    pub grain: f64,
    /// Which part of a restored face goes into the photo.
    pub mask: BlendMask,
}

impl Default for PhotoOptions {
    fn default() -> Self {
        let (which, mask) = (FaceSelection::All, BlendMask::Face);
        Self { which, smallest: 5.0, strength: 1.0, scale: 1, grain: 0.5, mask }
    }
}
