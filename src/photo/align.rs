//! Where an aligned crop lies in a photo: the similarity that brings five landmarks onto a template.
//!
//! The fit is the least median of squares of OpenCV 4's `estimateAffinePartial2D`, which the
//! reference pipelines of this field use, down to its random numbers: other samples would give
//! other crops.

/// Left eye, right eye, nose, left and right corner of the mouth, as seen in the picture; `[x, y]`
/// in pixels.
pub type Landmarks = [[f64; 2]; 5];

/// Where GFPGAN's and FFHQ's networks expect the landmarks in a face of 512×512 pixels.
pub const TEMPLATE: Landmarks = [
    [192.98138, 239.94708],
    [318.90277, 240.1936],
    [256.63416, 314.01935],
    [201.26117, 371.41043],
    [313.08905, 371.15118],
];

/// The side of the face that [`TEMPLATE`] is for.
pub const TEMPLATE_SIZE: f64 = 512.0;

/// `x' = m[0][0]·x + m[0][1]·y + m[0][2]`, `y' = m[1][0]·x + m[1][1]·y + m[1][2]`
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Affine(pub [[f64; 3]; 2]);

impl Affine {
    /// Leaves every point where it is.
    pub const IDENTITY: Self = Self([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]);

    /// The similarity `[a -b c; b a d]`.
    fn similarity(a: f64, b: f64, c: f64, d: f64) -> Self {
        Self([[a, -b, c], [b, a, d]])
    }

    /// Where `point` goes.
    pub fn apply(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        self.0.map(|[a, b, c]| a * x + b * y + c)
    }

    /// The way back; zeros where there is none.
    pub fn inverse(&self) -> Self {
        let [[a, b, c], [d, e, f]] = self.0;
        let determinant = a * e - b * d;
        let scale = if determinant == 0.0 { 0.0 } else { 1.0 / determinant };
        let [p, q, r, s] = [e * scale, -b * scale, -d * scale, a * scale];
        Self([[p, q, -p * c - q * f], [r, s, -r * c - s * f]])
    }

    /// Maps into a picture that is `factor` times as large; pixels are areas, so that their
    /// centres move by half a pixel of the larger picture.
    pub fn enlarged(&self, factor: usize) -> Self {
        let scale = factor as f64;
        let shift = if factor > 1 { 0.5 * scale } else { 0.0 };
        Self(self.0.map(|[a, b, c]| [a * scale, b * scale, c * scale + shift]))
    }

    /// Maps into a picture of `factor` times as many pixels, whose squares of `factor²` pixels
    /// have the centres of the former pixels.
    pub fn enlarged_centres(&self, factor: usize) -> Self {
        let scale = factor as f64;
        let shift = (scale - 1.0) / 2.0;
        Self(self.0.map(|[a, b, c]| [a * scale, b * scale, c * scale + shift]))
    }

    /// Maps from a square of side `side` that shows what this takes from a square of side
    /// `own`.
    pub fn from_size(&self, side: f64, own: f64) -> Self {
        let scale = own / side;
        let shift = (scale - 1.0) / 2.0;
        Self(self.0.map(|[a, b, c]| [a * scale, b * scale, c + (a + b) * shift]))
    }

    /// How much longer a distance becomes.
    pub fn scale(&self) -> f64 {
        let [[a, _, _], [d, _, _]] = self.0;
        a.hypot(d)
    }
}

/// A fit and which landmarks it rests on.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Fit {
    /// From the photo to the face.
    pub to_face: Affine,
    /// The others were taken for wrong.
    pub inliers: [bool; 5],
}

/// The similarity that brings `landmarks` onto the template of a face of `size × size` pixels, or
/// `None` where they lie in one point or are not numbers.
pub fn align(landmarks: &Landmarks, size: usize) -> Option<Fit> {
    let factor = size as f64 / TEMPLATE_SIZE;
    let template = TEMPLATE.map(|point| point.map(|v| v * factor));
    fit(landmarks, &template)
}

/// How much more than the template's frame a turned head gets on every side.
const POSED_MARGIN: f64 = 1.15;

/// The similarity for a head that is turned past the reach of the template: its eyes lie so close
/// together that a fit would take the head for a larger one. Size and roll are those of the line from
/// between the eyes to the mouth, which a turn to the side leaves as it is; the crop is centred on
/// the side of the head that is seen, and is wider than the template's.
///
/// `None` where eyes and mouth lie in one point or are not numbers.
pub fn align_posed(landmarks: &Landmarks, size: usize) -> Option<Affine> {
    let frame = Frame::of(landmarks);
    let template = Frame::of(&TEMPLATE);
    let factor = size as f64 / TEMPLATE_SIZE;
    let scale = template.length * factor / POSED_MARGIN / frame.length;
    let [dx, dy] = frame.down;
    // Turns `down` to (0, 1).
    let (a, b) = (dy * scale, dx * scale);
    let half = size as f64 / 2.0;
    let to = template.head().map(|v| half + (v * factor - half) / POSED_MARGIN);
    let [x, y] = frame.head();
    let affine = Affine::similarity(a, b, to[0] - (a * x - b * y), to[1] - (b * x + a * y));
    let usable = frame.length > 0.0 && affine.0.as_flattened().iter().all(|v| v.is_finite());
    usable.then_some(affine)
}

/// The line from between the eyes to the mouth, and where the nose stands off it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Frame {
    /// Between the eyes.
    pub eyes: [f64; 2],
    /// Unit vector to the middle of the mouth.
    pub down: [f64; 2],
    /// Length of the line; 0 where both ends are one point.
    pub length: f64,
    /// How far the tip of the nose is to the right of the line's middle, looking down it from
    /// above a face that looks at us: 0 in such a face.
    pub turn: f64,
}

impl Frame {
    /// The line of these landmarks.
    pub fn of(landmarks: &Landmarks) -> Self {
        let [left_eye, right_eye, nose, left_mouth, right_mouth] = *landmarks;
        let between = |p: [f64; 2], q: [f64; 2]| [(p[0] + q[0]) / 2.0, (p[1] + q[1]) / 2.0];
        let (eyes, mouth) = (between(left_eye, right_eye), between(left_mouth, right_mouth));
        let length = (mouth[0] - eyes[0]).hypot(mouth[1] - eyes[1]);
        let safe = length.max(f64::MIN_POSITIVE);
        let down = [(mouth[0] - eyes[0]) / safe, (mouth[1] - eyes[1]) / safe];
        let middle = between(eyes, mouth);
        let turn = (nose[0] - middle[0]) * down[1] - (nose[1] - middle[1]) * down[0];
        Self { eyes, down, length, turn }
    }

    /// Unit vector to the right of the line in an upright face's picture.
    pub fn across(&self) -> [f64; 2] {
        [self.down[1], -self.down[0]]
    }

    /// The middle of what is seen of the head: that of the line in a face that looks at us, away
    /// from the nose in one that is turned.
    pub fn head(&self) -> [f64; 2] {
        let across = self.across();
        [0, 1]
            .map(|i| self.eyes[i] + 0.5 * self.length * self.down[i] - 0.5 * self.turn * across[i])
    }
}

/// Samples of two landmarks that are tried; enough to meet one without outliers with a probability
/// of 0.99 when 45 % are outliers.
const SAMPLES: usize = 13;

fn fit(from: &Landmarks, to: &Landmarks) -> Option<Fit> {
    if from.as_flattened().iter().any(|v| !v.is_finite()) {
        return None;
    }
    // OpenCV holds points in single precision.
    let narrow = |points: &Landmarks| points.map(|point| point.map(|v| v as f32));
    let (from, to) = (narrow(from), narrow(to));
    let mut random = Random::new();
    let mut best: Option<(f32, [f32; 5])> = None;
    for _ in 0..SAMPLES {
        let i = random.below(5);
        let mut j = random.below(5);
        while j == i {
            j = random.below(5);
        }
        let residuals = residuals(&through(from[i], from[j], to[i], to[j]), &from, &to);
        let mut sorted = residuals;
        sorted.sort_by(f32::total_cmp);
        let median = sorted[2];
        if median.is_finite() && best.is_none_or(|(least, _)| median < least) {
            best = Some((median, residuals));
        }
    }
    let (median, residuals) = best?;
    // 1.4826 makes the median deviation of a normal distribution its standard deviation, the
    // fraction corrects for five points of which two were fitted.
    let deviation = 1.4826 * (1.0 + 5.0 / (5.0 - 2.0)) * f64::from(median).sqrt();
    let limit = (2.5 * deviation).max(0.001);
    let inliers = residuals.map(|residual| residual <= (limit * limit) as f32);
    let to_face = least_squares(&from, &to, &inliers)?;
    Some(Fit { to_face, inliers })
}

/// The similarity that brings two points onto two others; not finite where the two are one.
fn through(from_1: [f32; 2], from_2: [f32; 2], to_1: [f32; 2], to_2: [f32; 2]) -> Affine {
    let difference = |p: [f32; 2], q: [f32; 2]| [0, 1].map(|i| f64::from(p[i]) - f64::from(q[i]));
    let [x, y] = difference(from_1, from_2);
    let [u, v] = difference(to_1, to_2);
    let square = x * x + y * y;
    let (a, b) = ((u * x + v * y) / square, (v * x - u * y) / square);
    let [px, py] = from_1.map(f64::from);
    let [qx, qy] = to_1.map(f64::from);
    Affine::similarity(a, b, qx - (a * px - b * py), qy - (b * px + a * py))
}

/// Squared distances from the template, in single precision.
fn residuals(affine: &Affine, from: &[[f32; 2]; 5], to: &[[f32; 2]; 5]) -> [f32; 5] {
    let [row_x, row_y] = affine.0.map(|row| row.map(|v| v as f32));
    std::array::from_fn(|i| {
        let [x, y] = from[i];
        let a = row_x[0] * x + row_x[1] * y + row_x[2] - to[i][0];
        let b = row_y[0] * x + row_y[1] * y + row_y[2] - to[i][1];
        a * a + b * b
    })
}

/// The similarity with the least sum of squared distances over the inliers.
fn least_squares(from: &[[f32; 2]; 5], to: &[[f32; 2]; 5], inliers: &[bool; 5]) -> Option<Affine> {
    let used: Vec<usize> = (0..5).filter(|&i| inliers[i]).collect();
    let centre = |points: &[[f32; 2]; 5]| {
        [0, 1].map(|axis| {
            used.iter().map(|&i| f64::from(points[i][axis])).sum::<f64>() / used.len() as f64
        })
    };
    let ([cx, cy], [du, dv]) = (centre(from), centre(to));
    let (mut square, mut along, mut across) = (0.0, 0.0, 0.0);
    for &i in &used {
        let [x, y] = [f64::from(from[i][0]) - cx, f64::from(from[i][1]) - cy];
        let [u, v] = [f64::from(to[i][0]) - du, f64::from(to[i][1]) - dv];
        square += x * x + y * y;
        along += x * u + y * v;
        across += x * v - y * u;
    }
    let (a, b) = (along / square, across / square);
    let affine = Affine::similarity(a, b, du - (a * cx - b * cy), dv - (b * cx + a * cy));
    affine.0.as_flattened().iter().all(|v| v.is_finite()).then_some(affine)
}

/// OpenCV's generator: a multiply with carry (Marsaglia) of 32 bits.
struct Random(u64);

impl Random {
    /// The state that OpenCV's estimators begin with.
    fn new() -> Self {
        Self(u64::MAX)
    }

    fn below(&mut self, n: u32) -> usize {
        let (low, high) = (self.0 & 0xffff_ffff, self.0 >> 32);
        self.0 = low * 4_164_903_690 + high;
        (self.0 as u32 % n) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(by: &Affine, points: Landmarks) -> Landmarks {
        points.map(|point| by.apply(point))
    }

    #[test]
    fn a_moved_template_is_moved_back() {
        let there = Affine::similarity(0.3, 0.1, 40.0, -7.0);
        let fit = align(&moved(&there, TEMPLATE), 512).unwrap();
        assert_eq!(fit.inliers, [true; 5]);
        for (point, target) in moved(&there, TEMPLATE).into_iter().zip(TEMPLATE) {
            let [x, y] = fit.to_face.apply(point);
            assert!((x - target[0]).hypot(y - target[1]) < 1e-3, "{x} {y}");
        }
    }

    #[test]
    fn one_wrong_landmark_does_not_move_the_face() {
        let mut landmarks = TEMPLATE;
        landmarks[2] = [400.0, 100.0];
        let fit = align(&landmarks, 512).unwrap();
        assert_eq!(fit.inliers, [true, true, false, true, true]);
        assert!((fit.to_face.scale() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn a_turned_head_keeps_its_size_and_is_upright_in_the_middle() {
        // Both eyes and both corners of the mouth close together, the nose far at the right.
        let profile =
            [[300.0, 240.0], [330.0, 240.0], [370.0, 300.0], [300.0, 371.0], [330.0, 371.0]];
        let tilted = Affine::similarity(0.4, 0.3, 90.0, 20.0);
        let to_face = align_posed(&moved(&tilted, profile), 512).unwrap();
        let Affine(fitted) = align(&moved(&tilted, profile), 512).unwrap().to_face;
        // The template's distance of the eyes would make it more than twice as large.
        assert!((to_face.scale() * 0.5 - 1.0 / POSED_MARGIN).abs() < 0.01, "{}", to_face.scale());
        assert!(Affine(fitted).scale() * 0.5 > 1.0);
        let face = moved(&to_face, moved(&tilted, profile));
        assert!((face[0][1] - face[1][1]).abs() < 1e-6, "upright");
        assert!(face[2][0] > face[1][0], "not mirrored");
        let head = Frame::of(&face).head();
        assert!((head[0] - 256.0).abs() < 3.0, "{head:?}");
        assert_eq!(align_posed(&[[5.0, 5.0]; 5], 512), None);
    }

    #[test]
    fn an_inverse_undoes() {
        let affine = Affine([[1.5, -0.25, 3.0], [0.5, 2.0, -8.0]]);
        let [x, y] = affine.inverse().apply(affine.apply([11.0, -4.0]));
        assert!((x - 11.0).abs() < 1e-12 && (y + 4.0).abs() < 1e-12);
    }

    #[test]
    fn points_that_are_one_and_numbers_that_are_none_have_no_fit() {
        assert_eq!(align(&[[5.0, 5.0]; 5], 512), None);
        let mut landmarks = TEMPLATE;
        landmarks[0][1] = f64::NAN;
        assert_eq!(align(&landmarks, 512), None);
    }
}
