//! The operator's accent colour, made readable.

/// The least contrast of the accent against any ground it stands on. WCAG asks 4.5; the rest is room for tinted grounds.
const CONTRAST: f64 = 5.5;
/// The darkest ground that carries accent-coloured text in the light scheme, and the lightest one in the dark scheme.
const LIGHT_GROUND: [u8; 3] = [0xf3, 0xf5, 0xf4];
const DARK_GROUND: [u8; 3] = [0x1b, 0x23, 0x22];
/// What is written on the accent.
const PALE: [u8; 3] = [0xff, 0xff, 0xff];
const INK: [u8; 3] = [0x0b, 0x14, 0x13];

/// The text of `/assets/brand.css` for an accent colour such as `#0a6a6e`; none if it is not a colour.
///
/// The colour is darkened for the light scheme and lightened for the dark one as far as reading needs, so that no choice
/// of an operator can make a link or a button unreadable.
pub(crate) fn brand_css(accent: &str) -> Option<String> {
    let accent = parse(accent)?;
    let light = toward(accent, [0, 0, 0], LIGHT_GROUND);
    let dark = toward(accent, PALE, DARK_GROUND);
    Some(format!(
        ":root {{\n  --brand: light-dark({}, {});\n  --on-brand: light-dark({}, {});\n}}\n",
        hex(light),
        hex(dark),
        hex(writing_on(light)),
        hex(writing_on(dark)),
    ))
}

/// Mixes `colour` with `pole` in small steps until it stands out from `ground`.
fn toward(colour: [u8; 3], pole: [u8; 3], ground: [u8; 3]) -> [u8; 3] {
    (0..=50)
        .map(|step| mix(colour, pole, f64::from(step) / 50.0))
        .find(|mixed| contrast(*mixed, ground) >= CONTRAST)
        .unwrap_or(pole)
}

fn writing_on(colour: [u8; 3]) -> [u8; 3] {
    if contrast(PALE, colour) >= contrast(INK, colour) { PALE } else { INK }
}

fn mix(from: [u8; 3], to: [u8; 3], share: f64) -> [u8; 3] {
    let part = |i: usize| (f64::from(from[i]) * (1.0 - share) + f64::from(to[i]) * share).round() as u8;
    [part(0), part(1), part(2)]
}

/// The contrast ratio of WCAG 2.2: 1 to 21.
pub(super) fn contrast(a: [u8; 3], b: [u8; 3]) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn luminance(colour: [u8; 3]) -> f64 {
    let linear = |byte: u8| {
        let value = f64::from(byte) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * linear(colour[0]) + 0.7152 * linear(colour[1]) + 0.0722 * linear(colour[2])
}

/// `#rgb` or `#rrggbb`.
pub(super) fn parse(text: &str) -> Option<[u8; 3]> {
    let digits: Vec<u8> = text
        .strip_prefix('#')?
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|value| u8::try_from(value).ok()))
        .collect::<Option<_>>()?;
    match digits[..] {
        [r, g, b] => Some([r * 17, g * 17, b * 17]),
        [r1, r2, g1, g2, b1, b2] => Some([r1 * 16 + r2, g1 * 16 + g2, b1 * 16 + b2]),
        _ => None,
    }
}

fn hex([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}
