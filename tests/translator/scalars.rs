//! Generates random numbers, texts, bytes and times, often extreme ones.

use prost_reflect::EnumDescriptor;

use crate::dice::Dice;

/// Lengths around the limits of varints and of the translator's special cases, in bytes.
const LENGTHS: [usize; 9] = [12, 31, 32, 127, 128, 4095, 4096, 16_384, 20_000];

pub fn int32(dice: &mut Dice<'_>) -> i64 {
    match dice.below(3) {
        0 => dice.below(4) as i64,
        1 => dice.pick(&[-1, 127, 128, 16_383, 16_384, i32::MIN, i32::MAX, i32::MIN + 1]).into(),
        _ => (dice.roll() as i32).into(),
    }
}

pub fn int64(dice: &mut Dice<'_>) -> i64 {
    const MAX_EXACT: i64 = 1 << 53;
    match dice.below(3) {
        0 => int32(dice),
        1 => dice.pick(&[i64::MIN, i64::MAX, MAX_EXACT, MAX_EXACT + 1, -MAX_EXACT - 1, 1 << 62, -1 << 33]),
        _ => dice.bits() as i64,
    }
}

pub fn float(dice: &mut Dice<'_>) -> f32 {
    let value = match dice.below(3) {
        0 => dice.pick(&[0.0, 1.0, 0.5, 0.95, -2.0, 0.1]),
        1 => dice.pick(&[-0.0, f32::MAX, f32::MIN, f32::MIN_POSITIVE, f32::from_bits(1), f32::EPSILON, 16_777_217.0]),
        _ => f32::from_bits(dice.roll()),
    };
    if value.is_finite() { value } else { 1e10 }
}

pub fn double(dice: &mut Dice<'_>) -> f64 {
    const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
    let value = match dice.below(4) {
        0 => dice.pick(&[0.0, 1.0, 5.0, -0.25, 0.1, 100.0]),
        1 => dice.pick(&[-0.0, f64::MAX, f64::MIN, f64::MIN_POSITIVE, f64::from_bits(1), f64::EPSILON]),
        2 => dice.pick(&[
            MAX_EXACT,
            MAX_EXACT - 1.0,
            MAX_EXACT + 2.0,
            -MAX_EXACT,
            1e22,
            1e23,
            123_456_789_012_345_680.0,
            1e300,
        ]),
        _ => f64::from_bits(dice.bits()),
    };
    if value.is_finite() { value } else { 1e100 }
}

pub fn enumeration(dice: &mut Dice<'_>, kind: &EnumDescriptor) -> i64 {
    let known: Vec<i32> = kind.values().map(|value| value.number()).collect();
    // `NullValue` has only one value.
    if kind.full_name() == "google.protobuf.NullValue" || !dice.one_in(5) {
        return dice.pick(&known).into();
    }
    let new: Vec<i32> = [77, -1, 99_999, i32::MIN, i32::MAX].into_iter().filter(|n| !known.contains(n)).collect();
    dice.pick(&new).into()
}

pub fn text(dice: &mut Dice<'_>) -> String {
    if dice.one_in(40) {
        let unit = dice.pick(&["x", "é", "\n", "👩", "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz\""]);
        return unit.repeat(dice.pick(&LENGTHS) / unit.len());
    }
    (0..dice.below(8)).map(|_| character(dice)).collect()
}

fn character(dice: &mut Dice<'_>) -> char {
    const SPECIAL: [char; 18] = [
        '"',
        '\\',
        '/',
        '\0',
        '\u{8}',
        '\t',
        '\n',
        '\u{c}',
        '\r',
        '\u{1f}',
        '\u{7f}',
        '\u{80}',
        'é',
        '世',
        '\u{2028}',
        '\u{ffff}',
        '👩',
        '\u{10ffff}',
    ];
    let roll = dice.roll();
    let rest = roll / 4;
    match roll % 4 {
        0 | 1 => char::from(b'a' + (rest % 26) as u8),
        2 => SPECIAL[rest as usize % SPECIAL.len()],
        // Surrogates are not characters.
        _ => char::from_u32(rest % 0x11_0000).unwrap_or('\u{fffd}'),
    }
}

pub fn bytes(dice: &mut Dice<'_>) -> Vec<u8> {
    if dice.one_in(20) {
        return vec![dice.roll() as u8; dice.pick(&LENGTHS) + dice.below(3)];
    }
    let mut bytes: Vec<u8> = (0..3).flat_map(|_| dice.roll().to_le_bytes()).collect();
    bytes.truncate(dice.below(13));
    bytes
}

/// Seconds and nanoseconds, with the same sign.
pub fn duration(dice: &mut Dice<'_>) -> (i64, i64) {
    const MAX: i64 = 315_576_000_000;
    let seconds = match dice.below(3) {
        0 => dice.below(100) as i64,
        1 => dice.pick(&[0, 0, 0, MAX, 60, 1 << 31]),
        _ => (dice.bits() % MAX as u64) as i64,
    };
    let nanos = if seconds == MAX { 0 } else { nanos(dice) };
    if dice.one_in(3) { (-seconds, -nanos) } else { (seconds, nanos) }
}

pub fn timestamp(dice: &mut Dice<'_>) -> (i64, i64) {
    const FIRST: i64 = -62_135_596_800;
    const LAST: i64 = 253_402_300_799;
    // 29 February 2000, the last seconds of 1900, 1969 and 2100, and the limits.
    const SPECIAL: [i64; 6] = [951_782_400, -2_177_452_801, -1, 4_133_980_799, FIRST, LAST];
    let seconds = match dice.below(3) {
        0 => i64::from(dice.roll()),
        1 => dice.pick(&SPECIAL),
        _ => FIRST + (dice.bits() % (LAST - FIRST) as u64) as i64,
    };
    (seconds, nanos(dice))
}

fn nanos(dice: &mut Dice<'_>) -> i64 {
    match dice.below(3) {
        0 => dice.pick(&[0, 500_000_000, 250_000_000]),
        1 => dice.pick(&[1, 999_999_999, 1000, 1_000_000, 120_000, 100_000_000]),
        _ => i64::from(dice.roll() % 1_000_000_000),
    }
}
