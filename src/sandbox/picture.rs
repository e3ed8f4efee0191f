//! Pictures: made from a prompt, and changed so that the change is seen.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ImageEncoder as _, Rgb, RgbImage};

/// A picture larger than this, in pixels, is not taken for an edit.
const MAX_PIXELS: u64 = 64 << 20;

/// One row in this many is noise, in a band near the bottom that the frame of an edit leaves alone. A picture of a model
/// hardly compresses: it weighs some 0.4 MB at 1K, 1.4 MB at 2K and over 5 MB at 4K. So does one with this much noise.
const NOISE: u32 = 9;

/// A PNG of exactly that ratio, with about as many pixels as a square of that `side`, in colours that come from the
/// prompt.
pub(super) fn make(prompt: &str, ratio: (u32, u32), side: u32) -> Result<Vec<u8>, image::ImageError> {
    let (across, down) = ratio;
    let unit = (f64::from(side) / f64::from(across * down).sqrt()).round() as u32;
    let (width, height) = (across * unit, down * unit);
    let seed = hash(prompt);
    let [sky, ground, sun] = [0, 16, 32].map(|shift| colour(seed.rotate_left(shift)));
    let mut picture = RgbImage::from_fn(width, height, |_, y| blend(sky, ground, y * 16 / height));
    // A sun somewhere, so that two prompts do not only differ in colour.
    let radius = width.min(height) / 6;
    let centre = (width / 4 + (seed % 8) as u32 * width / 16, height / 4 + (seed >> 8 & 7) as u32 * height / 16);
    disc(&mut picture, centre, radius, sun);
    noise(&mut picture, seed);
    encode(&picture)
}

/// A PNG of the picture in the same size: tinted, with a negative band and a frame.
pub(super) fn edit(bytes: &[u8], prompt: &str) -> Result<Vec<u8>, image::ImageError> {
    let reader = image::ImageReader::new(std::io::Cursor::new(bytes)).with_guessed_format()?;
    let (width, height) = reader.into_dimensions()?;
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        let kind = image::error::LimitErrorKind::DimensionError;
        return Err(image::ImageError::Limits(image::error::LimitError::from_kind(kind)));
    }
    let mut picture = image::load_from_memory(bytes)?.to_rgb8();
    let tint = colour(hash(prompt));
    let frame = (width.min(height) / 24).max(1);
    let band = height * 2 / 5..height * 3 / 5;
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        let framed = x < frame || y < frame || x + frame >= width || y + frame >= height;
        if framed {
            *pixel = tint;
        } else if band.contains(&y) {
            pixel.0 = pixel.0.map(|level| 255 - level);
        } else {
            *pixel = blend(*pixel, tint, 4);
        }
    }
    encode(&picture)
}

/// Fills a band of rows with what does not compress: an xorshift generator (Marsaglia 2003), the same for each seed.
fn noise(picture: &mut RgbImage, seed: u64) {
    let rows = picture.height() / NOISE;
    let bytes = (rows * picture.width()) as usize * 3;
    let end = picture.height() * (NOISE - 1) / NOISE * picture.width() * 3;
    let all: &mut [u8] = picture;
    let band = &mut all[..end as usize];
    let start = band.len() - bytes;
    // xorshift would stay at zero.
    let mut state = seed | 1;
    for chunk in band[start..].chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        chunk.copy_from_slice(&state.to_le_bytes()[..chunk.len()]);
    }
}

fn disc(picture: &mut RgbImage, (cx, cy): (u32, u32), radius: u32, colour: Rgb<u8>) {
    let (width, height) = picture.dimensions();
    for y in cy.saturating_sub(radius)..(cy + radius).min(height) {
        for x in cx.saturating_sub(radius)..(cx + radius).min(width) {
            let (dx, dy) = (x.abs_diff(cx), y.abs_diff(cy));
            if dx * dx + dy * dy < radius * radius {
                picture.put_pixel(x, y, colour);
            }
        }
    }
}

/// `part` sixteenths of `b` in `a`.
fn blend(a: Rgb<u8>, b: Rgb<u8>, part: u32) -> Rgb<u8> {
    let mix = |a: u8, b: u8| ((u32::from(a) * (16 - part.min(16)) + u32::from(b) * part.min(16)) / 16) as u8;
    Rgb([mix(a.0[0], b.0[0]), mix(a.0[1], b.0[1]), mix(a.0[2], b.0[2])])
}

fn colour(seed: u64) -> Rgb<u8> {
    Rgb([seed as u8, (seed >> 8) as u8, (seed >> 16) as u8])
}

/// FNV-1a: the same prompt makes the same picture, everywhere.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

fn encode(picture: &RgbImage) -> Result<Vec<u8>, image::ImageError> {
    let mut out = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut out, CompressionType::Fast, FilterType::Up);
    encoder.write_image(picture.as_raw(), picture.width(), picture.height(), image::ExtendedColorType::Rgb8)?;
    Ok(out)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn size(png: &[u8]) -> (u32, u32) {
        let picture = image::load_from_memory_with_format(png, image::ImageFormat::Png).unwrap();
        (picture.width(), picture.height())
    }

    #[test]
    fn a_picture_has_exactly_its_ratio_and_grows_with_its_size() {
        for (across, down) in [(1, 1), (16, 9), (9, 16), (21, 9), (1, 8)] {
            let (width, height) = size(&make("a", (across, down), 1024).unwrap());
            assert_eq!(width * down, height * across);
            assert!((900_000..1_200_000).contains(&(width * height)));
        }
        assert_eq!(size(&make("a", (1, 1), 2048).unwrap()), (2048, 2048));
    }

    #[test]
    fn a_picture_weighs_what_one_of_a_model_does() {
        for (side, ratio, kilobytes) in [
            (512, (1, 1), 80..150),
            (1024, (16, 9), 350..600),
            (2048, (1, 1), 1_300..2_200),
            (4096, (1, 1), 5_100..9_000),
            (4096, (1, 8), 5_100..9_000),
            (4096, (21, 9), 5_100..9_000),
        ] {
            let made = make("a", ratio, side).unwrap();
            assert!(kilobytes.contains(&(made.len() / 1000)), "{side} {ratio:?}: {} bytes", made.len());
            let edited = edit(&made, "at night").unwrap();
            assert!(edited.len() > made.len() * 3 / 4, "{side} {ratio:?}: {} bytes", edited.len());
        }
    }

    #[test]
    fn an_edit_keeps_the_size_and_changes_the_picture() {
        let before = make("a lighthouse", (4, 3), 1024).unwrap();
        let after = edit(&before, "at night").unwrap();
        assert_eq!(size(&before), size(&after));
        let pixels = |png: &[u8]| image::load_from_memory(png).unwrap().to_rgb8();
        let changed = pixels(&before).pixels().zip(pixels(&after).pixels()).filter(|(a, b)| a != b).count();
        assert!(changed * 2 > pixels(&before).pixels().len());
        assert_ne!(make("b", (4, 3), 1024).unwrap(), before);
        assert!(edit(b"no picture", "x").is_err());
    }
}
