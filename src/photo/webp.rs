//! Lossy WebP: results, by libwebp, and the quality that a file was written at.

use super::segments;

/// The WebP file of `width × height` samples of RGB, or of RGBA, at a quality of 1 to 100.
#[cfg(feature = "codecs")]
pub(super) fn lossy(
    samples: &[u8],
    [height, width]: [usize; 2],
    has_alpha: bool,
    quality: u8,
) -> Result<Vec<u8>, String> {
    let layout = if has_alpha { webp::PixelLayout::Rgba } else { webp::PixelLayout::Rgb };
    let encoder = webp::Encoder::new(samples, layout, width as u32, height as u32);
    let file = encoder.encode_simple(false, f32::from(quality.clamp(1, 100)));
    file.map(|file| file.to_vec()).map_err(|e| format!("libwebp says {e:?}"))
}

/// The quality, 1 to 100, that libwebp would write a file like this one at; `None` of one that is
/// lossless.
pub(super) fn quality(file: &[u8]) -> Option<u8> {
    let mut chunks = segments::of_webp(file).take_while(|chunk| &chunk.kind != b"VP8L");
    let frame = chunks.find(|chunk| &chunk.kind == b"VP8 ")?.data;
    let index = quantizer(frame)?;
    // libwebp's QualityToCompression(), the other way round.
    let compression = 1.0 - f64::from(index) / 127.0;
    let linear = compression.powi(3);
    let quality = if linear < 0.5 { linear * 1.5 } else { (linear + 1.0) / 2.0 };
    Some(((quality * 100.0).round() as u8).clamp(1, 100))
}

/// The finest index of the quantizers, 0 to 127, of a key frame: RFC 6386, 9.2 to 9.6.
fn quantizer(frame: &[u8]) -> Option<u8> {
    let is_key = frame.first()? & 1 == 0 && frame.get(3..6)? == [0x9D, 0x01, 0x2A];
    let mut bits = Bits::new(frame.get(10..).filter(|_| is_key)?);
    // Colour space, and whether samples are clamped.
    bits.number(2);
    let mut segments = None;
    if bits.flag() {
        let (has_map, has_data) = (bits.flag(), bits.flag());
        if has_data {
            let is_absolute = bits.flag();
            let quantizers: [Option<i32>; 4] = std::array::from_fn(|_| bits.optional(7));
            for _ in 0..4 {
                bits.optional(6);
            }
            segments = Some((is_absolute, quantizers.map(Option::unwrap_or_default)));
        }
        if has_map {
            for _ in 0..3 {
                if bits.flag() {
                    bits.number(8);
                }
            }
        }
    }
    // The loop filter's kind, level and sharpness.
    bits.number(1 + 6 + 3);
    if bits.flag() && bits.flag() {
        for _ in 0..8 {
            bits.optional(6);
        }
    }
    // The number of partitions.
    bits.number(2);
    let base = bits.number(7) as i32;
    let finest = match segments {
        Some((true, quantizers)) => quantizers.into_iter().min()?,
        Some((false, quantizers)) => base + quantizers.into_iter().min()?,
        None => base,
    };
    Some(finest.clamp(0, 127) as u8)
}

/// The boolean decoder of RFC 6386, section 7, at even odds. Behind the end come zeros.
struct Bits<'a> {
    data: &'a [u8],
    value: u32,
    range: u32,
    shifted: u32,
}

impl<'a> Bits<'a> {
    fn new(data: &'a [u8]) -> Self {
        let mut bits = Self { data, value: 0, range: 255, shifted: 0 };
        bits.value = u32::from(bits.byte()) << 8 | u32::from(bits.byte());
        bits
    }

    fn byte(&mut self) -> u8 {
        let (first, rest) = self.data.split_first().unwrap_or((&0, &[]));
        self.data = rest;
        *first
    }

    fn flag(&mut self) -> bool {
        let split = 1 + ((self.range - 1) * 128 >> 8);
        let is_set = self.value >= split << 8;
        if is_set {
            self.range -= split;
            self.value -= split << 8;
        } else {
            self.range = split;
        }
        while self.range < 128 {
            self.value <<= 1;
            self.range <<= 1;
            self.shifted += 1;
            if self.shifted == 8 {
                self.shifted = 0;
                self.value |= u32::from(self.byte());
            }
        }
        is_set
    }

    fn number(&mut self, bits: u32) -> u32 {
        (0..bits).fold(0, |value, _| value << 1 | u32::from(self.flag()))
    }

    /// A number with its sign behind it, where a flag says that there is one.
    fn optional(&mut self, bits: u32) -> Option<i32> {
        self.flag().then(|| {
            let value = self.number(bits) as i32;
            if self.flag() { -value } else { value }
        })
    }
}

#[cfg(all(test, feature = "codecs"))]
mod tests {
    use super::*;

    #[test]
    fn the_quality_of_a_file_is_told() {
        let (height, width) = (40, 56);
        let samples: Vec<u8> =
            (0..height * width * 3).map(|i| (i / 3 * 7 % 200 + i % 3 * 20) as u8).collect();
        let mut last = 0;
        for quality in [20, 50, 75, 85, 95, 100] {
            let file = lossy(&samples, [height, width], false, quality).unwrap();
            let told = super::quality(&file).unwrap();
            // Segments are finer than the whole.
            assert!(
                told >= quality && told <= quality.saturating_add(25).min(100),
                "{quality} {told}"
            );
            assert!(told >= last);
            last = told;
            for end in 0..file.len() {
                super::quality(&file[..end]);
            }
        }
        let mut file = std::io::Cursor::new(Vec::new());
        let encoder = image::codecs::webp::WebPEncoder::new_lossless(&mut file);
        encoder
            .encode(&samples, width as u32, height as u32, image::ExtendedColorType::Rgb8)
            .unwrap();
        assert_eq!(super::quality(&file.into_inner()), None);
    }
}
