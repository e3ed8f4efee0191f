//! Pictures: made from a prompt, and changed so that the change is seen.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ImageEncoder as _, Rgb, RgbImage};

/// A picture larger than this, in pixels, is not taken for an edit.
const MAX_PIXELS: u64 = 64 << 20;

/// The colours of a sky, its horizon, the sun and the sea.
const SCENES: [[u32; 4]; 6] = [
    [0x33416f, 0xf4b393, 0xffe9c4, 0x243f5c],
    [0x2f7fc1, 0xd6e9f2, 0xfff7da, 0x1f5673],
    [0x3f2350, 0xe77a60, 0xffcf94, 0x382a52],
    [0x7d8fa1, 0xdfe4e4, 0xfbf8ee, 0x5d7182],
    [0x0e1728, 0x415c7c, 0xf5f2de, 0x122033],
    [0x3f8f8a, 0xece6ba, 0xfff5cf, 0x1d5a5a],
];

/// The levels between which the sea flickers. A picture of a model hardly compresses: it weighs some 0.4 MB at 1K, 1.4 MB
/// at 2K and over 5 MB at 4K. So does one of which a fifth is this noise.
const FLICKER: u64 = 8;

/// A PNG of exactly that ratio, with about as many pixels as a square of that `side`: a sun over the sea, whose colours
/// and place come from the prompt.
pub(super) fn make(prompt: &str, ratio: (u32, u32), side: u32) -> Result<Vec<u8>, image::ImageError> {
    let (across, down) = ratio;
    let unit = (f64::from(side) / f64::from(across * down).sqrt()).round() as u32;
    let (width, height) = (across * unit, down * unit);
    let seed = hash(prompt);
    let [sky, horizon, sun, sea] = SCENES[(seed % SCENES.len() as u64) as usize].map(rgb);
    let shore = height * 4 / 5;
    let mut noise = Noise::of(seed);
    let mut picture = RgbImage::new(width, height);
    for (y, row) in picture.enumerate_rows_mut() {
        if y < shore {
            let colour = blend(sky, horizon, y * 256 / shore);
            row.for_each(|(_, _, pixel)| *pixel = colour);
        } else {
            let colour = blend(blend(horizon, sea, 128), sea, (y - shore) * 256 / (height - shore));
            row.for_each(|(_, _, pixel)| *pixel = noise.flicker(colour));
        }
    }
    let centre = (width / 4 + (seed >> 8 & 7) as u32 * width / 16, height / 4 + (seed >> 16 & 7) as u32 * height / 32);
    disc(&mut picture, centre, width.min(height) / 7, sun);
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
    let [_, tint, ..] = SCENES[(hash(prompt) % SCENES.len() as u64) as usize].map(rgb);
    let frame = (width.min(height) / 48).max(1);
    let band = height * 2 / 5..height * 3 / 5;
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        let framed = x < frame || y < frame || x + frame >= width || y + frame >= height;
        if framed {
            *pixel = tint;
        } else if band.contains(&y) {
            pixel.0 = pixel.0.map(|level| 255 - level);
        } else {
            *pixel = blend(*pixel, tint, 64);
        }
    }
    encode(&picture)
}

/// An xorshift generator (Marsaglia 2003).
struct Noise(u64);

impl Noise {
    fn of(seed: u64) -> Self {
        // xorshift would stay at zero.
        Self(seed | 1)
    }

    /// The colour, each part of it a little brighter.
    fn flicker(&mut self, colour: Rgb<u8>) -> Rgb<u8> {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let [r, g, b] = [0, 16, 32].map(|shift| ((self.0 >> shift) % FLICKER) as u8);
        Rgb([colour.0[0].saturating_add(r), colour.0[1].saturating_add(g), colour.0[2].saturating_add(b)])
    }
}

/// A disc with a soft edge.
fn disc(picture: &mut RgbImage, (cx, cy): (u32, u32), radius: u32, colour: Rgb<u8>) {
    let (width, height) = picture.dimensions();
    for y in cy.saturating_sub(radius)..(cy + radius).min(height) {
        for x in cx.saturating_sub(radius)..(cx + radius).min(width) {
            let distance = f64::hypot(f64::from(x.abs_diff(cx)), f64::from(y.abs_diff(cy)));
            let inside = (f64::from(radius) - distance).clamp(0.0, 1.0);
            let pixel = picture.get_pixel_mut(x, y);
            *pixel = blend(*pixel, colour, (inside * 256.0) as u32);
        }
    }
}

/// `part` of 256 parts of `b` in `a`.
fn blend(a: Rgb<u8>, b: Rgb<u8>, part: u32) -> Rgb<u8> {
    let part = part.min(256);
    let mix = |a: u8, b: u8| ((u32::from(a) * (256 - part) + u32::from(b) * part) / 256) as u8;
    Rgb([mix(a.0[0], b.0[0]), mix(a.0[1], b.0[1]), mix(a.0[2], b.0[2])])
}

/// A colour as it is written in style sheets.
fn rgb(hex: u32) -> Rgb<u8> {
    let [_, r, g, b] = hex.to_be_bytes();
    Rgb([r, g, b])
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
