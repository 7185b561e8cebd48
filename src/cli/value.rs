//! Values of arguments, from text.

use pentimento::Precision;
use pentimento::photo::Batch;
use pentimento_convert::Element;

pub fn precision(text: &str) -> Result<Precision, String> {
    match text {
        "auto" => Ok(Precision::Auto),
        "f32" => Ok(Precision::F32),
        "f16" => Ok(Precision::F16),
        _ => Err("expected auto, f32 or f16".into()),
    }
}

pub fn element(text: &str) -> Result<Element, String> {
    match text {
        "keep" => Ok(Element::Keep),
        "f32" => Ok(Element::F32),
        "f16" => Ok(Element::F16),
        _ => Err("expected f32, f16 or keep".into()),
    }
}

/// The number of a page, from 1.
pub fn page(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("expected a number, from 1".into()),
    }
}

/// "auto", or a number of faces.
pub fn batch(text: &str) -> Result<Batch, String> {
    match text.parse() {
        Ok(faces) if (1..=Batch::MOST).contains(&faces) => Ok(Batch::Faces(faces)),
        _ if text == "auto" => Ok(Batch::Auto),
        _ => Err(format!("expected auto, or a number of faces from 1 to {}", Batch::MOST)),
    }
}

/// A number from 0 to 1.
pub fn fraction(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("expected a number from 0 to 1".into()),
    }
}

/// "white", "black", "gray", or "#f0e8d0": red, green and blue.
pub fn colour(text: &str) -> Result<[u8; 3], String> {
    match text {
        "white" => return Ok([255; 3]),
        "gray" | "grey" => return Ok([128; 3]),
        "black" => return Ok([0; 3]),
        _ => {}
    }
    let digits = text.strip_prefix('#').unwrap_or(text);
    let value = u32::from_str_radix(digits, 16).ok();
    let value = value.filter(|_| digits.len() == 6 && !digits.starts_with('+'));
    let value = value.ok_or("expected white, black, gray, or a colour such as #f0e8d0")?;
    let [_, red, green, blue] = value.to_be_bytes();
    Ok([red, green, blue])
}

/// A number of seconds.
pub fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if (0.0..=3600.0).contains(&value) => Ok(value),
        _ => Err("expected a number of seconds".into()),
    }
}

/// "2GB" (10⁹), "512MiB" (2²⁰), "1.5G" (2³⁰, as other tools read it), or bytes.
pub fn memory(text: &str) -> Result<usize, String> {
    let wrong = || "expected a size such as 2GB, 512MiB or 1.5GiB".to_owned();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "k" | "kib" => 1024.0,
        "m" | "mib" => 1024.0 * 1024.0,
        "g" | "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err(wrong()),
    };
    let bytes = number.parse::<f64>().map_err(|_| wrong())? * factor;
    // The cast saturates: more than the address space is no limit at all.
    if bytes >= 1.0 { Ok(bytes as usize) } else { Err(wrong()) }
}

/// "512x768" as height and width; one number is both.
pub fn size(text: &str) -> Result<[usize; 2], String> {
    let side = |text: &str| match text.parse() {
        Ok(side) if side > 0 => Ok(side),
        _ => Err("expected a size such as 512x768 (height x width) or 512".to_owned()),
    };
    match text.split_once(['x', 'X', '×']) {
        Some((height, width)) => Ok([side(height)?, side(width)?]),
        None => Ok([side(text)?; 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::{colour, fraction, memory, seconds, size};

    #[test]
    fn fractions() {
        assert_eq!(fraction("0.25"), Ok(0.25));
        assert_eq!(fraction("1"), Ok(1.0));
        for wrong in ["", "-0.1", "1.01", "NaN", "half"] {
            assert!(fraction(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn colours() {
        assert_eq!(colour("white"), Ok([255; 3]));
        assert_eq!(colour("#f0E8d0"), Ok([0xF0, 0xE8, 0xD0]));
        assert_eq!(colour("00ff00"), Ok([0, 255, 0]));
        for wrong in ["", "#", "#fff", "+12345", "red", "#00ff000"] {
            assert!(colour(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(seconds("0.5"), Ok(0.5));
        for wrong in ["", "-1", "inf", "NaN", "1s"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_of_memory() {
        assert_eq!(memory("2GB"), Ok(2_000_000_000));
        assert_eq!(memory("512 MiB"), Ok(512 << 20));
        assert_eq!(memory("1.5g"), Ok(3 << 29));
        assert_eq!(memory("4096"), Ok(4096));
        for wrong in ["", "GB", "-1GB", "1.2.3GB", "2TBs", "0", "0.1", "inf", "NaN"] {
            assert!(memory(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_of_pictures() {
        assert_eq!(size("512x768"), Ok([512, 768]));
        assert_eq!(size("64"), Ok([64, 64]));
        for wrong in ["", "x", "5x", "x5", "0x4", "4x0", "-1x4", "1x2x3", "a"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
